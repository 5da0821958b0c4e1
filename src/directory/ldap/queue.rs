//! What waits for the store: bounded, and an entry that changes again while it waits is held once.
//!
//! ldap3 hands on messages by a channel without a bound. The session empties it into this queue, and stops reading from the
//! network while the queue is full: then the server waits, not our memory.

use std::collections::{HashMap, VecDeque};

use crate::directory::{Event, Report};
use crate::model::{Attributes, Dn, ObjectId};

/// Reports that may wait: enough to ride over the store's pauses, and with small entries a few megabytes.
const LENGTH_MAX: usize = 8_192;

/// Octets of attributes that may wait: a few groups of 100,000 members (5 MB each) among small entries.
const OCTETS_MAX: usize = 64 << 20;

/// Attributes whose values are names of other entries, and are resolved when they are told.
const REFERENCES: [&str; 3] = ["member", "uniqueMember", "memberUid"];

/// The queue.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// Nothing where a checkpoint was overtaken by a newer one.
    waiting: VecDeque<Option<Report>>,
    /// The number of the first in `waiting`, counted from the beginning of time.
    first: u64,
    octets: usize,
    /// Where the newest `Apply` of an entry waits, outside of a refresh.
    applies: HashMap<ObjectId, u64>,
    /// Where the newest `Apply` of anything under this folded name waits.
    names: HashMap<String, u64>,
    checkpoint: Option<u64>,
}

impl Queue {
    /// Whether more may be read from the network.
    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() < LENGTH_MAX && self.octets < OCTETS_MAX
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Puts a report behind the others, or in the place of an older one that it makes superfluous.
    pub(super) fn push(&mut self, report: Report) {
        let number = self.first + self.waiting.len() as u64;
        match &report {
            Report::Event(Event::Apply(entry)) => {
                if let Some(older) = self.older(entry.id, &entry.dn) {
                    if !REFERENCES.iter().any(|name| entry.attributes.has(name)) {
                        self.octets += octets(&entry.attributes);
                        self.replace(older, report);
                        return;
                    }
                    // Its values are names, and these mean what they mean after all that waits. Nothing that waits needs the older one.
                    self.remove(older);
                }
                self.applies.insert(entry.id, number);
                self.names.insert(entry.dn.key(), number);
            }
            Report::Event(Event::Delete(id)) => {
                self.applies.remove(id);
            }
            // What is told in a refresh is built aside: nothing before it stands for anything in it.
            Report::Event(Event::Init | Event::InitDone { .. }) => self.applies.clear(),
            // A cookie describes all before it, so the newest is enough.
            Report::Event(Event::Checkpoint(_)) => {
                if let Some(older) = self.checkpoint.replace(number) {
                    self.remove(older);
                }
            }
            _ => {}
        }
        if let Report::Event(Event::Apply(entry) | Event::InitApply(entry)) = &report {
            self.octets += octets(&entry.attributes);
        }
        self.waiting.push_back(Some(report));
    }

    /// The next report.
    pub(super) fn pop(&mut self) -> Option<Report> {
        loop {
            let report = self.waiting.pop_front()?;
            let number = self.first;
            self.first += 1;
            if self.checkpoint == Some(number) {
                self.checkpoint = None;
            }
            if let Some(Report::Event(Event::Apply(entry) | Event::InitApply(entry))) = &report {
                self.octets = self.octets.saturating_sub(octets(&entry.attributes));
                if self.applies.get(&entry.id) == Some(&number) {
                    self.applies.remove(&entry.id);
                }
                if !self.names.is_empty() && self.names.get(&entry.dn.key()) == Some(&number) {
                    self.names.remove(&entry.dn.key());
                }
            }
            if report.is_some() {
                return report;
            }
        }
    }

    /// An `Apply` of the entry under the same name, in whose place a newer one may stand.
    ///
    /// Not so when something came to stand above that name meanwhile: then the name means another place than it did.
    fn older(&self, id: ObjectId, dn: &Dn) -> Option<u64> {
        let number = *self.applies.get(&id)?;
        let same = matches!(self.at(number), Some(Some(Report::Event(Event::Apply(entry)))) if entry.dn == *dn && entry.dn.to_string() == dn.to_string());
        let mut above = dn.parent();
        let mut stands = same;
        while let Some(name) = above.filter(|_| stands) {
            stands = self.names.get(&name.key()).is_none_or(|&other| other < number);
            above = name.parent();
        }
        stands.then_some(number)
    }

    fn at(&self, number: u64) -> Option<&Option<Report>> {
        usize::try_from(number.checked_sub(self.first)?).ok().and_then(|index| self.waiting.get(index))
    }

    fn replace(&mut self, number: u64, report: Report) {
        let index = number.checked_sub(self.first).and_then(|index| usize::try_from(index).ok());
        if let Some(slot) = index.and_then(|index| self.waiting.get_mut(index))
            && let Some(Report::Event(Event::Apply(old))) = slot.replace(report)
        {
            self.octets = self.octets.saturating_sub(octets(&old.attributes));
        }
    }

    fn remove(&mut self, number: u64) {
        let index = number.checked_sub(self.first).and_then(|index| usize::try_from(index).ok());
        if let Some(slot) = index.and_then(|index| self.waiting.get_mut(index))
            && let Some(Report::Event(Event::Apply(old))) = slot.take()
        {
            self.octets = self.octets.saturating_sub(octets(&old.attributes));
        }
    }
}

/// What an entry's attributes take up, roughly.
fn octets(attributes: &Attributes) -> usize {
    attributes.iter().map(|(name, values)| name.len().min(16) + values.iter().map(|value| value.len() + 2).sum::<usize>()).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::directory::{Cookie, Entry};

    fn id(n: u8) -> ObjectId {
        ObjectId::from_bytes([n; 16])
    }

    fn apply(n: u8, dn: &str, value: u32) -> Report {
        let attributes = [("v", value.to_string().into_bytes())].into_iter().collect();
        Report::Event(Event::Apply(Entry { id: id(n), dn: dn.parse().unwrap(), attributes }))
    }

    fn checkpoint(n: u8) -> Report {
        Report::Event(Event::Checkpoint(Cookie(vec![n])))
    }

    fn delete(n: u8) -> Report {
        Report::Event(Event::Delete(id(n)))
    }

    fn through(reports: &[Report]) -> Vec<Report> {
        let mut queue = Queue::default();
        for report in reports {
            queue.push(report.clone());
        }
        let out = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!((queue.octets, queue.applies.len(), queue.names.len(), queue.checkpoint), (0, 0, 0, None));
        out
    }

    #[test]
    fn an_entry_waits_once() {
        assert_eq!(through(&[apply(1, "cn=a", 1), apply(2, "cn=b", 1), apply(1, "cn=a", 2)]), [apply(1, "cn=a", 2), apply(2, "cn=b", 1)]);
        // Under another name, or after it was deleted, it is told again.
        let moved = [apply(1, "cn=a", 1), apply(1, "cn=b", 2)];
        assert_eq!(through(&moved), moved);
        let again = [apply(1, "cn=a", 1), delete(1), apply(1, "cn=a", 2)];
        assert_eq!(through(&again), again);
    }

    #[test]
    fn the_newest_cookie_is_enough() {
        let reports = [apply(1, "cn=a", 1), checkpoint(1), apply(2, "cn=b", 1), checkpoint(2), apply(1, "cn=a", 2)];
        assert_eq!(through(&reports), [apply(1, "cn=a", 2), apply(2, "cn=b", 1), checkpoint(2)]);
    }

    #[test]
    fn a_groups_names_mean_what_they_mean_now() {
        let group = |member: &str| {
            let attributes = [("member", member.as_bytes().to_vec())].into_iter().collect();
            Report::Event(Event::Apply(Entry { id: id(9), dn: "cn=g".parse().unwrap(), attributes }))
        };
        // 1 gives up its name, 2 takes it, and the group then holds 2. In the older one's place it would hold 1.
        let (renamed, taken) = (apply(1, "cn=old", 2), apply(2, "cn=x", 2));
        let reports = [apply(1, "cn=x", 1), group("cn=y"), renamed.clone(), checkpoint(1), taken.clone(), group("cn=x")];
        assert_eq!(through(&reports), [apply(1, "cn=x", 1), renamed, checkpoint(1), taken, group("cn=x")]);
    }

    #[test]
    fn not_when_the_name_means_another_place() {
        // The unit 1 goes away, 3 takes its name, and the user 2 moves there: under the name that it had before.
        let reports = [apply(2, "cn=u,ou=a", 1), apply(1, "ou=b", 1), apply(3, "ou=a", 1), apply(2, "cn=u,ou=a", 2)];
        assert_eq!(through(&reports), reports);
    }

    #[test]
    fn a_refresh_stands_apart() {
        let init = Report::Event(Event::Init);
        let done = Report::Event(Event::InitDone { sweep: true, cookie: None });
        let reports = [apply(1, "cn=a", 1), init, done, apply(1, "cn=a", 2)];
        assert_eq!(through(&reports), reports);
    }

    #[test]
    fn full_at_a_limit() {
        let mut queue = Queue::default();
        for n in 0..LENGTH_MAX {
            assert!(queue.has_room());
            queue.push(Report::Progress { entries: n as u64 });
        }
        assert!(!queue.has_room());
        queue.pop();
        assert!(queue.has_room());
        // A large group counts by its size.
        let members = (0..1_000_000u32).map(|n| n.to_be_bytes().repeat(20));
        let mut attributes = Attributes::new();
        attributes.add("member", members);
        queue.push(Report::Event(Event::Apply(Entry { id: id(1), dn: "cn=g".parse().unwrap(), attributes })));
        assert!(!queue.has_room());
    }

    /// A tree by id, parent and RDN, as a server has it, and the events that it sends.
    fn play(steps: &[(u8, u8, u8)]) -> Vec<Report> {
        let mut places: HashMap<u8, (Option<u8>, u8)> = HashMap::new();
        let name = |places: &HashMap<u8, (Option<u8>, u8)>, id: u8| {
            let mut rdns = Vec::new();
            let mut at = Some(id);
            while let Some((above, rdn)) = at.and_then(|id| places.get(&id)) {
                rdns.push(format!("cn={rdn}"));
                at = *above;
            }
            rdns.join(",")
        };
        let mut out = Vec::new();
        for (index, &(id, above, rdn)) in steps.iter().enumerate() {
            let above = (above != id && places.contains_key(&above)).then_some(above);
            // No cycles, and no two of one name.
            let mut upper = above;
            let mut cycle = false;
            while let Some(at) = upper {
                cycle |= at == id;
                upper = places.get(&at).and_then(|(above, _)| *above);
            }
            if cycle || places.iter().any(|(other, place)| *other != id && *place == (above, rdn)) {
                continue;
            }
            places.insert(id, (above, rdn));
            out.push(apply(id, &name(&places, id), u32::try_from(index).unwrap()));
        }
        out
    }

    /// Where everything is after these events, by following them.
    fn follow(reports: &[Report]) -> Vec<(ObjectId, Option<ObjectId>, String, Option<String>)> {
        let mut places: HashMap<ObjectId, (Option<ObjectId>, Dn, Option<String>)> = HashMap::new();
        for report in reports {
            let Report::Event(Event::Apply(entry)) = report else { panic!() };
            let above = entry.dn.parent().filter(|dn| !dn.is_empty());
            let full = |places: &HashMap<ObjectId, (Option<ObjectId>, Dn, Option<String>)>, id: ObjectId| {
                let mut rdns = Vec::new();
                let mut at = Some(id);
                while let Some((above, rdn, _)) = at.and_then(|id| places.get(&id)) {
                    rdns.extend_from_slice(rdn.rdns());
                    at = *above;
                }
                Dn::from_rdns(rdns)
            };
            let above = above.map(|dn| *places.keys().find(|id| full(&places, **id) == dn).expect("what is above comes first"));
            let rdn = Dn::from_rdns(vec![entry.dn.rdn().unwrap().clone()]);
            places.insert(entry.id, (above, rdn, entry.attributes.text("v").map(str::to_owned)));
        }
        let mut out: Vec<_> = places.into_iter().map(|(id, (above, rdn, value))| (id, above, rdn.to_string(), value)).collect();
        out.sort();
        out
    }

    proptest! {
        #[test]
        fn what_waits_leads_to_the_same_tree(steps in prop::collection::vec((0..5u8, 0..5u8, 0..3u8), 0..30)) {
            let reports = play(&steps);
            prop_assert_eq!(follow(&through(&reports)), follow(&reports));
        }
    }
}
