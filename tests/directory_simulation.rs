//! Random operations on a directory in memory, through each dialect's fake server: at the end the store is what the directory is.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common {
    pub(crate) mod model;
}

use common::model::{Change, INSIDE, Model, expected, id, name, seen};
use dialcast::directory::{Entry, Event};
use dialcast::model::{Attributes, Timestamp};
use dialcast::store::Store;

/// An entry as a feed reports it.
fn told(model: &Model, number: u32) -> Entry {
    let entry = model.entry(number).unwrap();
    let mut attributes = Attributes::new();
    for (name, values) in model.attributes(entry) {
        attributes.add(name, values.into_iter().map(String::into_bytes));
    }
    Entry { id: id(number), dn: name(&model.dn(number)), attributes }
}

#[test]
fn the_model_and_the_store_agree() {
    for seed in 1..=30 {
        let mut model = Model::new(seed, 20);
        let mut store = Store::new();
        store.apply(Event::Init, Timestamp(0));
        for entry in model.below("dc=x") {
            store.apply(Event::InitApply(told(&model, entry.number)), Timestamp(0));
        }
        store.apply(Event::InitDone { sweep: true, cookie: None }, Timestamp(0));
        assert_eq!(seen(&store), expected(&model, "dc=x"), "seed {seed}");
        assert!(!model.below(INSIDE).is_empty());
        for step in 0..60 {
            for change in model.step() {
                let event = match change {
                    Change::Added(number) | Change::Modified(number) | Change::Moved { number, .. } => Event::Apply(told(&model, number)),
                    Change::Deleted(entry, _) => Event::Delete(id(entry.number)),
                };
                store.apply(event, Timestamp(0));
            }
            assert_eq!(seen(&store), expected(&model, "dc=x"), "seed {seed}, step {step}");
        }
    }
}
