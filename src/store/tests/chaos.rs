//! Events in any order, consistent or not: whatever a feed says, the state stays sound, the change sets lead from state to
//! state, and telling the same again changes nothing.

use proptest::prelude::*;

use super::support::*;
use crate::directory::{Cookie, Entry, Event};
use crate::model::Timestamp;
use crate::store::Store;

/// Few ids and few names, so that they collide; roots that nest.
fn names() -> impl Strategy<Value = String> {
    let suffix = prop_oneof![Just("dc=a"), Just("dc=b,dc=a"), Just("dc=c,dc=b,dc=a"), Just("o=z")];
    let leaf = prop_oneof![Just("ou=x"), Just("ou=y"), Just("OU=X"), Just("uid=u"), Just("cn=g")];
    (prop::collection::vec(leaf, 0..4), suffix)
        .prop_map(|(leaves, suffix)| leaves.into_iter().chain([suffix]).collect::<Vec<_>>().join(","))
}

fn ids() -> impl Strategy<Value = char> {
    prop::char::range('a', 'h')
}

prop_compose! {
    fn entries()(id in ids(), name in names(), members in prop::collection::vec(names(), 0..3), uid in prop::option::of(0..3u8), member_uid in prop::option::of(0..3u8)) -> Entry {
        let mut line = format!("{id} {name}");
        for member in members {
            line.push_str("|member=");
            line.push_str(&member);
        }
        line.extend(uid.map(|n| format!("|uid=u{n}")));
        line.extend(member_uid.map(|n| format!("|memberUid=U{n}")));
        entry(&line)
    }
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => entries().prop_map(Event::Apply),
        3 => ids().prop_map(|letter| Event::Delete(id(letter))),
        1 => Just(Event::Init),
        2 => ids().prop_map(|letter| Event::InitKeep(id(letter))),
        1 => any::<bool>().prop_map(|sweep| Event::InitDone { sweep, cookie: None }),
        1 => Just(Event::Checkpoint(Cookie(vec![1]))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn any_events(events in prop::collection::vec(events(), 1..40)) {
        let mut store = store(&[]);
        for event in events {
            let again = event.clone();
            step(&mut store, event);
            if let Event::Apply(_) | Event::Delete(_) = again {
                prop_assert_eq!(step(&mut store, again).changes, None, "the second time is no news");
            }
        }
    }

    /// A list means the same whatever its order, whatever was there before, and whether it comes as a list or one by one.
    #[test]
    fn any_order(entries in prop::collection::vec(entries(), 1..12), before in prop::collection::vec(entries(), 0..8), seed in any::<u64>()) {
        // One entry for each id, name and login name: what a directory can hold, and nothing ambiguous.
        let mut list: Vec<Entry> = Vec::new();
        for entry in entries {
            let same = |other: &Entry| other.id == entry.id || other.dn == entry.dn || other.attributes.text("uid").is_some_and(|uid| entry.attributes.text("uid") == Some(uid));
            if !list.iter().any(same) {
                list.push(entry);
            }
        }
        let mut shuffled = list.clone();
        let mut state = seed;
        shuffled.sort_by_cached_key(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state >> 33
        });
        let load = |store: &mut Store, list: &[Entry]| {
            step(store, Event::Init);
            for entry in list {
                step(store, Event::InitApply(entry.clone()));
            }
            step(store, Event::InitDone { sweep: true, cookie: None });
        };
        let (mut plain, mut other, mut one_by_one) = (store(&[]), store(&[]), store(&[]));
        load(&mut plain, &list);
        for entry in before {
            step(&mut other, Event::Apply(entry));
        }
        load(&mut other, &shuffled);
        for entry in shuffled {
            one_by_one.apply(Event::Apply(entry), Timestamp(1));
        }
        let groups = |store: &Store| {
            let state = store.snapshot();
            list.iter().map(|entry| members(&state, letter(entry.id))).collect::<Vec<_>>()
        };
        // Glue is spelled like the first name that needed it.
        let tree = |store: &Store| outline(&store.snapshot()).to_lowercase();
        prop_assert_eq!(tree(&plain), tree(&other));
        prop_assert_eq!(tree(&plain), tree(&one_by_one));
        prop_assert_eq!(groups(&plain), groups(&one_by_one));
    }

    /// A plain list, every entry below one that is there, is made as a whole: it comes to what one entry after the other comes to.
    #[test]
    fn a_plain_list(drafts in prop::collection::vec((0..6_usize, 0..4_usize, prop::collection::vec((0..8_usize, any::<bool>()), 0..4), 0..4_u8), 1..8)) {
        let mut names = vec!["dc=b,dc=a".to_owned()];
        let leaves = ["ou=x", "cn=g", "uid=u", "OU=y"];
        for (index, (above, leaf, ..)) in drafts.iter().enumerate() {
            names.push(format!("{}{index},{}", leaves[*leaf], names[above % names.len()]));
        }
        let mut list = vec![entry("z dc=b,dc=a")];
        for ((letter, name), (_, _, members, uid)) in ('a'..).zip(names.iter().skip(1)).zip(&drafts) {
            let mut line = format!("{letter} {name}|uid=u{uid}|memberUid=U{uid}");
            for (member, folded) in members {
                // Some are not there, and some are there in two spellings.
                let member = names.get(*member).map_or("uid=gone,dc=b,dc=a", String::as_str);
                line.push_str("|member=");
                line.push_str(&if *folded { member.to_uppercase() } else { member.to_owned() });
            }
            list.push(entry(&line));
        }
        let (mut whole, mut one_by_one) = (Store::new(), store(&[]));
        step(&mut whole, Event::Init);
        for entry in list.iter().rev() {
            step(&mut whole, Event::InitApply(entry.clone()));
        }
        step(&mut whole, Event::InitDone { sweep: true, cookie: None });
        for entry in &list {
            step(&mut one_by_one, Event::Apply(entry.clone()));
        }
        // Told again, so that each group's values are read against all entries.
        step(&mut one_by_one, Event::Init);
        for entry in &list {
            step(&mut one_by_one, Event::InitApply(entry.clone()));
        }
        step(&mut one_by_one, Event::InitDone { sweep: true, cookie: None });
        let (one, other) = (whole.snapshot(), one_by_one.snapshot());
        prop_assert_eq!(outline(&one), outline(&other));
        for entry in &list {
            prop_assert_eq!(members(&one, letter(entry.id)), members(&other, letter(entry.id)));
            prop_assert_eq!(one.groups_of(entry.id).collect::<Vec<_>>(), other.groups_of(entry.id).collect::<Vec<_>>());
        }
        let held = |state: &crate::store::Snapshot| state.groups.all().map(|(group, name, held)| (group, name.clone(), held.clone())).collect::<Vec<_>>();
        prop_assert_eq!(held(&one), held(&other));
    }
}
