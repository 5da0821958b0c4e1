//! RFC 2849 change records: what `ldapmodify` reads, for predicting what comes of it.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use super::lines::{Item, Line, Lines, Spot};
use super::problem::{LdifError, LdifFault, LdifProblem};
use super::record::{At, DIGEST_SECRET, RECORDS_MAX, SECRETS, attribute_name, value};
use crate::model::{Dn, ObjectId, Rdn};

/// The most faults reported of one file.
const FAULTS_MAX: usize = 100;

/// One change record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeRecord {
    /// The file it is in.
    pub path: Arc<Path>,
    /// The line of its `dn:`, from 1.
    pub line: usize,
    /// The entry that is changed, by its name before.
    pub dn: Dn,
    /// How.
    pub change: RecordChange,
}

/// What a change record does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordChange {
    /// A new entry.
    Add {
        /// Its attributes, names in lower case; one that comes again goes on.
        attributes: Vec<(String, Vec<Vec<u8>>)>,
        /// Its `entryUUID`, if the record gives one.
        id: Option<ObjectId>,
    },
    /// An entry goes.
    Delete,
    /// Attributes of an entry change, in this order.
    Modify(Vec<Modification>),
    /// An entry has another name, or stands elsewhere.
    Rename {
        /// Its new RDN.
        rdn: Rdn,
        /// Whether the values of the old RDN go.
        delete_old: bool,
        /// What it stands in from now on, where that is not what it stood in.
        superior: Option<Dn>,
    },
}

/// One step of a modification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Modification {
    /// What is done.
    pub operation: Operation,
    /// With which attribute, in lower case.
    pub attribute: String,
    /// And with which values.
    pub values: Vec<Vec<u8>>,
    /// The line on which it begins.
    pub line: usize,
}

/// What a modification does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Adds values.
    Add,
    /// Takes these values away; all, where none are given.
    Delete,
    /// Puts these values in the place of all.
    Replace,
}

/// Reads LDIF change records.
///
/// # Errors
/// Everything that is wrong in the file: after a fault, reading goes on with the next record.
pub fn parse_changes(bytes: &[u8], path: &Path) -> Result<Vec<ChangeRecord>, LdifError> {
    let whole = |problem| Err(LdifError { faults: vec![LdifFault::of_file(path, problem)] });
    if bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF") {
        return whole(LdifProblem::Utf16);
    }
    let mut parser = Parser { source: bytes, path: path.into(), records: Vec::new(), faults: Vec::new(), open: None, state: State::Start };
    for item in Lines::of(bytes) {
        parser.item(&item);
        if parser.faults.len() >= FAULTS_MAX {
            parser.faults.push(LdifFault::of_file(path, LdifProblem::More));
            break;
        }
        if parser.records.len() > RECORDS_MAX {
            return whole(LdifProblem::TooMany(RECORDS_MAX));
        }
    }
    parser.close();
    match (parser.faults.is_empty(), parser.records.is_empty()) {
        (false, _) => Err(LdifError { faults: parser.faults }),
        (true, true) => whole(LdifProblem::Empty),
        (true, false) => Ok(parser.records),
    }
}

struct Parser<'a> {
    source: &'a [u8],
    path: Arc<Path>,
    records: Vec<ChangeRecord>,
    faults: Vec<LdifFault>,
    open: Option<Draft>,
    state: State,
}

#[derive(PartialEq)]
enum State {
    Start,
    Records,
    /// In a record that has a fault: nothing is read up to the next blank line.
    Skip,
}

/// A record of which lines may follow.
struct Draft {
    spot: Spot,
    dn: Dn,
    body: Body,
}

enum Body {
    /// `changetype:` is yet to come.
    Begun,
    Add {
        attributes: Vec<(String, Vec<Vec<u8>>)>,
        id: Option<ObjectId>,
    },
    Delete,
    Modify {
        done: Vec<Modification>,
        open: Option<Modification>,
    },
    Rename {
        rdn: Option<Rdn>,
        delete_old: Option<bool>,
        superior: Option<Dn>,
    },
}

fn expected(what: &str) -> At {
    (0, LdifProblem::Expected(what.to_owned()))
}

impl Parser<'_> {
    fn item(&mut self, item: &Item<'_>) {
        match item {
            Item::Blank => {
                self.close();
                if self.state == State::Skip {
                    self.state = State::Records;
                }
            }
            _ if self.state == State::Skip => {}
            Item::Stray(line) => self.fault(line, (0, LdifProblem::Stray)),
            Item::TooLong(line) => self.fault(line, (0, LdifProblem::TooLong)),
            Item::Line(line) => {
                if let Err(at) = self.line(line) {
                    self.fault(line, at);
                }
            }
        }
    }

    fn fault(&mut self, line: &Line<'_>, (offset, problem): At) {
        let name = line.text.split(|&b| b == b':' || b == b';').next().unwrap_or_default().to_ascii_lowercase();
        let is_secret = SECRETS.iter().any(|secret| secret.as_bytes() == name) || DIGEST_SECRET.as_bytes() == name;
        let spot = if is_secret {
            Spot { line: line.number, column: 1, excerpt: format!("{}: ***", String::from_utf8_lossy(&name)), skipped: 0 }
        } else {
            line.spot(self.source, offset)
        };
        self.faults.push(LdifFault::new(&self.path, spot, problem));
        self.open = None;
        self.state = State::Skip;
    }

    fn close(&mut self) {
        let Some(Draft { spot, dn, body }) = self.open.take() else { return };
        let change = match body {
            Body::Begun => Err("`changetype:` after the `dn:`: add, modify, delete, modrdn or moddn"),
            Body::Add { attributes, id } => Ok(RecordChange::Add { attributes, id }),
            Body::Delete => Ok(RecordChange::Delete),
            Body::Modify { mut done, open } => {
                // The last `-` is left out by many, and ldapmodify does not miss it.
                done.extend(open);
                if done.is_empty() { Err("`add:`, `delete:` or `replace:` with an attribute") } else { Ok(RecordChange::Modify(done)) }
            }
            Body::Rename { rdn, delete_old, superior } => match (rdn, delete_old) {
                (Some(rdn), Some(delete_old)) => Ok(RecordChange::Rename { rdn, delete_old, superior }),
                (None, _) => Err("`newrdn:`"),
                (_, None) => Err("`deleteoldrdn:` 0 or 1"),
            },
        };
        match change {
            Ok(change) => self.records.push(ChangeRecord { path: Arc::clone(&self.path), line: spot.line, dn, change }),
            Err(what) => self.faults.push(LdifFault::new(&self.path, spot, LdifProblem::Expected(what.to_owned()))),
        }
    }

    fn line(&mut self, line: &Line<'_>) -> Result<(), At> {
        let text = &*line.text;
        if text == b"-" {
            return match &mut self.open {
                Some(Draft { body: Body::Modify { done, open }, .. }) if open.is_some() => {
                    done.extend(open.take());
                    Ok(())
                }
                _ => Err(expected("`-` behind a modification only")),
            };
        }
        let colon = text.iter().position(|&b| b == b':').ok_or((0, LdifProblem::NoColon))?;
        let name = attribute_name(text.get(..colon).unwrap_or_default())?;
        let (value, at) = value(text, colon)?;
        let is_first = std::mem::replace(&mut self.state, State::Records) == State::Start;
        let Some(draft) = &mut self.open else {
            return match name.as_str() {
                "version" if is_first && &*value == b"1" => Ok(()),
                "version" if is_first => Err((at, LdifProblem::Version(String::from_utf8_lossy(&value).into_owned()))),
                "dn" => {
                    let dn: Dn = name_of(&value, at)?;
                    if dn.is_empty() {
                        return Err((0, LdifProblem::EmptyDn));
                    }
                    self.open = Some(Draft { spot: line.spot(self.source, 0), dn, body: Body::Begun });
                    Ok(())
                }
                _ => Err((0, LdifProblem::NoDn(name))),
            };
        };
        if name == "dn" && !matches!(draft.body, Body::Add { .. } | Body::Modify { .. }) {
            return Err((0, LdifProblem::SecondDn));
        }
        draft.body.line(line.number, name, value, at)
    }
}

impl Body {
    fn line(&mut self, number: usize, name: String, value: Cow<'_, [u8]>, at: usize) -> Result<(), At> {
        match self {
            // What a control asks for is the server's business, and no prediction depends on it.
            Self::Begun if name == "control" => Ok(()),
            Self::Begun if name == "changetype" => {
                *self = match value.to_ascii_lowercase().as_slice() {
                    b"add" => Self::Add { attributes: Vec::new(), id: None },
                    b"delete" => Self::Delete,
                    b"modify" => Self::Modify { done: Vec::new(), open: None },
                    b"modrdn" | b"moddn" => Self::Rename { rdn: None, delete_old: None, superior: None },
                    _ => return Err((at, LdifProblem::Expected("add, modify, delete, modrdn or moddn".to_owned()))),
                };
                Ok(())
            }
            Self::Begun => Err(expected("`changetype:` after the `dn:`: add, modify, delete, modrdn or moddn")),
            Self::Delete => Err(expected("a blank line: nothing follows `changetype: delete`")),
            Self::Add { attributes, id } => {
                if name == "entryuuid" {
                    let text = String::from_utf8_lossy(&value);
                    let given = text.trim().parse().map_err(|_| (at, LdifProblem::BadId(text.clone().into_owned())))?;
                    return if id.replace(given).is_some() { Err((0, LdifProblem::SecondId)) } else { Ok(()) };
                }
                if !SECRETS.contains(&name.as_str()) {
                    match attributes.iter_mut().rev().find(|(held, _)| *held == name) {
                        Some((_, values)) => values.push(value.into_owned()),
                        None => attributes.push((name, vec![value.into_owned()])),
                    }
                }
                Ok(())
            }
            Self::Modify { open: Some(open), .. } => {
                if name == open.attribute {
                    open.values.push(value.into_owned());
                    return Ok(());
                }
                Err(expected(&format!("`{}:` with a value, or `-`", open.attribute)))
            }
            Self::Modify { open, .. } => {
                let operation = match name.as_str() {
                    "add" => Operation::Add,
                    "delete" => Operation::Delete,
                    "replace" => Operation::Replace,
                    _ => return Err(expected("`add:`, `delete:` or `replace:` with an attribute")),
                };
                let attribute = attribute_name(&value).map_err(|(_, problem)| (at, problem))?;
                *open = Some(Modification { operation, attribute, values: Vec::new(), line: number });
                Ok(())
            }
            Self::Rename { rdn, delete_old, superior } => match name.as_str() {
                "newrdn" if rdn.is_none() => {
                    let text = std::str::from_utf8(&value).map_err(|_| (at, LdifProblem::NotUtf8))?;
                    *rdn = Some(text.parse().map_err(|error| (at, LdifProblem::BadDn(error)))?);
                    Ok(())
                }
                "deleteoldrdn" if delete_old.is_none() => {
                    *delete_old = Some(match &*value {
                        b"0" => false,
                        b"1" => true,
                        _ => return Err((at, LdifProblem::Expected("0 or 1".to_owned()))),
                    });
                    Ok(())
                }
                "newsuperior" if superior.is_none() => {
                    *superior = Some(name_of(&value, at)?);
                    Ok(())
                }
                _ => Err(expected("`newrdn:`, `deleteoldrdn:` and `newsuperior:`, each once")),
            },
        }
    }
}

fn name_of(value: &[u8], at: usize) -> Result<Dn, At> {
    let text = std::str::from_utf8(value).map_err(|_| (at, LdifProblem::NotUtf8))?;
    text.parse().map_err(|error| (at, LdifProblem::BadDn(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<ChangeRecord>, String> {
        parse_changes(text.as_bytes(), Path::new("c.ldif")).map_err(|error| {
            let shown = |fault: &LdifFault| format!("{}:{}: {}", fault.line, fault.column, fault.problem);
            error.faults.iter().map(shown).collect::<Vec<_>>().join("\n")
        })
    }

    #[test]
    fn what_ldapmodify_reads() {
        let records = read(
            "version: 1\n\ndn: uid=a,dc=x\nchangetype: add\nobjectClass: inetOrgPerson\nobjectclass: top\nuid:: YQ==\nuserPassword: x\n\n\
             # a comment\ndn: uid=b,dc=x\ncontrol: 1.2.3 true\nchangetype: delete\n\n\
             dn: uid=c,dc=x\nchangetype: modify\nadd: mail\nmail: c@x\nmail: d@\n x\n-\ndelete: sn\n-\nreplace: cn\ncn: C\n\n\
             dn: ou=d,dc=x\nchangetype: modrdn\nnewrdn: ou=e\ndeleteoldrdn: 1\nnewsuperior: dc=y\n",
        )
        .unwrap();
        let rdn: Rdn = "ou=e".parse().unwrap();
        assert_eq!(records.iter().map(|record| record.line).collect::<Vec<_>>(), [3, 11, 15, 27]);
        let RecordChange::Add { attributes, id: None } = &records[0].change else { panic!("{:?}", records[0]) };
        assert_eq!(attributes.len(), 2);
        assert_eq!(attributes[1], ("uid".to_owned(), vec![b"a".to_vec()]));
        assert_eq!(records[1].change, RecordChange::Delete);
        let RecordChange::Modify(steps) = &records[2].change else { panic!("{:?}", records[2]) };
        assert_eq!(steps[0].values, [b"c@x".to_vec(), b"d@x".to_vec()]);
        assert_eq!(steps.iter().map(|step| step.operation).collect::<Vec<_>>(), [Operation::Add, Operation::Delete, Operation::Replace]);
        assert_eq!(records[3].change, RecordChange::Rename { rdn, delete_old: true, superior: Some("dc=y".parse().unwrap()) });
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let check = |text: &str, expect: &str| assert_eq!(read(text).unwrap_err(), expect, "{text}");
        check("", "0:0: holds no record");
        check("dn: dc=x\nobjectClass: top\n", "2:1: expected `changetype:` after the `dn:`: add, modify, delete, modrdn or moddn");
        check("dn: dc=x\n", "1:1: expected `changetype:` after the `dn:`: add, modify, delete, modrdn or moddn");
        check("dn: dc=x\nchangetype: mofidy\n", "2:13: expected add, modify, delete, modrdn or moddn");
        check("dn: dc=x\nchangetype: delete\ncn: x\n", "3:1: expected a blank line: nothing follows `changetype: delete`");
        check("dn: dc=x\nchangetype: modify\nadd: mail\ncn: x\n", "4:1: expected `mail:` with a value, or `-`");
        check("dn: dc=x\nchangetype: modify\nincrement: uidNumber\n", "3:1: expected `add:`, `delete:` or `replace:` with an attribute");
        check("dn: dc=x\nchangetype: modrdn\nnewrdn: ou=a\n", "1:1: expected `deleteoldrdn:` 0 or 1");
        check("dn: dc=x\nchangetype: modrdn\nnewrdn: ou=a\ndeleteoldrdn: yes\n", "4:15: expected 0 or 1");
        check(
            "dn: dc=x,\nchangetype: delete\n\ncn: y\n\n-\n",
            "1:5: bad DN: expected `type=value` (RFC 4514 §3)\n4:1: a record begins with `dn:`, and here is `cn:`\n6:1: expected `-` behind a modification only",
        );
        assert!(!read("dn: dc=x\nchangetype: add\nuserPassword;x hunter2\n").unwrap_err().contains("hunter2"));
    }
}
