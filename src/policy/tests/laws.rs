//! What holds in every directory, whatever it looks like.

use proptest::prelude::*;

use super::incremental::{Directory, Op, answer, op};
use super::world::{Draft, World};
use crate::directory::Event;
use crate::policy::catalogue::Setting;
use crate::policy::{Engine, Layer, Operator};
use crate::store::Store;

/// A directory after some operations.
fn directory(ops: &[Op]) -> Directory {
    let mut directory = Directory::new();
    for op in ops {
        directory.apply(op);
    }
    directory
}

/// The same objects as one fresh list.
fn listed(directory: &Directory, drafts: &[Draft]) -> World {
    let mut world = World::new("");
    world.config = directory.world.config.clone();
    world.store = Store::new();
    world.event(Event::Init);
    for draft in drafts {
        world.event(Event::InitApply(draft.entry()));
    }
    world.event(Event::InitDone { sweep: true, cookie: None });
    world
}

fn values(engine: &Engine, setting: Setting) -> Vec<(String, Vec<String>)> {
    let text = |resolved: &crate::policy::Resolved| {
        let values = resolved.get(setting).map(|d| d.values.iter().map(ToString::to_string).collect());
        (resolved.aor.to_string(), values.unwrap_or_default())
    };
    engine.users().map(|resolved| text(&resolved)).collect()
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    prop::collection::vec(op(), 1..25)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Attribute values are a set, and a server gives them in any order.
    #[test]
    fn the_order_of_values_is_nobodys_matter(ops in ops(), turn in 1..5_usize) {
        let directory = directory(&ops);
        let drafts = directory.drafts();
        let mut turned = drafts.clone();
        for draft in &mut turned {
            let turn = turn % draft.lines.len().max(1);
            draft.lines.rotate_left(turn);
            draft.attributes.reverse();
        }
        prop_assert_eq!(answer(&listed(&directory, &turned).engine()), answer(&listed(&directory, &drafts).engine()));
    }

    /// Nothing below changes what the configuration enforces.
    #[test]
    fn the_outermost_enforcement_holds_for_everybody(ops in ops()) {
        let mut directory = directory(&ops);
        directory.world.config.settings = vec!["sip.expires ! 77".into(), "sip.registrar ! 5 0 sips:only.x.example".into()];
        let engine = directory.world.engine();
        for resolved in engine.users() {
            for (setting, expect) in [(Setting::SIP_EXPIRES, "77"), (Setting::SIP_REGISTRAR, "5 0 sips:only.x.example")] {
                let decision = resolved.get(setting).unwrap();
                prop_assert_eq!(decision.values.iter().map(ToString::to_string).collect::<Vec<_>>(), [expect]);
                prop_assert_eq!((decision.source.layer, decision.source.operator), (Layer::Config, Operator::Enforce));
            }
        }
    }

    /// Blocks never touch emergency settings, nor anything that stands further in or higher up.
    #[test]
    fn blocks_leave_emergency_settings_alone(ops in ops()) {
        let mut directory = directory(&ops);
        // Everybody has a document, whatever is blocked.
        directory.world.config.settings = vec!["sip.registrar ! 5 0 sips:only.x.example".into()];
        let drafts = directory.drafts();
        let mut unblocked = drafts.clone();
        for draft in &mut unblocked {
            draft.lines.retain(|line| !line.starts_with("block"));
        }
        let (with, without) = (listed(&directory, &drafts).engine(), listed(&directory, &unblocked).engine());
        prop_assert_eq!(values(&with, Setting::EMERGENCY_NUMBER), values(&without, Setting::EMERGENCY_NUMBER));
    }

    /// A line that nobody else disputes reaches everybody, from the outermost layer.
    #[test]
    fn what_only_the_configuration_says_holds(ops in ops()) {
        let mut directory = directory(&ops);
        directory.world.config.settings = vec!["dial.country = DE".into(), "sip.registrar = 10 0 sips:r0.x.example".into()];
        let engine = directory.world.engine();
        for (_, countries) in values(&engine, Setting::DIAL_COUNTRY) {
            prop_assert_eq!(countries, ["DE"]);
        }
    }
}
