//! `scheme name=value, …` of RFC 3261 §25.1 and RFC 7616 §3.3.

use std::borrow::Cow;

use super::DigestError;
use crate::sip::scan;

/// The parameters behind `Digest`.
pub(super) fn digest_params(text: &str) -> Result<&str, DigestError> {
    let text = scan::trim(text);
    let (scheme, rest) = text.split_at(text.find([' ', '\t', '\r', '\n']).unwrap_or(text.len()));
    if scheme.eq_ignore_ascii_case("Digest") { Ok(scan::trim(rest)) } else { Err(DigestError::Scheme) }
}

/// Calls `take` with each name and value. Empty elements between commas are skipped (RFC 9110 §5.6.1).
pub(super) fn each<'a>(text: &'a str, mut take: impl FnMut(&'a str, &'a str) -> Result<(), DigestError>) -> Result<(), DigestError> {
    let mut rest = Some(text);
    while let Some(list) = rest {
        let (first, after) = scan::split_outside(list, b',');
        rest = after;
        let first = scan::trim(first);
        if first.is_empty() {
            continue;
        }
        let (name, value) = first.split_once('=').ok_or(DigestError::Syntax)?;
        let (name, value) = (scan::trim(name), scan::trim(value));
        let is_value = match value.as_bytes() {
            [b'"', ..] => scan::quoted_len(value) == Some(value.len()),
            other => !other.is_empty() && other.iter().all(|b| *b > b' ' && *b != b'"'),
        };
        if !scan::is_token(name.as_bytes()) || !is_value {
            return Err(DigestError::Syntax);
        }
        take(name, value)?;
    }
    Ok(())
}

/// Sets a parameter once.
pub(super) fn set<'a>(slot: &mut Option<Cow<'a, str>>, name: &'static str, value: &'a str) -> Result<(), DigestError> {
    if slot.is_some() {
        return Err(DigestError::Repeated(name));
    }
    *slot = Some(scan::unquote(value));
    Ok(())
}

/// Writes ` name="value"`, with what a quoted string must escape escaped and control characters left out.
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
