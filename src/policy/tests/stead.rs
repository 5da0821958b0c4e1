//! Domain-wide policies and servers in Active Directory: CN=Dialcast,CN=System stands for the domain.

use super::world::{World, drafts};
use crate::directory::Event;
use crate::model::Dn;
use crate::policy::catalogue::Setting;
use crate::store::ChangeSet;

const TREE: &str = "
    domain DC=corp,DC=example
      container CN=System
        container CN=Dialcast
          policy CN=phones
            | sip.registrar = 10 0 sips:reg.corp.example
            | sip.outbound-proxy = @nearest(outbound-proxy)
          server CN=hq
            | role = outbound-proxy
            | server = 10 0 sips:hq.corp.example
        container CN=Other
          policy CN=phones
            | language = fr
      container CN=Users
        user CN=anna
      ou OU=Berlin
        container CN=System
          container CN=Dialcast
            policy CN=phones
              | language = it
        user CN=boris
";

fn value(world: &World, user: &str, setting: &str) -> Option<String> {
    let engine = world.engine();
    let resolved = engine.user_by_aor(&format!("sip:{user}@corp.example").parse().unwrap())?;
    let decision = resolved.get(Setting::named(setting).unwrap())?;
    Some(decision.values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
}

#[test]
fn it_stands_for_the_domain_and_no_other_container_does() {
    let world = World::new(TREE);
    for user in ["anna", "boris"] {
        assert_eq!(value(&world, user, "sip.registrar").as_deref(), Some("10 0 sips:reg.corp.example"));
        assert_eq!(value(&world, user, "sip.outbound-proxy").as_deref(), Some("10 0 sips:hq.corp.example"));
        assert_ne!(value(&world, user, "language").as_deref(), Some("fr"));
        assert_ne!(value(&world, user, "language").as_deref(), Some("it"));
    }
}

/// Renamed away and back, step by step and all at once.
#[test]
fn it_follows_the_name() {
    let mut world = World::new(TREE);
    let mut engine = world.engine();
    let named = |dn: &str| {
        let dn: Dn = dn.parse().unwrap();
        drafts(TREE).into_iter().find(|draft| draft.dn == dn).unwrap()
    };
    for (of, names) in [
        ("CN=Dialcast,CN=System,DC=corp,DC=example", ["CN=Away,CN=System,DC=corp,DC=example", "CN=Dialcast,CN=System,DC=corp,DC=example"]),
        ("CN=System,DC=corp,DC=example", ["CN=Away,DC=corp,DC=example", "CN=System,DC=corp,DC=example"]),
    ] {
        let mut draft = named(of);
        for (name, there) in names.into_iter().zip([false, true]) {
            draft.dn = name.parse().unwrap();
            let changes: Vec<ChangeSet> = world.event(Event::Apply(draft.entry())).into_iter().collect();
            engine.update(&world.store.snapshot(), &changes);
            let aor = "sip:anna@corp.example".parse().unwrap();
            let is_published = engine.user_by_aor(&aor).is_some();
            assert_eq!(is_published, there, "{name}: without the domain's policy nobody has a registrar");
            let proxy = || engine.user_by_aor(&aor)?.get(Setting::named("sip.outbound-proxy")?).map(|found| found.values.len());
            assert_eq!(proxy(), there.then_some(1), "{name}");
        }
    }
}
