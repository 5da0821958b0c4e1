//! The directory goes away and comes back: nothing lost, nothing sent twice, no deletion invented.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::common::daemon::{Daemon, Serve};
use crate::common::document::{is_empty, servers, value};
use crate::common::organisation::{addresses, sample, users};
use crate::common::relay::Relay;
use crate::common::sipp::{Phones, Wire};
use crate::common::slapd::{Setup, Slapd};
use crate::common::{PATIENCE, shared, until};

/// A change that concerns everybody, to know that all before it has been told.
fn fence(slapd: &Slapd, phones: &mut Phones, mark: usize, gone: &BTreeSet<String>) {
    slapd.modify("dn: dc=corp,dc=example\nchangetype: modify\nadd: dialcastSetting\ndialcastSetting: provider.address = https://corp.example/fence\n");
    phones.wait("the fence reaches everybody", mark, PATIENCE, |got, users| {
        users.iter().filter(|user| !gone.contains(*user)).all(|user| {
            got.get(user).is_some_and(|notifies| {
                notifies.iter().any(|n| value(&n.body, "provider.address").as_deref() == Some("https://corp.example/fence"))
            })
        })
    });
}

/// Killed and started again with nothing changed: phones hear of nothing, and changes flow again.
#[test]
fn slapd_is_killed_and_comes_back() {
    let _shared = shared();
    let mut slapd = Slapd::start(&sample());
    let daemon = Daemon::start(slapd.url());
    let everybody = users(&sample());
    let mut phones = Phones::all(daemon.address, &everybody, Wire::Udp);
    let mark = phones.mark();
    slapd.kill();
    daemon.lines.wait("the daemon notices", 0, PATIENCE, |line| line.contains("down") || line.contains("lost") || line.contains("retry"));
    // The last good state is served while the directory is away.
    let mut late = Phones::all(daemon.address, ["anna@corp.example"], Wire::Udp);
    assert_eq!(late.document("anna@corp.example"), phones.document("anna@corp.example"));
    drop(late);
    slapd.restart();
    fence(&slapd, &mut phones, mark, &BTreeSet::new());
    for (user, notifies) in phones.since(mark) {
        assert_eq!(notifies.len(), 1, "{user} was told more than the one change");
        assert!(notifies.iter().all(|n| n.state.starts_with("active")), "{user}: {notifies:?}");
    }
    assert_eq!(phones.since(mark).len(), everybody.len());
}

/// What changed while the watcher was cut off, each with who must hear of it.
fn changed_while_cut_off(mut slapd: Slapd, restart: bool) {
    let _shared = shared();
    let relay = Relay::to(slapd.address());
    let daemon = Daemon::start(format!("ldap://{}/{}", relay.address(), Slapd::SUFFIX));
    let everybody = users(&sample());
    let mut phones = Phones::all(daemon.address, &everybody, Wire::Udp);
    let mark = phones.mark();
    relay.cut();
    until("the daemon tries to connect again", PATIENCE, || (relay.refused() > 0).then_some(()));

    // A move, a user who leaves, one who comes, a policy, a membership, and a change that is taken back.
    slapd.rename("ou=Support,ou=Berlin,dc=corp,dc=example", "ou=Helpdesk", Some("ou=Lisbon,dc=corp,dc=example"));
    slapd.delete("uid=tiago,ou=Reception,ou=Lisbon,dc=corp,dc=example");
    slapd.add(
        "dn: uid=zoe,ou=Contractors,ou=Frankfurt,dc=corp,dc=example\nobjectClass: inetOrgPerson\nuid: zoe\ncn: Zoe\nsn: Zimmer\n\
         mail: zoe@corp.example\n",
    );
    slapd.modify(
        "dn: ou=Contractors,ou=Frankfurt,dc=corp,dc=example\nchangetype: modify\nadd: dialcastSetting\n\
         dialcastSetting: im.enabled = false\n",
    );
    slapd.modify(
        "dn: cn=Video Pilots,ou=Groups,dc=corp,dc=example\nchangetype: modify\nadd: member\n\
         member: uid=ute,ou=Board,dc=corp,dc=example\n",
    );
    for change in ["add", "delete"] {
        slapd.modify(&format!(
            "dn: ou=Sales,ou=Berlin,dc=corp,dc=example\nchangetype: modify\n{change}: dialcastSetting\ndialcastSetting: im.enabled = false\n"
        ));
    }
    if restart {
        slapd.restart();
    }
    assert_eq!(phones.since(mark).len(), 0, "nobody can have heard of it yet");
    relay.mend();

    let changed = addresses(["ida", "jan", "nils", "olga", "ute", "tiago"]);
    phones.wait("the changes arrive after the cut", mark, PATIENCE, |got, _| changed.iter().all(|user| got.contains_key(user)));
    let gone = addresses(["tiago"]);
    fence(&slapd, &mut phones, mark, &gone);
    let got = phones.since(mark);
    for user in &everybody {
        let notifies = &got[user];
        let (last, wanted) = (notifies.last().unwrap(), if gone.contains(user) { 2 } else { 1 + usize::from(changed.contains(user)) });
        assert_eq!(notifies.len(), wanted, "{user}: {notifies:#?}");
        if gone.contains(user) {
            assert!(last.state.starts_with("terminated") && last.state.contains("noresource"), "{}", last.state);
            // An explicit empty profile tells the phone to forget everything (RFC 6080 §5.3.2), and then there is nothing more to tell.
            assert_eq!(last.body, "");
            assert!(is_empty(&notifies[0].body) && notifies[0].state.starts_with("active"), "{}", notifies[0].body);
        } else {
            assert!(last.state.starts_with("active"), "{user}: {}", last.state);
        }
    }
    assert_eq!(servers(&phones.document("ida@corp.example"), "sip.outbound-proxy"), ["sips:lis1.corp.example", "sips:edge.corp.example"]);
    assert_eq!(value(&phones.document("nils@corp.example"), "im.enabled").as_deref(), Some("false"));
    assert_eq!(value(&phones.document("ute@corp.example"), "video.max-height").as_deref(), Some("2160"));
    // Who came while it was cut off is known.
    let mut new = Phones::all(daemon.address, ["zoe@corp.example"], Wire::Udp);
    assert_eq!(value(&new.document("zoe@corp.example"), "im.enabled").as_deref(), Some("false"));
}

/// The server remembers its changes: it tells what was deleted, one by one.
#[test]
fn changed_while_cut_off_with_a_session_log() {
    changed_while_cut_off(Slapd::start(&sample()), false);
}

/// It does not: everything that is still there is named, and what is not named has vanished.
#[test]
fn changed_while_cut_off_without_a_session_log() {
    changed_while_cut_off(Setup::new(sample()).session_log(0).start(), false);
}

/// The session log is lost with the process.
#[test]
fn changed_while_cut_off_and_restarted() {
    changed_while_cut_off(Slapd::start(&sample()), true);
}

/// A connection that stands while nothing answers is noticed, and given up.
#[test]
fn slapd_hangs() {
    let _shared = shared();
    let slapd = Slapd::start(&sample());
    let relay = Relay::to(slapd.address());
    let daemon = Daemon::start(format!("ldap://{}/{}", relay.address(), Slapd::SUFFIX));
    let mut phones = Phones::all(daemon.address, ["anna@corp.example"], Wire::Udp);
    let mark = phones.mark();
    slapd.pause();
    daemon.lines.wait("the daemon notices that nothing answers", 0, Duration::from_secs(60), |line| {
        line.contains("down") || line.contains("lost") || line.contains("retry")
    });
    slapd.resume();
    fence(&slapd, &mut phones, mark, &BTreeSet::new());
    assert_eq!(phones.since(mark)["anna@corp.example"].len(), 1);
}

/// With its state kept, the daemon serves phones after a restart while the directory is still away, and then goes on.
#[test]
fn a_restart_without_the_directory() {
    let _shared = shared();
    let mut slapd = Slapd::start(&sample());
    let state = tempfile::tempdir().unwrap();
    let everybody = users(&sample());
    let daemon = Serve::on(slapd.url()).state(state.path()).start();
    let mut before = Phones::all(daemon.address, &everybody, Wire::Udp);
    daemon.stop();
    slapd.kill();
    let daemon = Serve::on(slapd.url()).state(state.path()).start();
    let mut after = Phones::all(daemon.address, &everybody, Wire::Udp);
    for user in &everybody {
        assert_eq!(before.document(user), after.document(user), "{user}");
    }
    let mark = after.mark();
    slapd.restart();
    fence(&slapd, &mut after, mark, &BTreeSet::new());
    for (user, notifies) in after.since(mark) {
        assert_eq!(notifies.len(), 1, "{user}");
    }
}
