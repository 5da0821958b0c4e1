//! Passwords in what people write into URIs: such a value is refused, and must not be shown by the fault that says so.

use std::borrow::Cow;

/// Words before a colon that begin a URI or the subject of an access entry. Before any other the colon may be that of
/// `user:password@host`.
const SCHEMES: [&str; 22] = [
    "acct", "domain", "group", "h323", "http", "https", "im", "ldap", "ldaps", "mailto", "ou", "pres", "sip", "sips", "smtp", "stun",
    "stuns", "tel", "turn", "turns", "user", "xmpp",
];

/// The text with `***` in the place of every password of a `user:password@host`. What is no URI stays as it is.
pub(super) fn redacted(text: &str) -> Cow<'_, str> {
    if !text.contains('@') {
        return Cow::Borrowed(text);
    }
    let words = text.split_inclusive(char::is_whitespace).map(|word| match password(word) {
        Some((from, to)) => [&word[..from], "***", &word[to..]].concat(),
        None => word.to_owned(),
    });
    Cow::Owned(words.collect())
}

/// Where a word holds a password: from the colon behind the user to the last `@`, since a password may hold `@` too.
fn password(word: &str) -> Option<(usize, usize)> {
    let at = word.rfind('@')?;
    let before = &word[..at];
    let colon = before.find(':')?;
    let scheme = before[..colon].trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
    let is_scheme = before[colon..].starts_with("://") || SCHEMES.iter().any(|known| scheme.eq_ignore_ascii_case(known));
    let behind = if is_scheme { colon + 1 + before[colon + 1..].find(':')? } else { colon };
    Some((behind + 1, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &str) {
        assert_eq!(redacted(text), expect, "{text}");
    }

    #[test]
    fn hides_passwords() {
        check("sip.registrar = 10 0 sip:bob:hunter2@reg.x;lr", "sip.registrar = 10 0 sip:bob:***@reg.x;lr");
        check("`sips:bob:hunter2@reg.x` does not fit", "`sips:bob:***@reg.x` does not fit");
        check("xcap.root = https://u:hunter2@xcap.x/", "xcap.root = https://u:***@xcap.x/");
        check("phonebook.ldap=ldap://cn=admin:hunter2@dir.x/dc=x", "phonebook.ldap=ldap://cn=admin:***@dir.x/dc=x");
        check("turn:user:hunter2@turn.x:3478", "turn:user:***@turn.x:3478");
        check("bob:hunter2@reg.x", "bob:***@reg.x");
        check("sip:bob:hunter@2@reg.x", "sip:bob:***@reg.x");
        check("sip.registrar=sip:bob:hunter2@reg.x", "sip.registrar=sip:***@reg.x");
    }

    #[test]
    fn leaves_the_rest() {
        for text in [
            "sip:anna@corp.example",
            "mailto:help@corp.example",
            "anna@corp.example",
            "acl += deny contact group:CN=a@b,DC=x",
            "sip:reg.x:5061",
            "a: b @ c",
            "",
        ] {
            check(text, text);
        }
    }
}
