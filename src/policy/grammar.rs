//! One policy line: text in, a typed statement out, with whatever is wrong with it.
//!
//! ```text
//! line = setting operator [value]                 operator: = += -= ! unset
//!      | "order" [=] integer
//!      | "block" | "block=" prefix
//!      | "filter" ["allow" | "deny"] "group:" DN
//!      | "#" anything
//! ```
//! `docs/policy.md` is the reference for admins.

use std::fmt;

use serde::Serialize;

use super::catalogue::Setting;
use super::value::Value;
use crate::model::{Dn, Severity};

/// The longest line, in octets: an access entry with a deep DN fits many times over.
pub(crate) const LINE_OCTETS_MAX: usize = 8192;

/// What a line does to a setting. Ordered as the lines of one object are applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Operator {
    /// Back to the built-in default.
    #[serde(rename = "unset")]
    Unset,
    /// Replaces what comes from lower layers.
    #[serde(rename = "=")]
    Replace,
    /// Replaces, and no higher layer may change it.
    #[serde(rename = "!")]
    Enforce,
    /// Takes elements out of a list.
    #[serde(rename = "-=")]
    Remove,
    /// Puts elements at the end of a list.
    #[serde(rename = "+=")]
    Append,
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unset => "unset",
            Self::Replace => "=",
            Self::Enforce => "!",
            Self::Remove => "-=",
            Self::Append => "+=",
        })
    }
}

/// What a line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Statement {
    /// A setting, an operator, a value.
    Assign(Assign),
    /// The object's rank within its layer: the lowest wins.
    Order(i32),
    /// Drop what comes from outside and is not enforced.
    Block(Block),
    /// Whom the object applies to.
    Filter(Filter),
    /// A comment, or nothing.
    Nothing,
}

/// A setting, an operator, a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Assign {
    pub(crate) setting: Setting,
    pub(crate) operator: Operator,
    /// The value's text: what lines of one object are sorted by.
    pub(crate) text: String,
    /// The elements that parse.
    pub(crate) values: Vec<Value>,
    /// Those that do not, and why.
    pub(crate) refused: Vec<(String, String)>,
}

/// Which settings a `block` holds off.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Block {
    /// Every one that may be blocked.
    All,
    /// Those whose name begins so.
    Prefix(String),
}

impl Block {
    /// Whether the setting is held off. Emergency settings never are.
    pub(crate) fn covers(&self, setting: Setting) -> bool {
        !setting.spec().never_blocked
            && match self {
                Self::All => true,
                Self::Prefix(prefix) => setting.name().starts_with(prefix.as_str()),
            }
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("block"),
            Self::Prefix(prefix) => write!(f, "block={prefix}"),
        }
    }
}

/// Whom an object applies to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Filter {
    /// Members of the group, and of other groups allowed beside it.
    Allow(Dn),
    /// Not to members of the group, whatever allows them.
    Deny(Dn),
    /// A filter that cannot be read. It was meant to keep somebody out, so it keeps everybody out until it is repaired.
    Unreadable,
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LineFault {
    pub(crate) severity: Severity,
    pub(crate) code: &'static str,
    /// One-based, in characters; 0 when the whole line is meant.
    pub(crate) column: usize,
    pub(crate) what: String,
    pub(crate) remedy: String,
}

/// A line, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parsed {
    /// What it says; `None` when it says nothing that can be used.
    pub(crate) statement: Option<Statement>,
    pub(crate) faults: Vec<LineFault>,
}

impl Parsed {
    fn good(statement: Statement) -> Self {
        Self { statement: Some(statement), faults: Vec::new() }
    }

    fn bad(fault: LineFault) -> Self {
        Self { statement: None, faults: vec![fault] }
    }
}

/// Reads one line.
pub(crate) fn parse(text: &str) -> Parsed {
    if text.len() > LINE_OCTETS_MAX {
        let what = format!("the line has {} octets and may have {LINE_OCTETS_MAX}", text.len());
        return Parsed::bad(warning("policy.syntax", 0, what, "write several lines".into()));
    }
    let line = Line { text };
    let trimmed = text.trim();
    if trimmed.is_empty() || trimmed.starts_with('#') {
        return Parsed::good(Statement::Nothing);
    }
    let (word, rest) = first_word(trimmed);
    match word.to_ascii_lowercase().as_str() {
        "order" => line.order(rest),
        "block" => line.block(rest),
        "filter" => line.filter(rest),
        _ => line.assign(word, rest),
    }
}

/// The name at the beginning, up to a space or an operator, and what follows it.
fn first_word(text: &str) -> (&str, &str) {
    let mut end = text.len();
    for (at, c) in text.char_indices() {
        let operator = matches!(c, '=' | '!' | '+' | ':') || text.get(at..).is_some_and(|rest| rest.starts_with("-="));
        if operator || c.is_whitespace() {
            end = at;
            break;
        }
    }
    let (word, rest) = text.split_at(end);
    (word, rest.trim_start())
}

struct Line<'a> {
    text: &'a str,
}

impl Line<'_> {
    /// The column at which a part of the line begins.
    fn column(&self, part: &str) -> usize {
        let offset = (part.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        self.text.get(..offset).map_or(0, |before| before.chars().count() + 1)
    }

    fn order(&self, rest: &str) -> Parsed {
        let number = rest.strip_prefix('=').unwrap_or(rest).trim();
        match number.parse() {
            Ok(order) => Parsed::good(Statement::Order(order)),
            Err(_) => Parsed::bad(warning(
                "policy.order",
                self.column(number),
                if number.is_empty() { "no number after `order`".into() } else { format!("`{number}` is not a whole number") },
                "write `order 10`: within a layer the lowest wins, 100 where nothing is said".into(),
            )),
        }
    }

    fn block(&self, rest: &str) -> Parsed {
        let remedy = "write `block`, or `block=sip.` for the settings whose names begin so";
        if rest.is_empty() {
            return Parsed::good(Statement::Block(Block::All));
        }
        let Some(prefix) = rest.strip_prefix('=').map(str::trim).filter(|prefix| !prefix.is_empty()) else {
            return Parsed::bad(warning("policy.block", self.column(rest), format!("`{rest}` after `block`"), remedy.into()));
        };
        let block = Block::Prefix(prefix.to_ascii_lowercase());
        let mut named = Setting::all().filter(|s| s.name().starts_with(&prefix.to_ascii_lowercase())).peekable();
        if named.peek().is_none() {
            let what = format!("no setting begins with `{prefix}`");
            let mut begins: Vec<&str> = Setting::all().map(|s| s.name().split_inclusive('.').next().unwrap_or_default()).collect();
            begins.dedup();
            let remedy = format!("their names begin with {}", begins.join(", "));
            return Parsed::bad(warning("policy.block", self.column(prefix), what, remedy));
        }
        if !named.any(|setting| block.covers(setting)) {
            let what = "emergency settings are never blocked".to_owned();
            let remedy = "take the line away; to change one of them, set it".to_owned();
            return Parsed::bad(warning("policy.block", self.column(prefix), what, remedy));
        }
        Parsed::good(Statement::Block(block))
    }

    fn filter(&self, rest: &str) -> Parsed {
        let rest = rest.strip_prefix('=').unwrap_or(rest).trim_start();
        let (word, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let (deny, subject) = match word.to_ascii_lowercase().as_str() {
            "allow" => (false, after.trim()),
            "deny" => (true, after.trim()),
            _ => (false, rest.trim()),
        };
        let group = subject.get(..6).filter(|scheme| scheme.eq_ignore_ascii_case("group:")).and_then(|_| subject.get(6..));
        let read = match group.map(str::trim) {
            None | Some("") if subject.is_empty() => Err((subject, "no group after `filter`".to_owned())),
            None | Some("") => Err((subject, format!("`{subject}` is not `group:` and a distinguished name"))),
            Some(name) => name.parse::<Dn>().map_err(|error| (name, format!("not a distinguished name: {error}"))),
        };
        match read {
            Ok(dn) => Parsed::good(Statement::Filter(if deny { Filter::Deny(dn) } else { Filter::Allow(dn) })),
            Err((part, what)) => Parsed {
                statement: Some(Statement::Filter(Filter::Unreadable)),
                faults: vec![warning(
                    "policy.filter",
                    self.column(part),
                    what,
                    "write `filter group:CN=Sales,OU=Groups,DC=corp,DC=example`, or `filter deny group:…`; \
                     until it is repaired the object applies to nobody"
                        .into(),
                )],
            },
        }
    }

    fn assign(&self, word: &str, rest: &str) -> Parsed {
        let Some(setting) = Setting::named(word) else {
            let what = if word.is_empty() { "no setting before the operator".to_owned() } else { format!("`{word}` is no setting") };
            return Parsed::bad(warning("policy.setting", self.column(word), what, meant(word)));
        };
        let spec = setting.spec();
        let Some((operator, value)) = operator(rest) else {
            let what = format!("no operator after `{setting}`");
            let remedy = format!("write `{setting} = {}`; the operators are `=`, `+=`, `-=`, `!` and `unset`", spec.kind.example());
            return Parsed::bad(warning("policy.operator", self.column(rest), what, remedy));
        };
        if !spec.many && matches!(operator, Operator::Append | Operator::Remove) {
            let what = format!("`{operator}` is for lists, and `{setting}` has one value");
            return Parsed::bad(warning("policy.operator", self.column(rest), what, format!("write `{setting} = {value}`")));
        }
        let mut assign = Assign { setting, operator, text: value.to_owned(), values: Vec::new(), refused: Vec::new() };
        let mut faults = Vec::new();
        match (operator, value.is_empty()) {
            (Operator::Unset, true) => {}
            (Operator::Unset, false) => {
                let what = format!("`unset` takes no value, and `{value}` follows it");
                let remedy = format!("write `{setting} unset` or `{setting} = {value}`");
                return Parsed::bad(warning("policy.operator", self.column(value), what, remedy));
            }
            // A list that is to be empty is written as one: `dial.rule =`.
            (Operator::Replace | Operator::Enforce, true) if spec.many => {}
            _ => {
                for element in if spec.many { spec.kind.elements(value) } else { vec![value] } {
                    let parsed = if operator == Operator::Remove { spec.kind.parse_removal(element) } else { spec.kind.parse(element) };
                    match parsed {
                        Ok(value) => assign.values.push(value),
                        Err(error) => {
                            let what = format!("`{setting}`: {}", error.why);
                            let remedy = format!("write {}, for example `{setting} {operator} {}`", error.expected, error.example);
                            faults.push(warning("policy.value", self.column(element), what, remedy));
                            assign.refused.push((element.to_owned(), error.to_string()));
                        }
                    }
                }
            }
        }
        Parsed { statement: Some(Statement::Assign(assign)), faults }
    }
}

/// The operator at the beginning, and the value after it.
fn operator(text: &str) -> Option<(Operator, &str)> {
    for (sign, operator) in [("+=", Operator::Append), ("-=", Operator::Remove), ("=", Operator::Replace), ("!", Operator::Enforce)] {
        if let Some(value) = text.strip_prefix(sign) {
            // `==`, `!=`: the habit of a programming language, not a value that begins with `=`.
            return (!value.starts_with('=')).then_some((operator, value.trim()));
        }
    }
    let (word, value) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    word.eq_ignore_ascii_case("unset").then_some((Operator::Unset, value.trim()))
}

/// What to write instead of a name that is none.
fn meant(word: &str) -> String {
    match Setting::meant_by(word) {
        Some(setting) => format!("did you mean `{setting}`? docs/settings.md lists all settings"),
        None => "docs/settings.md lists all settings; a line may also begin with `order`, `block`, `filter` or `#`".into(),
    }
}

pub(crate) fn warning(code: &'static str, column: usize, what: String, remedy: String) -> LineFault {
    LineFault { severity: Severity::Warning, code, column, what, remedy }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The statement, or the fault as `column N: what; remedy`.
    fn shown(line: &str) -> String {
        let parsed = parse(line);
        let mut out: Vec<String> = Vec::new();
        match parsed.statement {
            Some(Statement::Assign(a)) => {
                let values: Vec<String> = a.values.iter().map(Value::to_string).collect();
                out.push(format!("{} {} [{}]", a.setting, a.operator, values.join(" | ")));
            }
            Some(Statement::Filter(Filter::Allow(dn))) => out.push(format!("allow {dn}")),
            Some(Statement::Filter(Filter::Deny(dn))) => out.push(format!("deny {dn}")),
            Some(Statement::Block(block)) => out.push(block.to_string()),
            Some(other) => out.push(format!("{other:?}")),
            None => {}
        }
        out.extend(parsed.faults.iter().map(|f| format!("{} column {}: {}; {}", f.code, f.column, f.what, f.remedy)));
        out.join("\n")
    }

    #[test]
    fn statements() {
        let check = |line: &str, expect: &str| assert_eq!(shown(line), expect, "{line}");
        check("sip.expires = 600", "sip.expires = [600]");
        check("  SIP.Expires=600  ", "sip.expires = [600]");
        check("media.srtp ! required", "media.srtp ! [required]");
        check("video.enabled unset", "video.enabled unset []");
        check("video.enabled UNSET", "video.enabled unset []");
        check("sip.outbound-proxy += 20 0 sips:fra1.corp.example", "sip.outbound-proxy += [20 0 sips:fra1.corp.example]");
        check("sip.outbound-proxy-=sips:fra1.corp.example", "sip.outbound-proxy -= [0 0 sips:fra1.corp.example]");
        check("sip.outbound-proxy = @nearest(outbound-proxy)", "sip.outbound-proxy = [@nearest(outbound-proxy)]");
        check("sip.registrar ! 10 50 sips:reg.corp.example", "sip.registrar ! [10 50 sips:reg.corp.example]");
        check("media.audio = opus,G722, PCMA", "media.audio = [opus | G722 | PCMA]");
        check("acl += deny contact group:CN=C,OU=G,DC=x", "acl += [deny contact group:CN=C,OU=G,DC=x]");
        check("dial.rule =", "dial.rule = []");
        check("order 10", "Order(10)");
        check("Order = -5", "Order(-5)");
        check("block", "block");
        check("block=sip.", "block=sip.");
        check("block = SIP.", "block=sip.");
        check("filter group:CN=Sales,DC=x", "allow CN=Sales,DC=x");
        check("filter allow GROUP:CN=Sales,DC=x", "allow CN=Sales,DC=x");
        check("filter deny group: CN=Sales, DC=x", "deny CN=Sales,DC=x");
        check("# sip.expires = 600", "Nothing");
        check("   ", "Nothing");
    }

    #[test]
    fn faults_have_a_column_and_a_remedy() {
        let lines = [
            "sip.registar = 10 0 sip:reg.corp.example",
            "colour = red",
            "= 600",
            "sip.expires: 600",
            "sip.expires == 600",
            "sip.expires",
            "sip.expires = soon",
            "sip.expires =",
            "sip.expires += 600",
            "media.srtp unset please",
            "media.audio = opus, not a codec, PCMA",
            "order first",
            "order",
            "block sip.",
            "block=spi.",
            "block=emergency.",
            "filter CN=Sales,DC=x",
            "filter deny group:Sales",
            "filter",
        ];
        let shown: Vec<String> = lines.iter().map(|line| format!("{line}\n{}", shown(line).replace('\n', "\n    "))).collect();
        insta::assert_snapshot!(shown.join("\n"), @"
        sip.registar = 10 0 sip:reg.corp.example
        policy.setting column 1: `sip.registar` is no setting; did you mean `sip.registrar`? docs/settings.md lists all settings
        colour = red
        policy.setting column 1: `colour` is no setting; docs/settings.md lists all settings; a line may also begin with `order`, `block`, `filter` or `#`
        = 600
        policy.setting column 1: no setting before the operator; docs/settings.md lists all settings; a line may also begin with `order`, `block`, `filter` or `#`
        sip.expires: 600
        policy.operator column 12: no operator after `sip.expires`; write `sip.expires = 30m`; the operators are `=`, `+=`, `-=`, `!` and `unset`
        sip.expires == 600
        policy.operator column 13: no operator after `sip.expires`; write `sip.expires = 30m`; the operators are `=`, `+=`, `-=`, `!` and `unset`
        sip.expires
        policy.operator column 12: no operator after `sip.expires`; write `sip.expires = 30m`; the operators are `=`, `+=`, `-=`, `!` and `unset`
        sip.expires = soon
        sip.expires = []
            policy.value column 15: `sip.expires`: `soon` does not fit; write a duration from 30 to 604800 seconds, for example `sip.expires = 30m`
        sip.expires =
        sip.expires = []
            policy.value column 14: `sip.expires`: the value is empty; write a duration from 30 to 604800 seconds, for example `sip.expires = 30m`
        sip.expires += 600
        policy.operator column 13: `+=` is for lists, and `sip.expires` has one value; write `sip.expires = 600`
        media.srtp unset please
        policy.operator column 18: `unset` takes no value, and `please` follows it; write `media.srtp unset` or `media.srtp = please`
        media.audio = opus, not a codec, PCMA
        media.audio = [opus | PCMA]
            policy.value column 21: `media.audio`: ` ` has no place there; write an RTP payload name, with `/rate` and `/channels` where they matter, for example `media.audio = opus`
        order first
        policy.order column 7: `first` is not a whole number; write `order 10`: within a layer the lowest wins, 100 where nothing is said
        order
        policy.order column 6: no number after `order`; write `order 10`: within a layer the lowest wins, 100 where nothing is said
        block sip.
        policy.block column 7: `sip.` after `block`; write `block`, or `block=sip.` for the settings whose names begin so
        block=spi.
        policy.block column 7: no setting begins with `spi.`; their names begin with account., sip., dial., voicemail., forward., feature., record., video., conference., presence., im., presence., xcap., im., media., net., media., qos., emergency., ntp, timezone, language, firmware., phonebook., provider., support., acl, access.
        block=emergency.
        policy.block column 7: emergency settings are never blocked; take the line away; to change one of them, set it
        filter CN=Sales,DC=x
        Filter(Unreadable)
            policy.filter column 8: `CN=Sales,DC=x` is not `group:` and a distinguished name; write `filter group:CN=Sales,OU=Groups,DC=corp,DC=example`, or `filter deny group:…`; until it is repaired the object applies to nobody
        filter deny group:Sales
        Filter(Unreadable)
            policy.filter column 19: not a distinguished name: column 1: expected `type=value` (RFC 4514 §3); write `filter group:CN=Sales,OU=Groups,DC=corp,DC=example`, or `filter deny group:…`; until it is repaired the object applies to nobody
        filter
        Filter(Unreadable)
            policy.filter column 7: no group after `filter`; write `filter group:CN=Sales,OU=Groups,DC=corp,DC=example`, or `filter deny group:…`; until it is repaired the object applies to nobody
        ");
    }

    #[test]
    fn long_lines_are_refused() {
        let line = format!("provider.name = {}", "x".repeat(LINE_OCTETS_MAX));
        assert_eq!(parse(&line).statement, None);
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "(sip\\.expires|acl|order|block|filter|[a-z.]{0,9})\\PC{0,40}") {
            for fault in parse(&text).faults {
                proptest::prop_assert!(fault.column <= text.chars().count() + 1);
            }
        }
    }
}
