//! The lexical ground: byte classes, linear white space, quoted strings, and splitting that respects both.
//!
//! Everything here walks its input once and allocates nothing, except where an escape has to be undone.

use std::borrow::Cow;

const TOKEN: u8 = 1;
const HOST: u8 = 2;
const URI: u8 = 4;
/// What splitting has to look at: separators, quotes and brackets.
const STOP: u8 = 8;
const LWS: u8 = 16;
const PARAM: u8 = 32;

static CLASS: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "the loop ends at 255")]
        let b = byte as u8;
        let mut class = 0;
        // RFC 3261 §25.1: token.
        if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~') {
            class |= TOKEN;
        }
        // RFC 3261 §25.1: hostname and IPv4address, and the underscore that RFC 6080 §5.1.4.2 puts into `_sipuaconfig`.
        if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_') {
            class |= HOST;
        }
        // Wider than RFC 3261 §25.1: phones dial `sip:*98#@host`. What would end the URI or the header field stays out.
        if b.is_ascii_graphic() && !matches!(b, b'<' | b'>' | b'"') {
            class |= URI;
        }
        if matches!(b, b',' | b';' | b'"' | b'<') {
            class |= STOP;
        }
        if matches!(b, b' ' | b'\t' | b'\r' | b'\n') {
            class |= LWS;
        }
        // RFC 3261 §25.1: gen-value without quotes, and UTF-8 besides.
        if b > b' ' && !matches!(b, b'"' | b'<' | b'>' | 0x7f) {
            class |= PARAM;
        }
        table[byte] = class;
        byte += 1;
    }
    table
}

const fn is(byte: u8, class: u8) -> bool {
    CLASS[byte as usize] & class != 0
}

/// RFC 3261 §25.1: `token`, at least one octet.
pub(crate) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|b| is(*b, TOKEN))
}

pub(crate) const fn is_token_byte(byte: u8) -> bool {
    is(byte, TOKEN)
}

pub(crate) fn is_param_value(text: &[u8]) -> bool {
    text.iter().all(|b| is(*b, PARAM))
}

pub(crate) fn is_host_name(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|b| is(*b, HOST))
}

pub(crate) fn is_uri_text(text: &[u8]) -> bool {
    text.iter().all(|b| is(*b, URI))
}

/// White space inside a header value. CR and LF stand there only as part of a fold: the line splitter sees to it.
pub(crate) const fn is_lws(byte: u8) -> bool {
    is(byte, LWS)
}

pub(crate) fn trim(text: &str) -> &str {
    trim_end(trim_start(text))
}

pub(crate) fn trim_start(text: &str) -> &str {
    let blanks = text.bytes().take_while(|b| is_lws(*b)).count();
    text.get(blanks..).unwrap_or_default()
}

pub(crate) fn trim_end(text: &str) -> &str {
    let blanks = text.bytes().rev().take_while(|b| is_lws(*b)).count();
    text.get(..text.len() - blanks).unwrap_or_default()
}

/// What stands before the first white space, and the rest with it; `None` without white space.
pub(crate) fn split_word(text: &str) -> Option<(&str, &str)> {
    text.bytes().position(is_lws).map(|at| text.split_at(at))
}

/// What stands before the first such ASCII octet, and what behind it.
pub(crate) fn cut(text: &str, at: u8) -> Option<(&str, &str)> {
    let place = find(text.as_bytes(), at)?;
    Some((text.get(..place)?, text.get(place + 1..)?))
}

/// What stands before the first such ASCII octet, and the rest with it.
pub(crate) fn until(text: &str, at: u8) -> (&str, &str) {
    text.split_at(find(text.as_bytes(), at).unwrap_or(text.len()))
}

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// The high bit of each octet that is zero; above the lowest of them there may be false ones, which a borrow left behind.
const fn zeros(word: u64) -> u64 {
    word.wrapping_sub(LOW) & !word & HIGH
}

/// Where `mark` sets the first high bit, eight octets at a time, else where `is` first holds.
fn first(bytes: &[u8], mark: impl Fn(u64) -> u64, is: impl Fn(u8) -> bool) -> Option<usize> {
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let marks = mark(u64::from_le_bytes(*word));
        if marks != 0 {
            return Some(index * 8 + (marks.trailing_zeros() / 8) as usize);
        }
    }
    rest.iter().position(|b| is(*b)).map(|at| words.len() * 8 + at)
}

/// Where the octet stands first.
pub(crate) fn find(bytes: &[u8], wanted: u8) -> Option<usize> {
    first(bytes, |word| zeros(word ^ (LOW * u64::from(wanted))), |b| b == wanted)
}

/// Where either octet stands first.
pub(crate) fn find_either(bytes: &[u8], one: u8, other: u8) -> Option<usize> {
    let (a, b) = (LOW * u64::from(one), LOW * u64::from(other));
    first(bytes, |word| zeros(word ^ a) | zeros(word ^ b), |b| b == one || b == other)
}

/// Where a CR or LF stands first. It is searched for as an octet below 14, of which there is hardly another in a head.
pub(crate) fn find_break(bytes: &[u8]) -> Option<usize> {
    const ABOVE: u8 = b'\r' + 1;
    let mut from = 0;
    loop {
        let rest = bytes.get(from..)?;
        let at = first(rest, |word| word.wrapping_sub(LOW * u64::from(ABOVE)) & !word & HIGH, |b| b < ABOVE)?;
        from += at + 1;
        if matches!(rest.get(at), Some(b'\r' | b'\n')) {
            return Some(from - 1);
        }
    }
}

/// The length of the quoted string that the text begins with, both quotes included; `None` when it does not end.
pub(crate) fn quoted_len(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    None
}

/// Splits at the first separator, a comma or a semicolon, that stands neither in a quoted string nor in `<>`. The rest is `None` when there is no separator.
pub(crate) fn split_outside(text: &str, separator: u8) -> (&str, Option<&str>) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(skip) = bytes.get(at..).and_then(|rest| rest.iter().position(|b| is(*b, STOP))) {
        at += skip;
        match bytes.get(at).copied().unwrap_or_default() {
            b if b == separator => {
                let (first, rest) = text.split_at(at);
                return (first, rest.get(1..));
            }
            b'"' => match text.get(at..).and_then(quoted_len) {
                Some(len) => at += len,
                None => break,
            },
            b'<' => match bytes.get(at..).and_then(|rest| find(rest, b'>')) {
                Some(len) => at += len + 1,
                None => break,
            },
            _ => at += 1,
        }
    }
    (text, None)
}

/// Undoes a quoted string: without quotes the text is given back as it is.
pub(crate) fn unquote(text: &str) -> Cow<'_, str> {
    let Some(inner) = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else { return Cow::Borrowed(text) };
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        out.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    Cow::Owned(out)
}

/// Undoes `%41` escapes in a copy. Only for comparing and looking up: what is sent on stays as it was written.
pub fn unescape(text: &str) -> Cow<'_, [u8]> {
    let bytes = text.as_bytes();
    if find(bytes, b'%').is_none() {
        return Cow::Borrowed(bytes);
    }
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, after)) = rest.split_first() {
        let code = if *first == b'%' { after.first_chunk::<2>().copied().and_then(hex_pair) } else { None };
        out.push(code.unwrap_or(*first));
        rest = if code.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    Cow::Owned(out)
}

fn hex_pair(digits: [u8; 2]) -> Option<u8> {
    let [high, low] = digits.map(|d| char::from(d).to_digit(16));
    u8::try_from(high? * 16 + low?).ok()
}

/// RFC 3261 §25.1: `delta-seconds` and other digits. Too many digits give the largest number: the caller clamps anyway.
pub(crate) fn digits(text: &str) -> Option<u32> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(text.bytes().fold(0u32, |sum, b| sum.saturating_mul(10).saturating_add(u32::from(b - b'0'))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn find_agrees_with_the_plain_loop() {
        let text = b"0123456789abcdef\r\n\x00\x80\xff\r\nxyz";
        for start in 0..text.len() {
            for wanted in 0..=255 {
                let rest = &text[start..];
                assert_eq!(find(rest, wanted), rest.iter().position(|b| *b == wanted), "{start} {wanted}");
                let either = rest.iter().position(|b| *b == wanted || *b == b'x');
                assert_eq!(find_either(rest, wanted, b'x'), either, "{start} {wanted}");
            }
        }
    }

    #[test]
    fn line_breaks_among_other_controls() {
        for text in [&b"\t\0\x0b\x0c\x0e\x1f abc\x80\xff\x8d\t\rx\n"[..], b"", b"\n", b"\t\t\t\t\t\t\t\t\t", b"0123456789\r", b"\0\r"] {
            for start in 0..text.len() {
                let rest = &text[start..];
                assert_eq!(find_break(rest), rest.iter().position(|b| matches!(b, b'\r' | b'\n')), "{rest:?}");
            }
        }
    }

    #[test]
    fn splitting_respects_quotes_and_brackets() {
        let check = |text: &'static str, expect: (&str, Option<&str>)| assert_eq!(split_outside(text, b','), expect);
        check("a,b,c", ("a", Some("b,c")));
        check(r#""a,\",b" <sip:x,y@z>;q="1,2",c"#, (r#""a,\",b" <sip:x,y@z>;q="1,2""#, Some("c")));
        check("a,", ("a", Some("")));
        check("", ("", None));
        // What does not end is one element: the parser of the element refuses it.
        check(r#"a "b,c"#, (r#"a "b,c"#, None));
        check("a <b,c", ("a <b,c", None));
        check(r#""a\"#, (r#""a\"#, None));
    }

    #[test]
    fn unquoting() {
        assert_eq!(unquote(r#""a \"b\" \\ ü""#), r#"a "b" \ ü"#);
        assert_eq!(unquote("plain"), "plain");
        assert_eq!(unquote("\""), "\"");
        assert_eq!(unquote("\"\""), "");
    }

    #[test]
    fn unescaping() {
        assert_eq!(*unescape("urn%3auuid%3A00-%4"), *b"urn:uuid:00-%4");
        assert_eq!(*unescape("%00%ZZ%"), *b"\0%ZZ%");
        // Once, never twice.
        assert_eq!(*unescape("%25%34%31"), *b"%41");
    }

    #[test]
    fn numbers() {
        assert_eq!(digits("0068"), Some(68));
        assert_eq!(digits("36893488147419103232"), Some(u32::MAX));
        for text in ["", "-1", "+1", "1 ", "١"] {
            assert_eq!(digits(text), None, "{text}");
        }
    }
}
