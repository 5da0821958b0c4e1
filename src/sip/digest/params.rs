//! `scheme name=value, …` of RFC 3261 §25.1 and RFC 7616 §3.3.

use std::borrow::Cow;

use super::DigestError;
use crate::sip::scan;

/// Takes `Digest name=value, …` apart: the values of the named parameters, without quotes. Others are ignored (RFC 7616 §3.3), and so
/// are empty elements between commas (RFC 9110 §5.6.1).
pub(super) fn collect<'a, const N: usize>(text: &'a str, names: [&'static str; N]) -> Result<[Option<Cow<'a, str>>; N], DigestError> {
    let text = scan::trim(text);
    let (scheme, rest) = scan::split_word(text).unwrap_or((text, ""));
    if !scheme.eq_ignore_ascii_case("Digest") {
        return Err(DigestError::Scheme);
    }
    let mut values = [const { None }; N];
    let mut rest = Some(rest);
    while let Some(list) = rest {
        let (first, after) = scan::split_outside(list, b',');
        rest = after;
        let first = scan::trim(first);
        if first.is_empty() {
            continue;
        }
        let (name, value) = scan::cut(first, b'=').ok_or(DigestError::Syntax)?;
        let (name, value) = (scan::trim(name), scan::trim(value));
        let is_value = match value.as_bytes() {
            [b'"', ..] => scan::quoted_len(value) == Some(value.len()),
            other => !other.is_empty() && other.iter().all(|b| *b > b' ' && *b != b'"'),
        };
        if !scan::is_token(name.as_bytes()) || !is_value {
            return Err(DigestError::Syntax);
        }
        if let Some((slot, name)) = values.iter_mut().zip(names).find(|(_, known)| known.eq_ignore_ascii_case(name)) {
            if slot.is_some() {
                return Err(DigestError::Repeated(name));
            }
            *slot = Some(scan::unquote(value));
        }
    }
    Ok(values)
}

/// Writes ` name="value"`: what a quoted string must escape is escaped, and control characters are left out.
pub(super) fn quoted(out: &mut String, name: &str, value: &str) {
    out.push_str(if out.ends_with("Digest") { " " } else { ", " });
    out.push_str(name);
    out.push_str("=\"");
    for c in value.chars().filter(|c| !c.is_control()) {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}

/// Writes `, name=value`; what no token may hold is left out.
pub(super) fn plain(out: &mut String, name: &str, value: &str) {
    out.push_str(", ");
    out.push_str(name);
    out.push('=');
    out.extend(value.chars().filter(|c| u8::try_from(*c).is_ok_and(scan::is_token_byte)));
}
