//! What `check` reports: every fault with its place and a remedy.

use super::world::{World, repeated};
use crate::directory::{Entry, Event};
use crate::policy::{Engine, PolicyConfig};

/// The faults of a tree, one a line.
fn faults(tree: &str, settings: &[&str]) -> String {
    shown(&World::configured(tree, settings).engine())
}

fn shown(engine: &Engine) -> String {
    engine.faults().iter().map(|fault| format!("{} {} {fault}\n", fault.severity, fault.code)).collect::<Vec<_>>().concat()
}

/// Test 5 of the issue: each of its cases with the outcome that the design gives.
#[test]
fn what_admins_get_wrong() {
    let tree = "
        domain DC=corp,DC=example
          | sip.registrar = 10 0 sips:reg.corp.example
          ou OU=Berlin
            | sip.expires = soon
            policy CN=p
              | filter group:CN=nowhere,DC=corp,DC=example
              | language = de
            user CN=anna
              mail: anna@corp.example
              createTimestamp: 20200101000000Z
            user CN=anna2
              mail: ANNA@corp.example
              createTimestamp: 20240101000000Z
            nobody CN=boris
          ou OU=Empty
            ou OU=Emptier
          group CN=staff
            member: CN=anna,OU=Berlin,DC=corp,DC=example
            member: CN=gone,OU=Berlin,DC=corp,DC=example
            member: CN=gone2,OU=Berlin,DC=corp,DC=example
    ";
    insta::assert_snapshot!(faults(tree, &[]), @"
    error account.address-taken CN=anna2,OU=Berlin,DC=corp,DC=example: sip:ANNA@corp.example belongs to the older entry `CN=anna,OU=Berlin,DC=corp,DC=example`: this user gets no document; give one of the two another address; the older entry keeps it meanwhile
    warning group.dangling CN=staff,DC=corp,DC=example: the member `CN=gone,OU=Berlin,DC=corp,DC=example` is not there, nor 1 more member; take it out of the group, or look whether Dialcast's account may read it; it counts as soon as it is there
    warning policy.filter CN=p,OU=Berlin,DC=corp,DC=example: the filter names `CN=nowhere,DC=corp,DC=example`, and there is no such group: it admits nobody; write the group's name as it is now; a group that was moved or renamed has a new one
    warning policy.value OU=Berlin,DC=corp,DC=example (dialcastSetting: sip.expires = soon): column 15: `sip.expires`: `soon` does not fit; write a duration from 30 to 604800 seconds, for example `sip.expires = 30m`
    note account.no-address CN=boris,OU=Berlin,DC=corp,DC=example: the user has no SIP address, and gets no document; nothing has to be done if nobody phones as this user; else fill one of SIPIdentitySIPURI, msRTCSIP-PrimaryUserAddress, proxyAddresses, mail
    note directory.empty OU=Empty,DC=corp,DC=example: nothing stands in it: its policies are for nobody; nothing has to be done; who is moved into it has its settings at once
    ");
}

/// Passwords that somebody wrote into URIs: the values are refused, and neither `check` nor `explain` shows them.
#[test]
fn passwords_are_not_shown() {
    let tree = "
        domain DC=x
          | sip.registrar = 10 0 sips:reg.x
          | sip.outbound-proxy = 10 0 sip:bob:hunter2@proxy.x
          | presence.server = sip:bob:hunter2@proxy.x
          | phonebook.ldap = ldap://cn=admin:hunter2@dir.x/dc=x
          | net.turn += 10 0 turn:bob:hunter2@turn.x
          | net.stun += 10 0 stun:bob:hunter2@stun.x
          | xcap.root = https://bob:hunter2@xcap.x/
          | video.enabled unset sip:bob:hunter2@x
          | media.srtp += sip:bob:hunter2@x
          server CN=s
            | role = bob:hunter2@x
            | server = 10 0 sip:bob:hunter2@x
          user CN=anna
            mail: anna@x
            SIPIdentitySIPURI: sip:anna:hunter2@x
            SIPIdentityRegistrarAddress: sip:bob:hunter2@reg.x
            SIPIdentityProxyAddress: bob:hunter2@reg.x
            SIPIdentityPassword: hunter2
    ";
    let world = World::configured(tree, &["sip.outbound-proxy = 10 0 sip:bob:hunter2@proxy.x"]);
    let engine = world.engine();
    let explanation = crate::policy::explain(&world.snapshot(), &world.config, world.named("anna"), None).unwrap();
    let all = format!("{}{explanation}{}", shown(&engine), serde_json::to_string(&explanation).unwrap());
    assert!(engine.faults().len() >= 13, "{}", shown(&engine));
    let leaks: Vec<&str> = all.lines().filter(|line| line.contains("hunter2")).collect();
    assert!(leaks.is_empty(), "{leaks:#?}");
}

#[test]
fn a_crowd() {
    let tree = String::from("domain DC=x\n  | sip.registrar = 10 0 sips:reg.x\n  ou OU=big\n");
    let tree = tree + &repeated(10_000, |n| format!("    user CN=u{n}\n"));
    insta::assert_snapshot!(faults(&tree, &[]), @"note directory.crowd OU=big,DC=x: 10000 users stand directly in it; nothing has to be done; an edit here reaches all of them at once, and OUs below it would divide them");
}

#[test]
fn lines_of_the_configuration() {
    let settings = ["sip.expires = soon", "order 1", "filter group:CN=nowhere,DC=x", "block", "sip.outbound-proxy = @nearest(sbc)"];
    insta::assert_snapshot!(faults("domain DC=x\n  user CN=anna\n    | sip.registrar = 10 0 sips:reg.x", &settings), @"
    warning policy.block config key policy.settings: `block`, only a container can block what comes from outside; put the line on the OU, or into a policy object that stands in it
    warning policy.filter config key policy.settings: the filter names `CN=nowhere,DC=x`, and there is no such group: it admits nobody; write the group's name as it is now; a group that was moved or renamed has a new one
    warning policy.order config key policy.settings: `order 1`, `order 1` has no effect: the configuration is a layer of its own; take the line away
    warning policy.value config key policy.settings: `sip.expires = soon`, column 15: `sip.expires`: `soon` does not fit; write a duration from 30 to 604800 seconds, for example `sip.expires = 30m`
    ");
}

#[test]
fn servers_policies_and_access_entries_that_miss_their_aim() {
    let tree = "
        domain DC=x
          | sip.registrar = 10 0 sips:reg.x
          | sip.outbound-proxy = @nearest(sbc)
          | acl = deny contact group:CN=nowhere,DC=x
          | acl = allow contact ou:DC=x
          user CN=anna
          ou OU=a
            user CN=boris
              | conference.mcu = @nearest(mcu)
          server CN=s1
            | role = outbound-proxy
          server CN=s2
            | rolle = sbc
            | server = 10 0 sips:s2.x
          other CN=phone
            lines CN=p
              | sip.expires = 600
    ";
    insta::assert_snapshot!(faults(tree, &[]), @"
    warning policy.access DC=x: the access entry `deny contact group:CN=nowhere,DC=x` names what is not there; write the name as it is now; until then the entry is about nobody
    warning policy.nearest DC=x: `sip.outbound-proxy` asks for @nearest(sbc), and neither `DC=x`, nor 1 more container, nor any container above has such a server (2 users); put a server object with the role sbc into a container above them, or name a server as well
    warning policy.nearest CN=boris,OU=a,DC=x: `conference.mcu` asks for @nearest(mcu), and neither `OU=a,DC=x`, nor any container above has such a server (1 user); put a server object with the role mcu into a container above them, or name a server as well
    warning policy.place CN=p,CN=phone,DC=x: the policy governs nobody: it stands in no container, group, user, device, site or subnet; move it into what it is for
    warning server.address CN=s1,DC=x (serviceBindingInformation): the server has no address that can be used; give an address, such as `10 50 sips:ber1.corp.example`
    warning server.role CN=s2,DC=x (serviceBindingInformation): the server has no role; say what the server is for, such as `outbound-proxy`: `@nearest(outbound-proxy)` finds it then
    warning server.syntax CN=s2,DC=x (serviceBindingInformation: rolle = sbc): `rolle` is no line of a server; write `role = outbound-proxy` and `server = 10 50 sips:ber1.corp.example`
    ");
}

#[test]
fn without_a_registrar() {
    insta::assert_snapshot!(faults("domain DC=x\n  user CN=anna\n    mail: an na@x\n    SIPIdentitySIPURI: sip:anna@x", &[]), @"error account.no-registrar CN=anna,DC=x: sip:anna@x has no registrar: no document is published, and the last good one stays; set sip.registrar for the user, for example on the domain: `sip.registrar = 10 0 sips:reg.corp.example`");
}

#[test]
fn text_that_is_none() {
    let mut world = World::new("domain DC=x\n  user CN=anna\n    | sip.registrar = 10 0 sips:reg.x");
    let mut entry: Entry = super::world::Draft::new(3, "ou", "OU=a,DC=x").entry();
    entry.attributes.add("dialcastSetting", [b"language = \xff".to_vec()]);
    world.event(Event::Apply(entry));
    insta::assert_snapshot!(shown(&world.engine()), @"
    warning policy.syntax OU=a,DC=x (dialcastSetting: language = �): the value is not UTF-8; write it again
    note directory.empty OU=a,DC=x: nothing stands in it: its policies are for nobody; nothing has to be done; who is moved into it has its settings at once
    ");
}

#[test]
fn faults_that_are_repaired_are_gone() {
    let mut world = World::new("domain DC=x\n  | sip.registrar = 10 0 sips:reg.x\n  user CN=anna\n    | sip.expires = soon");
    let mut engine = Engine::new(PolicyConfig::default());
    engine.load(&world.snapshot());
    assert_eq!(engine.faults().len(), 1);
    let anna = super::world::drafts("domain DC=x\n  user CN=anna\n    | sip.expires = 600").remove(1);
    let mut anna = anna;
    anna.id = super::world::id(2);
    let changes: Vec<_> = world.event(Event::Apply(anna.entry())).into_iter().collect();
    engine.update(&world.snapshot(), &changes);
    assert_eq!(engine.faults(), []);
}
