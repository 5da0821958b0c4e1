//! What the builders write with: nothing that is passed in can end its header field.

use super::{Name, scan};

/// Whether an octet may stand in a value that is written: no control character but the tab.
const fn is_written(byte: u8) -> bool {
    byte >= b' ' && byte != 0x7f || byte == b'\t'
}

/// How many control characters a text holds.
pub(crate) fn faults(text: &str) -> usize {
    text.bytes().filter(|b| !is_written(*b)).count()
}

/// Writes a text; each control character becomes a space. Gives the number of those.
pub(crate) fn text(out: &mut Vec<u8>, text: &str) -> usize {
    let bytes = text.as_bytes();
    let faults = faults(text);
    if faults == 0 {
        out.extend_from_slice(bytes);
    } else {
        out.extend(bytes.iter().map(|b| if is_written(*b) { *b } else { b' ' }));
    }
    faults
}

/// Writes only the octets that a token may hold. Gives the number of those that are left out.
pub(crate) fn token(out: &mut Vec<u8>, text: &str) -> usize {
    let before = out.len();
    out.extend(text.bytes().filter(|b| scan::is_token_byte(*b)));
    text.len() - (out.len() - before)
}

/// Writes a value that was received. RFC 3261 §7.3.1: a fold is worth one space; all else stays as it was written.
pub(crate) fn received(out: &mut Vec<u8>, value: &[u8]) {
    let mut rest = value;
    while let Some(at) = scan::find_break(rest) {
        let (before, fold) = rest.split_at(at);
        out.extend_from_slice(before.trim_ascii_end());
        out.push(b' ');
        rest = fold.trim_ascii_start();
    }
    out.extend_from_slice(rest);
}

/// Writes a URI. What would end it (white space, control characters, brackets, quotes, octets above 0x7E) is escaped, nothing else is:
/// an escape that is there stays as it is written.
pub(crate) fn uri(out: &mut Vec<u8>, uri: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in uri.bytes() {
        if scan::is_uri_text(&[byte]) {
            out.push(byte);
        } else {
            out.extend([b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }
}

pub(crate) fn number(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        // The remainder is below ten.
        digits[at] = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(at..).unwrap_or_default());
}

/// Writes one header field. A name that is no token, or that the builder writes itself, is left out. Gives the number of faults.
pub(crate) fn field(out: &mut Vec<u8>, name: Name<'_>, value: &str, own: &[Name<'static>]) -> usize {
    // A known name may hide in another spelling.
    let name = if let Name::Other(text) = name { Name::from(text) } else { name };
    if matches!(name, Name::Other(text) if !scan::is_token(text.as_bytes())) || own.contains(&name) {
        return 1;
    }
    out.extend_from_slice(name.as_str().as_bytes());
    out.extend_from_slice(b": ");
    let faults = text(out, value);
    out.extend_from_slice(b"\r\n");
    faults
}

/// Writes Content-Length, the end of the head, and the body.
pub(crate) fn end(out: &mut Vec<u8>, body: &[u8]) {
    out.reserve(body.len() + 48);
    out.extend_from_slice(b"Content-Length: ");
    number(out, body.len() as u64);
    out.extend_from_slice(b"\r\n\r\n");
    out.extend_from_slice(body);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn control_characters_in_a_value() {
        let mut faults = 0;
        let out = written(|out| faults = field(out, "Subject".into(), "hi\r\nVia: evil\0\u{7f}\tthere ü", &[]));
        assert_eq!((out.as_str(), faults), ("Subject: hi  Via: evil  \tthere ü\r\n", 4));
    }

    #[test]
    fn names_that_are_none() {
        for name in ["", "Sub ject", "Subject:", "Sub\r\nVia", "Süb"] {
            assert_eq!((written(|out| assert_eq!(field(out, name.into(), "x", &[]), 1))).as_str(), "", "{name}");
        }
        assert_eq!(written(|out| assert_eq!(field(out, "l".into(), "7", &[Name::ContentLength]), 1)), "");
    }

    #[test]
    fn escapes_are_not_escaped_again() {
        assert_eq!(written(|out| uri(out, "sip:urn%3auuid@x")), "sip:urn%3auuid@x");
        assert_eq!(written(|out| uri(out, "sip:a b\r\n<>\"é@x")), "sip:a%20b%0D%0A%3C%3E%22%C3%A9@x");
    }

    #[test]
    fn folds_become_one_space() {
        assert_eq!(written(|out| received(out, b"SIP/2.0/UDP a;\r\n\t branch=1 ;\n x")), "SIP/2.0/UDP a; branch=1 ; x");
        assert_eq!(written(|out| received(out, b"a\r\rb\r")), "a b ");
    }

    #[test]
    fn numbers() {
        for n in [0, 9, 10, 4_294_967_295, u64::MAX] {
            assert_eq!(written(|out| number(out, n)), n.to_string());
        }
    }
}
