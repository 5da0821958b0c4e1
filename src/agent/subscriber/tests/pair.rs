//! Dialcast's notifier and its subscriber, with each other.

use std::time::Duration;

use super::world::{World, aor};
use crate::agent::subscriber::{Event, Failure, Login, Outcome, Phase};
use crate::model::Secret;
use crate::sip::Transport;
use crate::sip::digest::{Algorithm, Ha1};
use crate::subscription::{Account, AuthMode, Credentials, NotifierConfig, Reason};

#[test]
fn a_profile_and_its_changes() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut world = World::new(1);
        world.publish("anna", "<one/>");
        let anna = world.phone("anna", transport, |config| config.expires_s = 600);
        world.pass(0.5);
        assert_eq!(world.phones[anna].holds(), "<one/>");
        world.publish("anna", "<one/>");
        world.publish("ben", "<other/>");
        world.pass(1.0);
        assert_eq!(world.phones[anna].documents.len(), 1, "the same bytes send nothing");
        world.publish("anna", "<two/>");
        world.pass(1.0);
        assert_eq!(world.phones[anna].holds(), "<two/>");
        // A day of refreshes: the subscription never ends.
        world.pass(86_400.0);
        assert!(!world.phones[anna].events.iter().any(|event| matches!(event, Event::Trouble { .. } | Event::Over(_))));
        world.publish("anna", "<three/>");
        world.pass(1.0);
        assert_eq!((world.phones[anna].holds(), world.notifier.subscriptions()), ("<three/>", 1));
        let now = world.now;
        world.phones[anna].subscriber.unsubscribe(now);
        world.pass(1.0);
        assert_eq!((world.phones[anna].last(), world.notifier.subscriptions()), (Some(&Event::Over(Outcome::Unsubscribed)), 0));
    }
}

#[test]
fn a_large_document_comes_over_tcp_to_one_who_subscribed_over_udp() {
    for accepts in [true, false] {
        let mut world = World::new(2);
        world.phones_accept = accepts;
        let large = format!("<profile>{}</profile>", "x".repeat(5_000));
        world.publish("anna", &large);
        let anna = world.phone("anna", Transport::Udp, |_| {});
        world.pass(2.0);
        assert_eq!(world.phones[anna].holds(), large);
        // RFC 3261 §18.1.1: over UDP only where there is no TCP.
        assert_eq!(world.large, if accepts { (0, 1) } else { (1, 0) });
    }
}

#[test]
fn a_fetch() {
    let mut world = World::new(3);
    world.publish("anna", "<one/>");
    let anna = world.phone("anna", Transport::Udp, |config| config.expires_s = 0);
    world.pass(1.0);
    assert_eq!((world.phones[anna].holds(), world.phones[anna].last()), ("<one/>", Some(&Event::Over(Outcome::Fetched))));
    assert_eq!(world.notifier.subscriptions(), 0);
}

#[test]
fn who_may() {
    let digest = || NotifierConfig { auth: AuthMode::Digest, allow_md5: true, ..NotifierConfig::default() };
    for (password, expect) in [
        (Some("secret"), None),
        (Some("wrong"), Some(Outcome::WrongLogin { realm: "corp.example".to_owned() })),
        (None, Some(Outcome::NoLogin { realm: "corp.example".to_owned() })),
    ] {
        let mut world = World::with(4, digest());
        let mut credentials = Credentials::new("corp.example");
        let secret = |algorithm| Some(Ha1::new(algorithm, "anna", "corp.example", "secret"));
        credentials.insert("anna", Account { aor: aor("anna"), sha256: secret(Algorithm::Sha256), md5: secret(Algorithm::Md5) });
        world.notifier.set_credentials(credentials);
        world.publish("anna", "<one/>");
        let login = password.map(|password| Login { username: "anna".to_owned(), password: Secret::new(password) });
        let anna = world.phone("anna", Transport::Udp, |config| (config.login, config.expires_s) = (login, 600));
        world.pass(1.0);
        if let Some(outcome) = expect {
            assert_eq!(world.phones[anna].last(), Some(&Event::Over(outcome)));
            continue;
        }
        assert_eq!(world.phones[anna].holds(), "<one/>");
        // Nonces end after five minutes: every refresh is challenged anew, and goes through.
        world.pass(6_000.0);
        assert_eq!((world.phones[anna].subscriber.phase(), world.notifier.subscriptions()), (Phase::Open, 1));
    }
}

#[test]
fn nobody_knows_him() {
    let mut world = World::new(5);
    world.publish("anna", "<one/>");
    let ben = world.phone("ben", Transport::Udp, |_| {});
    world.pass(1.0);
    assert!(
        matches!(world.phones[ben].last(), Some(Event::Over(Outcome::Refused { status: 403 | 404, .. }))),
        "{:?}",
        world.phones[ben].events
    );
}

#[test]
fn the_user_leaves() {
    let mut world = World::new(6);
    world.publish("anna", "<one/>");
    let anna = world.phone("anna", Transport::Udp, |_| {});
    world.pass(1.0);
    world.notifier.withdraw(world.now, &aor("anna"), Reason::NoResource);
    world.pass(1.0);
    assert_eq!(world.phones[anna].last(), Some(&Event::Over(Outcome::Ended { reason: "noresource".to_owned() })));
}

#[test]
fn the_server_gives_up_its_subscriptions() {
    let mut world = World::new(7);
    world.publish("anna", "<one/>");
    let anna = world.phone("anna", Transport::Udp, |_| {});
    world.pass(60.0);
    world.notifier.drain(world.now);
    world.pass(1.0);
    let ended = Event::Trouble { why: Failure::Ended { reason: "deactivated".to_owned() }, retry: Duration::ZERO };
    assert!(world.phones[anna].events.contains(&ended));
    assert_eq!((world.phones[anna].subscriber.phase(), world.notifier.subscriptions()), (Phase::Open, 1));
}

#[test]
fn a_longer_duration_is_demanded() {
    let mut world = World::with(8, NotifierConfig { auth: AuthMode::Open, expires_min_s: 120, ..NotifierConfig::default() });
    world.publish("anna", "<one/>");
    let anna = world.phone("anna", Transport::Udp, |config| config.expires_s = 30);
    world.pass(1.0);
    assert!(
        world.phones[anna].events.contains(&Event::Subscribed { expires: Duration::from_secs(120) }),
        "{:?}",
        world.phones[anna].events
    );
    assert_eq!(world.phones[anna].holds(), "<one/>");
}
