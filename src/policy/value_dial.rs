//! Dial rules.

use std::fmt;
use std::sync::Arc;

use regex::{Regex, RegexBuilder};

use super::value::Why;

/// `pattern -> template`: when the pattern matches what the user dials, the template is called instead. `$1` and `${name}`
/// stand for the groups of the pattern, `$$` for a dollar sign. The pattern is not anchored unless it says so.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DialRule {
    pattern: Arc<str>,
    template: Arc<str>,
}

/// The longest pattern, in octets: dial plans are short, and compiling costs time in proportion.
const PATTERN_MAX: usize = 256;
/// The memory that a compiled pattern may take, in octets: a phone compiles it too.
const PROGRAM_MAX: usize = 1 << 18;

impl DialRule {
    /// The regular expression, in the syntax of the crate regex (RE2's: no look-around, no back-references).
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// What is called instead.
    pub fn template(&self) -> &str {
        &self.template
    }

    /// What the rule makes of a dialled string; `None` when the pattern does not match.
    pub fn apply(&self, dialled: &str) -> Option<String> {
        let regex = compile(&self.pattern).ok()?;
        let captures = regex.captures(dialled)?;
        let mut out = String::new();
        captures.expand(&self.template, &mut out);
        Some(out)
    }

    /// Whether the text has an arrow at all.
    pub(super) fn has_arrow(text: &str) -> bool {
        text.contains("->") || text.contains('→')
    }

    /// Parses `pattern -> template` or `pattern → template`. The last arrow counts: a template cannot hold one.
    pub(super) fn parse(text: &str) -> Result<Self, Why> {
        let (pattern, template) = ["->", "→"]
            .iter()
            .filter_map(|arrow| text.rfind(arrow).map(|at| (at, arrow.len())))
            .max()
            .and_then(|(at, length)| Some((text.get(..at)?, text.get(at + length..)?)))
            .ok_or_else(|| Why::shape(text))?;
        Self::new(pattern.trim(), template.trim())
    }

    /// A rule from its parts.
    pub(crate) fn new(pattern: &str, template: &str) -> Result<Self, Why> {
        if pattern.is_empty() || template.is_empty() {
            return Err(Why::Empty);
        }
        if pattern.len() > PATTERN_MAX {
            return Err(Why::TooLong { length: pattern.len(), max: PATTERN_MAX });
        }
        let regex = compile(pattern)?;
        check_template(template, &regex)?;
        Ok(Self { pattern: pattern.into(), template: template.into() })
    }
}

fn compile(pattern: &str) -> Result<Regex, Why> {
    RegexBuilder::new(pattern).size_limit(PROGRAM_MAX).build().map_err(|error| {
        // The engine draws the place over several lines; the last one says what is wrong.
        let text = error.to_string();
        Why::Pattern(text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned())
    })
}

/// The characters of a dial string or a URI, and references that the pattern has.
fn check_template(template: &str, regex: &Regex) -> Result<(), Why> {
    if let Some(found) = template.chars().find(|c| !(c.is_ascii_alphanumeric() || "-_.!~*'()&=+,;?/:@%#[]${}".contains(*c))) {
        return Err(Why::Character(found));
    }
    let mut rest = template;
    while let Some(at) = rest.find('$') {
        let after = rest.get(at + 1..).unwrap_or_default();
        if let Some(escaped) = after.strip_prefix('$') {
            rest = escaped;
            continue;
        }
        let (name, next) = if let Some(braced) = after.strip_prefix('{') {
            braced.split_once('}').ok_or_else(|| Why::Reference(after.to_owned()))?
        } else {
            // The engine takes the longest name: `$1a` is the group `1a`, and `${1}a` is what was meant.
            let end = after.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(after.len());
            after.split_at(end)
        };
        let known = match name.parse::<usize>() {
            Ok(index) => index < regex.captures_len(),
            Err(_) => regex.capture_names().flatten().any(|group| group == name),
        };
        if !known {
            return Err(Why::Reference(format!("${name}")));
        }
        rest = next;
    }
    Ok(())
}

impl fmt::Display for DialRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}", self.pattern, self.template)
    }
}

#[cfg(test)]
mod tests {
    use super::super::value::{Value, ValueKind};

    fn parse(text: &str) -> super::DialRule {
        match ValueKind::DialRule.parse(text) {
            Ok(Value::DialRule(rule)) => rule,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn rewrites() {
        let check = |rule: &str, dialled: &str, expect: Option<&str>| {
            let rule = parse(rule);
            assert_eq!(rule.apply(dialled).as_deref(), expect, "{rule} on {dialled}");
            assert_eq!(parse(&rule.to_string()), rule);
        };
        check("^0([1-9][0-9]*)$→+49$1", "030123", Some("+4930123"));
        check("^0([1-9][0-9]*)$ -> +49$1", "112", None);
        check("^(?P<a>7..)$ -> sip:${a}@corp.example", "742", Some("sip:742@corp.example"));
        check("^a->b$ -> 1", "a->b", Some("1"));
        check("^1{1,3}$->$$$0", "11", Some("$11"));
    }

    #[test]
    fn refused() {
        let check = |text: &str| ValueKind::DialRule.parse(text).unwrap_err().why.to_string();
        insta::assert_snapshot!(check("^0(.*)$"), @"`^0(.*)$` does not fit");
        insta::assert_snapshot!(check("^0(.* -> 1"), @"the pattern is refused: unclosed group");
        insta::assert_snapshot!(check("^0(.*) -> $2"), @"the template refers to `$2`, and the pattern has no such group");
        insta::assert_snapshot!(check("^0(.*) -> $1a"), @"the template refers to `$1a`, and the pattern has no such group");
        insta::assert_snapshot!(check("^0(.*) -> ${1"), @"the template refers to `{1`, and the pattern has no such group");
        insta::assert_snapshot!(check("^0 -> a b"), @"` ` has no place there");
        insta::assert_snapshot!(check("^0 -> "), @"the value is empty");
        insta::assert_snapshot!(check("(((x{200}){200}){200}) -> 1"), @"the pattern is refused: Compiled regex exceeds size limit of 262144 bytes.");
        insta::assert_snapshot!(check(&format!("{} -> 1", "1".repeat(300))), @"the value has 300 octets and may have 256");
    }

    #[test]
    fn removal_by_pattern() {
        let rule = ValueKind::DialRule.parse("^0(.*)$ -> +49$1").unwrap();
        assert!(ValueKind::DialRule.parse_removal("^0(.*)$").unwrap().is_same_element(&rule));
        assert!(!ValueKind::DialRule.parse_removal("^1(.*)$ -> 2").unwrap().is_same_element(&rule));
    }
}
