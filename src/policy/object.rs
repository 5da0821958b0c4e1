//! All policy lines of one object, folded: at most one edit per setting, and order, filters and blocks of the whole.

use std::borrow::Cow;
use std::sync::Arc;

use super::catalogue::Setting;
use super::grammar::{self, Assign, Block, Filter, LineFault, Operator, Statement, warning};
use super::redact::redacted;
use super::value::Value;
use crate::model::{Generation, ObjectId, Timestamp};

/// The `order` of an object that does not say one.
pub(crate) const ORDER_DEFAULT: i32 = 100;

/// The most lines that one object may hold: past any policy that people write, short of a directory value set that
/// takes seconds to read.
pub(crate) const LINES_MAX: usize = 4096;

/// What an object governs by the lines it carries: it decides which lines make sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// Everybody: the lines of the configuration.
    Config,
    /// Who stands in or below a container.
    Container,
    /// The members of a group.
    Group,
    /// One user.
    User,
    /// One device.
    Device,
    /// Endpoints in a site.
    Site,
    /// Endpoints in a subnet: only network settings.
    Subnet,
}

/// The change that brought something, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Since {
    pub(crate) generation: Generation,
    pub(crate) at: Timestamp,
}

/// The lines of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PolicyObject {
    /// Who carries them; `None` for the configuration.
    pub(crate) id: Option<ObjectId>,
    pub(crate) order: i32,
    pub(crate) blocks: Vec<Block>,
    pub(crate) filters: Vec<Filter>,
    /// One per setting, in the order of the catalogue.
    pub(crate) edits: Vec<Edit>,
    pub(crate) faults: Vec<HeldFault>,
}

/// What an object does to one setting. Applied in this order: the base, the removals, the appended values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Edit {
    pub(crate) setting: Setting,
    pub(crate) base: Option<Base>,
    pub(crate) removes: Vec<Value>,
    pub(crate) appends: Vec<Value>,
    /// What can never be a candidate.
    pub(crate) refused: Vec<Refused>,
    pub(crate) since: Since,
}

/// What takes the place of everything that came from below.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Base {
    /// `unset`, `=` or `!`.
    pub(crate) operator: Operator,
    pub(crate) values: Vec<Value>,
}

/// A line or an element that is out before the layers meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) operator: Operator,
    pub(crate) text: String,
    pub(crate) why: RefusedWhy,
}

/// Why it is out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RefusedWhy {
    /// It does not parse; the parser's words.
    Unparsable(String),
    /// Another line of the same object comes first.
    SameObject,
    /// The setting belongs to users, and the object is none.
    UserOnly,
    /// The object decides network settings, and the setting is none.
    NetworkOnly,
    /// The list is full.
    Full,
}

/// A fault and the value that has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeldFault {
    pub(crate) attribute: Arc<str>,
    /// The value's text, cut where it would flood a log.
    pub(crate) value: String,
    pub(crate) fault: LineFault,
}

/// The most characters of a value that a fault shows.
const SHOWN_MAX: usize = 120;

impl HeldFault {
    /// The fault of a value, without any password that somebody wrote into it.
    pub(crate) fn new(attribute: Arc<str>, value: &str, mut fault: LineFault) -> Self {
        for text in [&mut fault.what, &mut fault.remedy] {
            if let Cow::Owned(redacted) = redacted(text) {
                *text = redacted;
            }
        }
        Self { attribute, value: redacted(value).chars().take(SHOWN_MAX).collect(), fault }
    }
}

impl PolicyObject {
    /// Folds the lines of one object.
    pub(crate) fn read<'a>(
        id: Option<ObjectId>,
        carrier: Carrier,
        lines: impl IntoIterator<Item = (&'a Arc<str>, &'a [u8])>,
        since: Since,
    ) -> Self {
        let mut reading =
            Reading { carrier, orders: Vec::new(), assigns: Vec::new(), blocks: Vec::new(), filters: Vec::new(), faults: Vec::new() };
        let mut count = 0;
        for (attribute, octets) in lines {
            let Ok(value) = std::str::from_utf8(octets) else {
                let fault = warning("policy.syntax", 0, "the value is not UTF-8".into(), "write it again".into());
                reading.fault(attribute, &String::from_utf8_lossy(octets), fault);
                continue;
            };
            for line in value.lines() {
                count += 1;
                if count == LINES_MAX + 1 {
                    let fault = warning(
                        "policy.syntax",
                        0,
                        format!("the object has more than {LINES_MAX} lines; the rest is skipped"),
                        "spread them over several policy objects".into(),
                    );
                    reading.fault(attribute, line, fault);
                }
                if count <= LINES_MAX {
                    reading.line(attribute, line);
                }
            }
        }
        reading.finish(id, since)
    }

    /// Whether it says anything about users: an object that says nothing is not kept.
    pub(crate) fn is_empty(&self) -> bool {
        self.edits.is_empty() && self.blocks.is_empty() && self.faults.is_empty() && self.filters.is_empty()
    }

    /// The roles whose servers of the tree values stand for, each with its setting.
    pub(crate) fn roles(&self) -> impl Iterator<Item = (Setting, &str)> {
        fn of(edit: &Edit) -> Vec<(Setting, &str)> {
            let values = edit.base.iter().flat_map(|base| &base.values).chain(&edit.appends).chain(&edit.removes);
            values.filter_map(|value| if let Value::Nearest(role) = value { Some((edit.setting, &**role)) } else { None }).collect()
        }
        self.edits.iter().flat_map(of)
    }

    /// Takes over from an earlier reading when each edit came, where it is still the same edit.
    pub(crate) fn keep_since(&mut self, before: &Self) {
        for edit in &mut self.edits {
            let same = before.edits.iter().find(|old| old.setting == edit.setting && Edit { since: edit.since, ..(*old).clone() } == *edit);
            if let Some(old) = same {
                edit.since = old.since;
            }
        }
    }

    /// What decides between objects of one layer: the lowest wins (design §3 rule 2).
    pub(crate) fn rank(&self) -> (i32, Option<ObjectId>) {
        (self.order, self.id)
    }
}

struct Reading {
    carrier: Carrier,
    orders: Vec<i32>,
    assigns: Vec<(Arc<str>, Assign)>,
    blocks: Vec<Block>,
    filters: Vec<Filter>,
    faults: Vec<HeldFault>,
}

impl Reading {
    fn fault(&mut self, attribute: &Arc<str>, value: &str, fault: LineFault) {
        self.faults.push(HeldFault::new(Arc::clone(attribute), value, fault));
    }

    fn line(&mut self, attribute: &Arc<str>, line: &str) {
        let parsed = grammar::parse(line);
        for fault in parsed.faults {
            self.fault(attribute, line, fault);
        }
        match parsed.statement {
            Some(Statement::Assign(assign)) => self.assigns.push((Arc::clone(attribute), assign)),
            Some(Statement::Order(order)) if self.carrier == Carrier::Config => {
                let what = format!("`order {order}` has no effect: the configuration is a layer of its own");
                self.fault(attribute, line, warning("policy.order", 0, what, "take the line away".into()));
            }
            Some(Statement::Order(order)) => {
                self.orders.push(order);
                if self.orders.len() > 1 {
                    let what = "a second `order` in one object; the lowest is used".to_owned();
                    self.fault(attribute, line, warning("policy.order", 0, what, "keep one of them".into()));
                }
            }
            Some(Statement::Block(_)) if self.carrier != Carrier::Container => {
                let what = "only a container can block what comes from outside".to_owned();
                let remedy = "put the line on the OU, or into a policy object that stands in it".to_owned();
                self.fault(attribute, line, warning("policy.block", 0, what, remedy));
            }
            Some(Statement::Block(block)) => self.blocks.push(block),
            Some(Statement::Filter(filter)) => self.filters.push(filter),
            Some(Statement::Nothing) | None => {}
        }
    }

    fn finish(mut self, id: Option<ObjectId>, since: Since) -> PolicyObject {
        // Attribute values are a set (X.501 §8.2): sorting makes every server read the same list.
        let mut assigns = std::mem::take(&mut self.assigns);
        assigns.sort_by(|(_, a), (_, b)| (a.setting, a.operator, &a.text).cmp(&(b.setting, b.operator, &b.text)));
        let mut edits: Vec<Edit> = Vec::new();
        for (attribute, assign) in assigns {
            if edits.last().is_none_or(|edit| edit.setting != assign.setting) {
                edits.push(Edit::new(assign.setting, since));
            }
            if let Some(edit) = edits.last_mut() {
                self.fold(edit, &attribute, assign);
            }
        }
        self.blocks.sort();
        self.blocks.dedup();
        self.filters.sort();
        self.filters.dedup();
        PolicyObject {
            id,
            order: self.orders.into_iter().min().unwrap_or(ORDER_DEFAULT),
            blocks: self.blocks,
            filters: self.filters,
            edits,
            faults: self.faults,
        }
    }

    fn fold(&mut self, edit: &mut Edit, attribute: &Arc<str>, assign: Assign) {
        let Assign { setting, operator, text, values, refused } = assign;
        let line = format!("{setting} {operator} {text}").trim_end().to_owned();
        // An address belongs to one user: given to an OU it would make all its users one.
        if setting == Setting::ACCOUNT_AOR && self.carrier != Carrier::User {
            let what = "an address of record belongs to one user".to_owned();
            self.fault(attribute, &line, warning("policy.scope", 0, what, "put the line on the user".into()));
            edit.refused.push(Refused { operator, text, why: RefusedWhy::UserOnly });
            return;
        }
        // Design §3 rule 1: a subnet is the uppermost layer of what belongs to the network, and no layer of the rest.
        if self.carrier == Carrier::Subnet && !setting.spec().network {
            let what = format!("a subnet decides network settings only, and `{setting}` is none");
            let remedy = "put the line on the site, or on whom it is for; docs/settings.md marks network settings";
            self.fault(attribute, &line, warning("policy.scope", 0, what, remedy.into()));
            edit.refused.push(Refused { operator, text, why: RefusedWhy::NetworkOnly });
            return;
        }
        let explicit = values.is_empty() && refused.is_empty();
        edit.refused.extend(refused.into_iter().map(|(text, why)| Refused { operator, text, why: RefusedWhy::Unparsable(why) }));
        match operator {
            // All elements are refused: as if the line were not there, so that the next candidate is used.
            _ if values.is_empty() && !explicit => {}
            Operator::Remove => edit.removes.extend(values),
            Operator::Append => {
                for value in values {
                    self.put(&mut edit.appends, &mut edit.refused, operator, value, attribute, &line);
                }
            }
            Operator::Unset | Operator::Replace | Operator::Enforce => self.base(edit, operator, values, &text, attribute, &line),
        }
    }

    fn base(&mut self, edit: &mut Edit, operator: Operator, values: Vec<Value>, text: &str, attribute: &Arc<str>, line: &str) {
        let many = edit.setting.spec().many;
        let Some(mut base) = edit.base.take() else {
            let mut base = Base { operator, values: Vec::new() };
            for value in values {
                self.put(&mut base.values, &mut edit.refused, operator, value, attribute, line);
            }
            edit.base = Some(base);
            return;
        };
        if base.operator == operator && many {
            for value in values {
                self.put(&mut base.values, &mut edit.refused, operator, value, attribute, line);
            }
        } else if base.operator == operator {
            // The first by text stands.
            let what = format!("a second `{operator}` for `{}`, which has one value; `{}` is used", edit.setting, shown(&base.values));
            self.fault(attribute, line, warning("policy.duplicate", 0, what, "keep one of the lines".into()));
            edit.refused.push(Refused { operator, text: text.to_owned(), why: RefusedWhy::SameObject });
        } else {
            // `unset` < `=` < `!`: the later operator says more.
            let what = format!("both `{}` and `{operator}` for `{}` in one object; `{operator}` is used", base.operator, edit.setting);
            self.fault(attribute, line, warning("policy.duplicate", 0, what, "keep one of the lines".into()));
            edit.refused.push(Refused { operator: base.operator, text: shown(&base.values), why: RefusedWhy::SameObject });
            base = Base { operator, values: Vec::new() };
            for value in values {
                self.put(&mut base.values, &mut edit.refused, operator, value, attribute, line);
            }
        }
        edit.base = Some(base);
    }

    /// Puts a value into a list that holds each element once and no more than a document may hold.
    fn put(
        &mut self,
        list: &mut Vec<Value>,
        refused: &mut Vec<Refused>,
        operator: Operator,
        value: Value,
        attribute: &Arc<str>,
        line: &str,
    ) {
        match list.iter().find(|held| held.is_same_element(&value)) {
            Some(held) if *held == value => {}
            Some(held) => {
                let what = format!("`{value}` is in the object twice; `{held}` is used");
                self.fault(attribute, line, warning("policy.duplicate", 0, what, "keep one of the lines".into()));
                refused.push(Refused { operator, text: value.to_string(), why: RefusedWhy::SameObject });
            }
            None if list.len() >= Setting::VALUES_MAX => {
                let what = format!("a list holds at most {} values", Setting::VALUES_MAX);
                self.fault(attribute, line, warning("policy.full", 0, what, "take values away; a group stands for many users".into()));
                refused.push(Refused { operator, text: value.to_string(), why: RefusedWhy::Full });
            }
            None => list.push(value),
        }
    }
}

impl Edit {
    fn new(setting: Setting, since: Since) -> Self {
        Self { setting, base: None, removes: Vec::new(), appends: Vec::new(), refused: Vec::new(), since }
    }
}

/// Values as one text.
pub(crate) fn shown(values: &[Value]) -> String {
    values.iter().map(Value::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(carrier: Carrier, lines: &[&str]) -> PolicyObject {
        let attribute: Arc<str> = "dialcastSetting".into();
        PolicyObject::read(None, carrier, lines.iter().map(|line| (&attribute, line.as_bytes())), Since::default())
    }

    fn why(why: &RefusedWhy) -> String {
        if let RefusedWhy::Unparsable(_) = why { "Unparsable".into() } else { format!("{why:?}") }
    }

    fn check(carrier: Carrier, lines: &[&str], expect: &str) {
        let object = read(carrier, lines);
        let mut out = Vec::new();
        if object.order != ORDER_DEFAULT {
            out.push(format!("order {}", object.order));
        }
        out.extend(object.blocks.iter().map(Block::to_string));
        out.extend(object.filters.iter().map(|filter| format!("{filter:?}")));
        for edit in &object.edits {
            if let Some(base) = &edit.base {
                out.push(format!("{} {} {}", edit.setting, base.operator, shown(&base.values)).trim_end().into());
            }
            for (sign, values) in [("-=", &edit.removes), ("+=", &edit.appends)] {
                if !values.is_empty() {
                    out.push(format!("{} {sign} {}", edit.setting, shown(values)));
                }
            }
            out.extend(edit.refused.iter().map(|r| format!("refused {} {} {}: {}", edit.setting, r.operator, r.text, why(&r.why))));
        }
        // The words of the value parser are its own matter.
        let what = |held: &HeldFault| if held.fault.code == "policy.value" { "…".to_owned() } else { held.fault.what.clone() };
        out.extend(object.faults.iter().map(|held| format!("{}: {} ({})", held.fault.code, what(held), held.value)));
        let expect: Vec<&str> = expect.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        assert_eq!(out, expect, "{lines:?}");
    }

    #[test]
    fn lists_are_sorted_by_text_and_hold_an_element_once() {
        check(
            Carrier::Container,
            &["sip.registrar = 20 0 sips:b.x", "media.audio = PCMA", "sip.registrar = 10 0 sips:a.x", "media.audio = G722,opus,PCMA"],
            "sip.registrar = 10 0 sips:a.x, 20 0 sips:b.x
             media.audio = G722, opus, PCMA",
        );
        check(
            Carrier::Container,
            &["sip.registrar = 20 0 sips:a.x", "sip.registrar = 10 0 sips:a.x"],
            "sip.registrar = 10 0 sips:a.x
             refused sip.registrar = 20 0 sips:a.x: SameObject
             policy.duplicate: `20 0 sips:a.x` is in the object twice; `10 0 sips:a.x` is used (sip.registrar = 20 0 sips:a.x)",
        );
    }

    #[test]
    fn operators_of_one_object() {
        check(
            Carrier::Container,
            &["acl += allow all any", "acl -= deny all any", "acl = polite presence domain:x", "order 7"],
            "order 7
             acl = polite presence domain:x
             acl -= deny all any
             acl += allow all any",
        );
        check(
            Carrier::Container,
            &["media.srtp ! required", "media.srtp = off", "media.srtp unset"],
            "media.srtp ! required
             refused media.srtp unset : SameObject
             refused media.srtp = off: SameObject
             policy.duplicate: both `unset` and `=` for `media.srtp` in one object; `=` is used (media.srtp = off)
             policy.duplicate: both `=` and `!` for `media.srtp` in one object; `!` is used (media.srtp ! required)",
        );
    }

    #[test]
    fn of_two_values_for_one_the_first_by_text_that_parses() {
        check(
            Carrier::Container,
            &["sip.expires = 900", "sip.expires = 600", "sip.expires = 1 year"],
            "sip.expires = 600
             refused sip.expires = 1 year: Unparsable
             refused sip.expires = 900: SameObject
             policy.value: … (sip.expires = 1 year)
             policy.duplicate: a second `=` for `sip.expires`, which has one value; `600` is used (sip.expires = 900)",
        );
    }

    #[test]
    fn a_bad_element_leaves_the_good_ones_and_a_bad_list_nothing() {
        check(
            Carrier::Container,
            &["sip.transport = tls,pigeon,udp", "media.keying = none"],
            "sip.transport = tls, udp
             refused sip.transport = pigeon: Unparsable
             refused media.keying = none: Unparsable
             policy.value: … (sip.transport = tls,pigeon,udp)
             policy.value: … (media.keying = none)",
        );
        check(Carrier::Container, &["media.keying ="], "media.keying =");
    }

    #[test]
    fn what_makes_no_sense_where_it_stands() {
        check(Carrier::Group, &["block"], "policy.block: only a container can block what comes from outside (block)");
        check(Carrier::Config, &["order 1"], "policy.order: `order 1` has no effect: the configuration is a layer of its own (order 1)");
        check(
            Carrier::Container,
            &["account.aor = sip:anna@x"],
            "refused account.aor = sip:anna@x: UserOnly
             policy.scope: an address of record belongs to one user (account.aor = sip:anna@x)",
        );
        check(Carrier::User, &["account.aor = sip:anna@x"], "account.aor = sip:anna@x");
        check(
            Carrier::Container,
            &["order 3", "order 2"],
            "order 2
             policy.order: a second `order` in one object; the lowest is used (order 2)",
        );
    }

    #[test]
    fn several_lines_in_one_value_and_too_many() {
        check(Carrier::Config, &["# a comment\nsip.expires = 600\r\n\nmedia.srtp = off"], "sip.expires = 600\nmedia.srtp = off");
        let many: Vec<String> = (0..=LINES_MAX).map(|n| format!("# {n}")).collect();
        let lines: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(read(Carrier::Config, &lines).faults.len(), 1);
    }

    #[test]
    fn an_edit_that_stayed_keeps_its_date() {
        let mut later = read(Carrier::Container, &["sip.expires = 600", "media.srtp = off"]);
        for edit in &mut later.edits {
            edit.since.generation = Generation(9);
        }
        later.keep_since(&read(Carrier::Container, &["sip.expires = 600", "media.srtp = required"]));
        let since: Vec<u64> = later.edits.iter().map(|edit| edit.since.generation.0).collect();
        assert_eq!(since, [0, 9]);
    }
}
