//! Sites and subnets: which address is where, and what that makes of a user's settings.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::world::{Draft, World, drafts, shown};
use crate::directory::Event;
use crate::model::{DeviceId, Resource, Severity, Spot};
use crate::policy::catalogue::Setting;
use crate::policy::{Answer, Engine, explain};

const TREE: &str = "
    domain DC=corp,DC=example
      | sip.registrar = 10 0 sips:reg.corp.example
      | net.stun = 10 0 stun:stun.corp.example
      | emergency.number = 112
      | language = en
      ou OU=Network
        site CN=Berlin
          | net.stun = 10 0 stun:ber.corp.example
          | emergency.location = civic:country=DE;A1=Berlin
          | ntp = time.ber.corp.example
          | language = de
          | media.max-bandwidth = 8000
        site CN=Rome
          | emergency.location = civic:country=IT;A1=Rome
        site CN=Quiet
        subnet CN=ber
          dialcastSubnetPrefix: 10.1.0.0/16
          dialcastSubnetPrefix: 2001:db8:1::/48
          dialcastSiteDN: CN=Berlin,OU=Network,DC=corp,DC=example
        subnet CN=ber-lab
          | media.max-bandwidth = 500
          | emergency.number += 110
          dialcastSubnetPrefix: 10.1.9.0/24
          dialcastSiteDN: CN=Berlin,OU=Network,DC=corp,DC=example
        subnet CN=rome-lan
          dialcastSubnetPrefix: 10.2.0.0/16
          dialcastSiteDN: CN=Rome,OU=Network,DC=corp,DC=example
        subnet CN=quiet-lan
          dialcastSubnetPrefix: 10.1.200.0/24
          dialcastSiteDN: CN=Quiet,OU=Network,DC=corp,DC=example
        subnet CN=nowhere
          | qos.audio = 10
          dialcastSubnetPrefix: 10.3.0.0/16
      ou OU=People
        | language = fr
        user CN=anna
        user CN=boris
          | net.stun += 20 0 stun:own.corp.example
          | media.max-bandwidth = 64
      device CN=phone1
        macAddress: 00:15:65:f4:f9:e1
        | firmware.version = 2.0
        | ntp += own.corp.example
";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn spot(engine: &Engine, address: &str) -> Spot {
    engine.network().at(ip(address)).endpoint.as_deref().copied().unwrap_or_default()
}

/// The settings of a resource where an address is, `setting: values (layer object)`; only those named.
pub(super) fn at(world: &World, engine: &mut Engine, resource: &Resource, address: &str, names: &[&str]) -> String {
    let here = engine.network().at(ip(address)).clone();
    let spot = if *resource == Resource::LocalNetwork { *here.network } else { here.endpoint.as_deref().copied().unwrap_or_default() };
    let answer = engine.want(resource, spot).unwrap_or_else(|| panic!("{resource:?} has no settings"));
    let found = |setting: Setting| match &answer {
        Answer::Disabled(_) => None,
        Answer::User(resolved) => resolved.get(setting).cloned(),
        Answer::Part(part) => part.iter().find(|(held, _)| *held == setting).map(|(_, decision)| decision.clone()),
    };
    let line = |name: &&str| {
        let decision = found(Setting::named(name).unwrap());
        format!("{name}: {}\n", decision.map_or_else(|| "none".into(), |decision| shown(&decision, &world.snapshot())))
    };
    names.iter().map(line).collect()
}

pub(super) fn user(name: &str) -> Resource {
    Resource::User(format!("sip:{name}@corp.example").parse().unwrap())
}

#[test]
fn the_longest_prefix_decides_and_only_what_governs_counts() {
    let world = World::new(TREE);
    let engine = world.engine();
    let check = |address: &str, site: Option<&str>, subnet: Option<&str>| {
        let expect = Spot { site: site.map(|name| world.named(name)), subnet: subnet.map(|name| world.named(name)), container: None };
        assert_eq!(spot(&engine, address), expect, "{address}");
    };
    check("10.1.2.3", Some("Berlin"), None);
    check("::ffff:10.1.2.3", Some("Berlin"), None);
    check("2001:db8:1:5::9", Some("Berlin"), None);
    check("10.1.9.3", Some("Berlin"), Some("ber-lab"));
    check("10.2.0.1", Some("Rome"), None);
    // A subnet of a site that says nothing is nowhere, though a shorter prefix is somewhere.
    check("10.1.200.1", None, None);
    check("10.3.0.1", None, Some("nowhere"));
    check("192.0.2.1", None, None);
    check("2001:db8:2::1", None, None);
}

#[test]
fn an_address_in_no_subnet_is_in_the_only_site() {
    let one = "
        domain DC=x
          site CN=Berlin
            | qos.audio = 10
          subnet CN=s
            dialcastSubnetPrefix: 10.0.0.0/8
    ";
    let world = World::new(one);
    let engine = world.engine();
    assert_eq!(spot(&engine, "192.0.2.1").site, Some(world.named("Berlin")));
    assert_eq!(spot(&engine, "2001:db8::1").site, Some(world.named("Berlin")));
    // A subnet that names no site is in none.
    assert_eq!(spot(&engine, "10.0.0.1"), Spot::default());
    let two = World::new(&format!("{}\n          site CN=Rome\n", one.trim_end()));
    assert_eq!(spot(&two.engine(), "192.0.2.1"), Spot::default());
}

#[test]
fn network_settings_follow_the_endpoint_and_the_others_stand_below_the_domain() {
    let world = World::new(TREE);
    let mut engine = world.engine();
    let names = ["net.stun", "emergency.location", "emergency.number", "media.max-bandwidth", "ntp", "language"];
    let mut at = |name: &str, address: &str| at(&world, &mut engine, &user(name), address, &names);
    insta::assert_snapshot!(at("anna", "10.1.2.3"), @r"
    net.stun: 10 0 stun:ber.corp.example (site Berlin)
    emergency.location: civic:country=DE;A1=Berlin (site Berlin)
    emergency.number: 112 (domain corp)
    media.max-bandwidth: 8000 (site Berlin)
    ntp: time.ber.corp.example (site Berlin)
    language: fr (OU 1 People)
    ");
    insta::assert_snapshot!(at("anna", "10.1.9.3"), @r"
    net.stun: 10 0 stun:ber.corp.example (site Berlin)
    emergency.location: civic:country=DE;A1=Berlin (site Berlin)
    emergency.number: 112, 110 (subnet ber-lab)
    media.max-bandwidth: 500 (subnet ber-lab)
    ntp: time.ber.corp.example (site Berlin)
    language: fr (OU 1 People)
    ");
    insta::assert_snapshot!(at("boris", "10.2.0.1"), @r"
    net.stun: 10 0 stun:stun.corp.example, 20 0 stun:own.corp.example (user boris)
    emergency.location: civic:country=IT;A1=Rome (site Rome)
    emergency.number: 112 (domain corp)
    media.max-bandwidth: 64 (user boris)
    ntp: none
    language: fr (OU 1 People)
    ");
    insta::assert_snapshot!(at("boris", "10.1.9.3"), @r"
    net.stun: 10 0 stun:ber.corp.example (site Berlin)
    emergency.location: civic:country=DE;A1=Berlin (site Berlin)
    emergency.number: 112, 110 (subnet ber-lab)
    media.max-bandwidth: 500 (subnet ber-lab)
    ntp: time.ber.corp.example (site Berlin)
    language: fr (OU 1 People)
    ");
    insta::assert_snapshot!(at("anna", "192.0.2.1"), @r"
    net.stun: 10 0 stun:stun.corp.example (domain corp)
    emergency.location: none
    emergency.number: 112 (domain corp)
    media.max-bandwidth: 0 (built-in)
    ntp: none
    language: fr (OU 1 People)
    ");
}

#[test]
fn a_network_and_a_device_have_profiles_of_their_own() {
    let world = World::new(TREE);
    let mut engine = world.engine();
    let names = ["net.stun", "emergency.number", "media.max-bandwidth", "ntp", "sip.registrar"];
    insta::assert_snapshot!(at(&world, &mut engine, &Resource::LocalNetwork, "10.1.9.3", &names), @r"
    net.stun: 10 0 stun:ber.corp.example (site Berlin)
    emergency.number: 112, 110 (subnet ber-lab)
    media.max-bandwidth: 500 (subnet ber-lab)
    ntp: none
    sip.registrar: none
    ");
    // In no subnet: what holds for everything that there is.
    insta::assert_snapshot!(at(&world, &mut engine, &Resource::LocalNetwork, "192.0.2.1", &names), @r"
    net.stun: 10 0 stun:stun.corp.example (domain corp)
    emergency.number: 112 (domain corp)
    media.max-bandwidth: 0 (built-in)
    ntp: none
    sip.registrar: none
    ");
    let phone = Resource::Device(DeviceId::parse("MAC001565F4F9E1").unwrap());
    let names = ["firmware.version", "ntp", "language", "net.stun", "sip.registrar"];
    insta::assert_snapshot!(at(&world, &mut engine, &phone, "10.1.2.3", &names), @r"
    firmware.version: 2.0 (device phone1)
    ntp: time.ber.corp.example, own.corp.example (device phone1)
    language: en (domain corp)
    net.stun: none
    sip.registrar: none
    ");
    let other = Resource::Device(DeviceId::parse("MAC001565F4F9E2").unwrap());
    assert!(engine.want(&other, Spot::default()).is_none());
}

#[test]
fn enforced_and_blocked() {
    let world = World::configured(
        "
        domain DC=x
          | media.max-bandwidth ! 1000
          site CN=HQ
            | media.max-bandwidth ! 2000
            | qos.audio ! 10
            | qos.video = 11
            | language = de
            | record.mode ! always
          subnet CN=s
            | qos.audio = 12
            | qos.video = 13
            dialcastSubnetPrefix: 10.0.0.0/8
            dialcastSiteDN: CN=HQ,DC=x
          ou OU=a
            | block
            | record.mode = never
            user CN=anna
        ",
        &["sip.registrar = 10 0 sips:reg.x.example"],
    );
    let mut engine = world.engine();
    insta::assert_snapshot!(
        at(&world, &mut engine, &user("anna"), "10.0.0.1", &["sip.registrar", "media.max-bandwidth", "qos.audio", "qos.video", "language", "record.mode"]),
        @r"
        sip.registrar: 10 0 sips:reg.x.example (config)
        media.max-bandwidth: 1000 (domain x)
        qos.audio: 10 (site HQ)
        qos.video: 13 (subnet s)
        language: none
        record.mode: always (site HQ)
        "
    );
}

#[test]
fn groups_filter_policies_of_sites() {
    let world = World::new(
        "
        domain DC=x
          | sip.registrar = 10 0 sips:reg.x.example
          site CN=HQ
            policy CN=staff
              | filter group:CN=staff,DC=x
              | qos.audio = 10
              | language = de
            policy CN=others
              | filter deny group:CN=staff,DC=x
              | qos.audio = 11
          subnet CN=s
            dialcastSubnetPrefix: 10.0.0.0/8
            dialcastSiteDN: CN=HQ,DC=x
          user CN=anna
          user CN=boris
          group CN=staff
            member: CN=anna,DC=x
        ",
    );
    let mut engine = world.engine();
    let names = ["qos.audio", "language"];
    insta::assert_snapshot!(at(&world, &mut engine, &user("anna"), "10.0.0.1", &names), @r"
    qos.audio: 10 (site staff)
    language: de (site staff)
    ");
    insta::assert_snapshot!(at(&world, &mut engine, &user("boris"), "10.0.0.1", &names), @r"
    qos.audio: 11 (site others)
    language: none
    ");
    // Nobody is in a group there.
    insta::assert_snapshot!(at(&world, &mut engine, &Resource::LocalNetwork, "10.0.0.1", &names), @r"
    qos.audio: 11 (site others)
    language: none
    ");
}

#[test]
fn faults_of_the_network() {
    let check = |subnet: &str, expect: &str| {
        let tree = format!(
            "
        domain DC=x
          site CN=HQ
          other CN=thing
          subnet CN=first
            dialcastSubnetPrefix: 10.0.0.0/8
            createTimestamp: 20200101000000Z
          subnet CN=s
{}
          user CN=anna
",
            subnet.lines().map(|line| format!("            {}", line.trim())).collect::<Vec<_>>().join("\n")
        );
        let world = World::configured(&tree, &["sip.registrar = 10 0 sips:reg.x.example"]);
        let faults = world.engine().faults();
        let shown: Vec<String> = faults.iter().filter(|f| f.severity == Severity::Warning).map(|f| format!("{} {f}", f.code)).collect();
        assert_eq!(shown.join("\n"), expect, "{subnet}");
    };
    check("dialcastSubnetPrefix: 10.1.0.0/16\ndialcastSiteDN: CN=HQ,DC=x", "");
    check(
        "dialcastSubnetPrefix: 10.1.0.1/16",
        "network.prefix CN=s,DC=x (dialcastSubnetPrefix: 10.1.0.1/16): the address has bits behind the first 16; the network is 10.1.0.0/16; \
         write 10.1.0.0/16, or a longer prefix; until then no address is in it",
    );
    check(
        "dialcastSubnetPrefix: Berlin",
        "network.prefix CN=s,DC=x (dialcastSubnetPrefix: Berlin): `Berlin` is not address/length, such as 10.1.0.0/16 or 2001:db8::/32; \
         write it as 10.1.0.0/16 or 2001:db8::/32; until then no address is in it",
    );
    check(
        "description: empty",
        "network.prefix CN=s,DC=x (dialcastSubnetPrefix): the subnet has no prefix; give it one, such as 10.1.0.0/16 or 2001:db8::/32; until \
         then no address is in it",
    );
    check(
        "dialcastSubnetPrefix: 10.0.0.0/8",
        "network.duplicate CN=s,DC=x (dialcastSubnetPrefix: 10.0.0.0/8): the older entry `CN=first,DC=x` has the network 10.0.0.0/8: it \
         counts, and not this one; delete one of the two",
    );
    check(
        "dialcastSubnetPrefix: 10.1.0.0/16\ndialcastSiteDN: CN=HQ2,DC=x",
        "network.site CN=s,DC=x (dialcastSiteDN: CN=HQ2,DC=x): the subnet names a site that is not there; write the site's name as it is now; \
         until then its addresses are in no site. Or look whether Dialcast's account may read the site",
    );
    check(
        "dialcastSubnetPrefix: 10.1.0.0/16\ndialcastSiteDN: CN=thing,DC=x",
        "network.site CN=s,DC=x (dialcastSiteDN: CN=thing,DC=x): the subnet names something that is no site; write the site's name as it is \
         now; until then its addresses are in no site. Or look whether Dialcast's account may read the site",
    );
    check(
        "dialcastSubnetPrefix: 10.1.0.0/16\n| language = de",
        "policy.scope CN=s,DC=x (dialcastSetting: language = de): a subnet decides network settings only, and `language` is none; put the \
         line on the site, or on whom it is for; docs/settings.md marks network settings",
    );
}

#[test]
fn explained_for_an_address() {
    let world = World::new(TREE);
    let explained = |address: &str| {
        let explanation = explain(&world.snapshot(), &world.config, world.named("boris"), Some(ip(address))).unwrap();
        explanation.only("media.max-bandwidth").to_string().replace(", change 1 of 1970-01-01T00:00:16Z", "")
    };
    insta::assert_snapshot!(explained("10.1.9.3"), @r"
    sip:boris@corp.example  CN=boris,OU=People,DC=corp,DC=example
    at 10.1.9.3: subnet CN=ber-lab,OU=Network,DC=corp,DC=example, which has 10.1.9.0/24; site CN=Berlin,OU=Network,DC=corp,DC=example
    policies, the highest last:
      site  CN=Berlin,OU=Network,DC=corp,DC=example  order 100
      domain  DC=corp,DC=example  order 100
      OU 1  OU=People,DC=corp,DC=example  order 100
      user  CN=boris,OU=People,DC=corp,DC=example  order 100
      subnet  CN=ber-lab,OU=Network,DC=corp,DC=example  order 100

    media.max-bandwidth (kbit/s)
      500
          = subnet CN=ber-lab,OU=Network,DC=corp,DC=example
      not 0: lower layer, replaced by CN=boris,OU=People,DC=corp,DC=example
          built-in
      not 64: lower layer, replaced by CN=Berlin,OU=Network,DC=corp,DC=example
          = user CN=boris,OU=People,DC=corp,DC=example
      not 8000: lower layer, replaced by CN=ber-lab,OU=Network,DC=corp,DC=example
          = site CN=Berlin,OU=Network,DC=corp,DC=example
    ");
    insta::assert_snapshot!(explained("10.3.0.1").lines().nth(1).unwrap(), @"at 10.3.0.1: subnet CN=nowhere,OU=Network,DC=corp,DC=example, which has 10.3.0.0/16; in no site");
    insta::assert_snapshot!(explained("192.0.2.1").lines().nth(1).unwrap(), @"at 192.0.2.1: in no subnet; in no site");
}

/// What an explanation for an address shows is what the engine decides there.
#[test]
fn explains_what_is_decided() {
    let world = World::new(TREE);
    let mut engine = world.engine();
    for name in ["anna", "boris"] {
        for address in ["10.1.2.3", "10.1.9.3", "10.2.0.1", "10.3.0.1", "10.1.200.1", "192.0.2.1", "2001:db8:1::1"] {
            let spot = spot(&engine, address);
            let Some(Answer::User(resolved)) = engine.want(&user(name), spot) else { panic!("{name} at {address}") };
            let explanation = explain(&world.snapshot(), &world.config, world.named(name), Some(ip(address))).unwrap();
            let decided: BTreeMap<&str, Vec<String>> =
                resolved.iter().map(|(s, d)| (s.name(), d.values.iter().map(ToString::to_string).collect())).collect();
            let shown: BTreeMap<&str, Vec<String>> = explanation
                .settings
                .iter()
                .filter(|e| !e.values.is_empty())
                .map(|e| (e.setting, e.values.iter().map(|v| v.value.clone()).collect()))
                .collect();
            assert_eq!(shown, decided, "{name} at {address}");
        }
    }
}

/// A world whose engine follows it, and what is wanted in it.
struct Case {
    world: World,
    engine: Engine,
    drafts: BTreeMap<String, Draft>,
}

impl Case {
    fn new(tree: &str) -> Self {
        let world = World::new(tree);
        let engine = world.engine();
        let named = |draft: Draft| (draft.dn.rdn().unwrap().value(), draft);
        Self { world, engine, drafts: drafts(tree).into_iter().map(named).collect() }
    }

    fn want(&mut self, resource: &Resource, address: &str) {
        let here = self.engine.network().at(ip(address)).clone();
        let spot = if *resource == Resource::LocalNetwork { *here.network } else { here.endpoint.as_deref().copied().unwrap_or_default() };
        self.engine.want(resource, spot);
    }

    /// Changes one object; says what differs: resources with their site and subnet.
    fn edit(&mut self, name: &str, edit: impl FnOnce(&mut Draft)) -> String {
        let draft = self.drafts.get_mut(name).unwrap();
        edit(draft);
        let changes: Vec<_> = self.world.event(Event::Apply(draft.entry())).into_iter().collect();
        let snapshot = self.world.snapshot();
        let outcome = self.engine.update(&snapshot, &changes);
        let name = |id| snapshot.get(id).map_or_else(|| "?".into(), |object| object.rdn.value());
        let mut told: Vec<String> = outcome
            .answers
            .iter()
            .map(|(resource, spot, _)| {
                let resource = match resource {
                    Resource::User(aor) => aor.user().to_owned(),
                    Resource::LocalNetwork => "network".into(),
                    Resource::Device(id) => id.to_string(),
                };
                format!("{resource}@{}/{}", spot.site.map_or_else(|| "-".into(), name), spot.subnet.map_or_else(|| "-".into(), name))
            })
            .collect();
        told.sort();
        told.join(" ")
    }
}

#[test]
fn a_change_reaches_exactly_those_who_are_there() {
    let mut case = Case::new(TREE);
    let phone = Resource::Device(DeviceId::parse("001565F4F9E1").unwrap());
    for address in ["10.1.2.3", "10.1.9.3", "10.2.0.1"] {
        for resource in [user("anna"), user("boris"), Resource::LocalNetwork] {
            case.want(&resource, address);
        }
    }
    case.want(&phone, "10.1.2.3");
    assert_eq!(case.engine.wanted(), 10);
    let set = |draft: &mut Draft, from: &str, to: &str| *draft.lines.iter_mut().find(|line| *line == from).unwrap() = to.to_owned();
    let told = case.edit("Berlin", |draft| set(draft, "media.max-bandwidth = 8000", "media.max-bandwidth = 9000"));
    assert_eq!(told, "anna@Berlin/- boris@Berlin/- network@Berlin/-", "the lab has its own");
    let told = case.edit("ber-lab", |draft| set(draft, "media.max-bandwidth = 500", "media.max-bandwidth = 501"));
    assert_eq!(told, "anna@Berlin/ber-lab boris@Berlin/ber-lab network@Berlin/ber-lab");
    let told = case.edit("Berlin", |draft| set(draft, "ntp = time.ber.corp.example", "ntp = time2.ber.corp.example"));
    assert_eq!(told, "anna@Berlin/- anna@Berlin/ber-lab boris@Berlin/- boris@Berlin/ber-lab mac:001565f4f9e1@Berlin/-");
    let told = case.edit("phone1", |draft| set(draft, "firmware.version = 2.0", "firmware.version = 2.1"));
    assert_eq!(told, "mac:001565f4f9e1@Berlin/-");
    let told = case.edit("boris", |draft| draft.lines.push("language = ru".into()));
    assert_eq!(told, "boris@Berlin/- boris@Berlin/ber-lab boris@Rome/-");
    let told = case.edit("corp", |draft| set(draft, "language = en", "language = es"));
    assert_eq!(told, "mac:001565f4f9e1@Berlin/-", "everybody else has another layer above");
    // Another site of a subnet is another map, and nothing else.
    let before = case.engine.network().clone();
    let told = case.edit("ber", |draft| {
        for (name, value) in &mut draft.attributes {
            if name == "dialcastSiteDN" {
                *value = "CN=Rome,OU=Network,DC=corp,DC=example".into();
            }
        }
    });
    assert_eq!(told, "");
    assert_ne!(before, *case.engine.network());
    assert_eq!(spot(&case.engine, "10.1.2.3"), spot(&case.engine, "10.2.0.1"));
    // What is wanted no more is told no more.
    for resource in [user("anna"), user("boris"), Resource::LocalNetwork] {
        let spot = Spot { site: Some(case.world.named("Berlin")), ..Spot::default() };
        case.engine.unwant(&resource, spot);
    }
    let told = case.edit("Berlin", |draft| set(draft, "ntp = time2.ber.corp.example", "ntp = time3.ber.corp.example"));
    assert_eq!(told, "anna@Berlin/ber-lab boris@Berlin/ber-lab mac:001565f4f9e1@Berlin/-");
}

#[test]
fn a_registrar_may_be_the_sites() {
    let tree = TREE
        .replace("      | sip.registrar = 10 0 sips:reg.corp.example\n", "")
        .replace("          | language = de\n", "          | sip.registrar = 10 0 sips:ber.corp.example\n");
    let world = World::new(&tree);
    let mut engine = world.engine();
    assert!(engine.users().next().is_none(), "without regard to a place nobody has one");
    let berlin = spot(&engine, "10.1.2.3");
    assert!(matches!(engine.want(&user("anna"), berlin), Some(Answer::User(_))));
    let rome = spot(&engine, "10.2.0.1");
    assert!(engine.want(&user("anna"), rome).is_none());
}

#[test]
fn sites_and_subnets_count_where_the_configuration_says() {
    let tree = "
        domain DC=x
          | sip.registrar = 10 0 sips:reg.x.example
          ou OU=Network
            site CN=Berlin
              | qos.audio = 10
            subnet CN=lan
              dialcastSubnetPrefix: 10.0.0.0/8
              dialcastSiteDN: CN=Berlin,OU=Network,DC=x
          ou OU=Berlin
            site CN=Mine
              | qos.audio = 1
            subnet CN=grab
              | qos.audio = 2
              dialcastSubnetPrefix: 10.1.0.0/16
              dialcastSiteDN: CN=Mine,OU=Berlin,DC=x
            user CN=anna
    ";
    let mut world = World::new(tree);
    world.config.networks = vec!["OU=Network,DC=x".parse().unwrap()];
    let mut engine = world.engine();
    for address in ["10.1.0.1", "192.0.2.1"] {
        // Berlin is the only site that counts.
        assert_eq!(at(&world, &mut engine, &user("anna"), address, &["qos.audio"]), "qos.audio: 10 (site Berlin)\n", "{address}");
    }
    let places: Vec<String> = engine.faults().iter().filter(|fault| fault.code == "network.place").map(ToString::to_string).collect();
    insta::assert_snapshot!(places.join("\n"), @r"
    CN=Mine,OU=Berlin,DC=x (objectClass): it stands below none of policy.networks, and counts for nothing; move it there, or add the entry that it stands in to policy.networks
    CN=grab,OU=Berlin,DC=x (objectClass): it stands below none of policy.networks, and counts for nothing; move it there, or add the entry that it stands in to policy.networks
    ");
    let explanation = explain(&world.snapshot(), &world.config, world.named("anna"), Some(ip("10.1.0.1"))).unwrap();
    assert_eq!(explanation.place.unwrap().prefix.as_deref(), Some("10.0.0.0/8"));
}

#[test]
fn sites_ask_for_servers_too() {
    let tree = "
        domain DC=x
          | sip.registrar = 10 0 sips:reg.x.example
          site CN=HQ
            | net.stun = @nearest(stun)
            | net.turn = @nearest(turn)
          subnet CN=lan
            dialcastSubnetPrefix: 10.0.0.0/8
            dialcastSiteDN: CN=HQ,DC=x
          ou OU=a
            server CN=sa
              | role = stun
              | server = 10 0 stun:a.x.example
            user CN=anna
          ou OU=b
            user CN=boris
    ";
    let mut case = Case::new(tree);
    let stun = |case: &mut Case, name: &str| at(&case.world, &mut case.engine, &user(name), "10.0.0.1", &["net.stun"]);
    assert_eq!(stun(&mut case, "anna"), "net.stun: 10 0 stun:a.x.example (site HQ)\n");
    assert_eq!(stun(&mut case, "boris"), "net.stun: none\n");
    let faults: Vec<String> = case.engine.faults().iter().filter(|f| f.code == "policy.nearest").map(ToString::to_string).collect();
    insta::assert_snapshot!(faults.join("\n"), @"CN=HQ,DC=x: `net.turn` asks for @nearest(turn), and there is no such server in the directory; put a server object with the role turn into a container above the users, or name a server as well");
    // The server moves, and its users follow, wherever they are.
    let told = case.edit("sa", |draft| draft.dn = "CN=sa,OU=b,DC=x".parse().unwrap());
    assert_eq!(told, "anna@HQ/- boris@HQ/-");
    assert_eq!(stun(&mut case, "boris"), "net.stun: 10 0 stun:a.x.example (site HQ)\n");
}
