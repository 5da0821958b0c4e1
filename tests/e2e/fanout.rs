//! A change of the directory reaches exactly the phones that it concerns: 100 subscriptions held by sipp, on slapd.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::common::daemon::Daemon;
use crate::common::document::{servers, value};
use crate::common::organisation::{addresses, people, sample, unit, users};
use crate::common::sipp::{Notify, Phones, Wire, now};
use crate::common::slapd::Slapd;
use crate::common::{PATIENCE, alone};

/// What the design promises from the directory's answer to the last phone.
const PROMISED: Duration = Duration::from_secs(1);

/// Berlin, Frankfurt and Lisbon with 100 users: the sample's 22, 40 in the OU that moves (15 of them one deeper), 38 more.
fn organisation() -> String {
    let mut ldif = sample();
    ldif += &unit("ou=Field,ou=Berlin,dc=corp,dc=example", &["forward.delay = 12"]);
    ldif += &people("field", 1..=25, "ou=Field,ou=Berlin,dc=corp,dc=example");
    ldif += &unit("ou=North,ou=Field,ou=Berlin,dc=corp,dc=example", &[]);
    ldif += &people("field", 26..=40, "ou=North,ou=Field,ou=Berlin,dc=corp,dc=example");
    ldif += &unit("ou=Desk,ou=Frankfurt,dc=corp,dc=example", &[]);
    ldif += &people("desk", 1..=20, "ou=Desk,ou=Frankfurt,dc=corp,dc=example");
    ldif += &unit("ou=Desk,ou=Lisbon,dc=corp,dc=example", &[]);
    ldif += &people("desk", 21..=38, "ou=Desk,ou=Lisbon,dc=corp,dc=example");
    ldif
}

fn numbered(prefix: &str, numbers: std::ops::RangeInclusive<u32>) -> impl Iterator<Item = String> {
    numbers.map(move |n| format!("{prefix}{n:03}"))
}

/// The phones, the directory that they follow, and how often everybody was told something on purpose.
struct World {
    slapd: Slapd,
    phones: Phones,
    fences: u32,
}

impl World {
    /// Makes a change, and asserts that each of the expected phones gets one NOTIFY that `shows` it, within the promise, and
    /// that nobody else gets any. That nobody does is known without waiting: a second change, which concerns everybody, is
    /// the only thing that the others have got when it has reached them all.
    fn exactly(&mut self, what: &str, expected: &BTreeSet<String>, change: impl FnOnce(&Slapd), shows: impl Fn(&Notify) -> bool) {
        let mark = self.phones.mark();
        change(&self.slapd);
        let answered = now();
        let got = self.phones.wait(what, mark, PATIENCE, |got, _| expected.iter().all(|user| got.contains_key(user)));
        let slowest = got.values().flatten().map(|notify| notify.at.saturating_sub(answered)).max().unwrap_or_default();
        eprintln!("{what}: {} phones, the last {:.1} ms after the answer", expected.len(), slowest.as_secs_f64() * 1e3);
        assert!(slowest <= PROMISED, "{what}: {slowest:?}");

        self.fences += 1;
        let fence = format!("https://help.corp.example/phones?{}", self.fences);
        self.slapd.modify(&format!(
            "dn: dc=corp,dc=example\nchangetype: modify\ndelete: dialcastSetting\ndialcastSetting: support.uri = {}\n-\nadd: dialcastSetting\n\
             dialcastSetting: support.uri = {fence}\n",
            if self.fences == 1 { "https://help.corp.example/phones".to_owned() } else { format!("https://help.corp.example/phones?{}", self.fences - 1) },
        ));
        let reached = |notify: &Notify| value(&notify.body, "support.uri").as_deref() == Some(&fence);
        let got = self.phones.wait("the fence reaches everybody", mark, PATIENCE, |got, users| {
            users.iter().all(|user| got.get(user).is_some_and(|notifies| notifies.iter().any(reached)))
        });
        for (user, notifies) in &got {
            let told: Vec<&Notify> = notifies.iter().filter(|notify| !reached(notify)).collect();
            let wanted = usize::from(expected.contains(user));
            assert_eq!(told.len(), wanted, "{what}: {user} got {} NOTIFYs instead of {wanted}", told.len());
            assert_eq!(notifies.len(), wanted + 1, "{what}: {user} got the fence more than once");
            for notify in told {
                assert!(shows(notify), "{what}: {user} got something else: {}", notify.body);
            }
        }
    }
}

#[test]
fn each_change_reaches_exactly_its_phones() {
    let _alone = alone();
    let ldif = organisation();
    let everybody = users(&ldif);
    assert_eq!(everybody.len(), 100);
    let slapd = Slapd::start(&ldif);
    let daemon = Daemon::start(slapd.url());
    // Half of them say in their Contact that they want UDP; the others refuse the TCP connection that RFC 3261 tries first.
    let wires = [Wire::Udp, Wire::UdpUnsaid].into_iter().cycle();
    let mut phones = Phones::subscribe(daemon.address, everybody.iter().zip(wires));
    for user in &everybody {
        let body = phones.document(user);
        let near = servers(&body, "sip.outbound-proxy");
        match user.as_str() {
            field if field.starts_with("field") => {
                assert!(near.len() == 3 && near.iter().take(2).all(|uri| uri.starts_with("sips:ber")), "{user}: {near:?}");
            }
            "walter@corp.example" => assert_eq!(near, ["sip:sbc.home.example"]),
            _ => assert!(!near.is_empty(), "{user}"),
        }
        assert!(body.contains(&format!("aor=\"sip:{user}\"")), "{body}");
    }
    let mut world = World { slapd, phones, fences: 0 };

    let field = addresses(numbered("field", 1..=40));
    world.exactly(
        "an OU with 40 users moves from Berlin to Lisbon",
        &field,
        |slapd| slapd.rename("ou=Field,ou=Berlin,dc=corp,dc=example", "ou=Field", Some("ou=Lisbon,dc=corp,dc=example")),
        |notify| {
            servers(&notify.body, "sip.outbound-proxy") == ["sips:lis1.corp.example", "sips:edge.corp.example"]
                && servers(&notify.body, "sip.registrar") == ["sips:lis1.corp.example"]
                && value(&notify.body, "timezone").as_deref() == Some("Europe/Lisbon")
                // Their own OU's line has moved with them.
                && value(&notify.body, "forward.delay").as_deref() == Some("12")
        },
    );

    // Frankfurt's contractors block what comes from above about forwarding.
    let below_frankfurt = addresses(["kim", "lars", "mia"].map(str::to_owned).into_iter().chain(numbered("desk", 1..=20)));
    world.exactly(
        "a policy of Frankfurt gets a line",
        &below_frankfurt,
        |slapd| {
            slapd.modify(
                "dn: ou=Frankfurt,dc=corp,dc=example\nchangetype: modify\nadd: dialcastSetting\ndialcastSetting: forward.delay = 45\n",
            );
        },
        |notify| value(&notify.body, "forward.delay").as_deref() == Some("45"),
    );

    // ben himself, and ida and paula by the group that is put into the group.
    world.exactly(
        "a user and a group become members of a group with a policy",
        &addresses(["ben", "ida", "paula"]),
        |slapd| {
            slapd.modify(
                "dn: cn=Executives,ou=Groups,dc=corp,dc=example\nchangetype: modify\nadd: member\n\
                 member: uid=ben,ou=Sales,ou=Berlin,dc=corp,dc=example\nmember: cn=On Call,ou=Groups,dc=corp,dc=example\n",
            );
        },
        |notify| value(&notify.body, "forward.delay").as_deref() == Some("30"),
    );
    world.exactly(
        "one of them leaves it",
        &addresses(["ben"]),
        |slapd| {
            slapd.modify(
                "dn: cn=Executives,ou=Groups,dc=corp,dc=example\nchangetype: modify\ndelete: member\n\
                 member: uid=ben,ou=Sales,ou=Berlin,dc=corp,dc=example\n",
            );
        },
        |notify| value(&notify.body, "forward.delay").as_deref() == Some("15"),
    );

    // Frankfurt is left to the domain's proxy, Lisbon has two.
    let below_lisbon =
        numbered("desk", 21..=38).chain(numbered("field", 1..=40)).chain(["paula", "rui", "sofia", "tiago"].map(str::to_owned));
    let below_frankfurt = ["kim", "lars", "mia", "nils", "olga"].map(str::to_owned).into_iter().chain(numbered("desk", 1..=20));
    world.exactly(
        "a server moves from Frankfurt to Lisbon",
        &addresses(below_frankfurt.chain(below_lisbon)),
        |slapd| slapd.rename("cn=fra1,ou=Frankfurt,dc=corp,dc=example", "cn=fra1", Some("ou=Lisbon,dc=corp,dc=example")),
        |notify| {
            let mut near = servers(&notify.body, "sip.outbound-proxy");
            near.sort();
            near == ["sips:edge.corp.example", "sips:hq1.corp.example"]
                || near == ["sips:edge.corp.example", "sips:fra1.corp.example", "sips:lis1.corp.example"]
        },
    );

    // Equal bytes send nothing: the line repeats what the OU says already.
    world.exactly(
        "a policy that changes no value",
        &BTreeSet::new(),
        |slapd| {
            slapd.modify(
                "dn: uid=anna,ou=Sales,ou=Berlin,dc=corp,dc=example\nchangetype: modify\nadd: objectClass\nobjectClass: dialcastPolicy\n-\n\
                 add: dialcastSetting\ndialcastSetting: forward.delay = 15\n",
            );
        },
        |_| false,
    );
    daemon.stop();
}

#[test]
fn phones_on_tcp_are_told_on_their_connection() {
    let _shared = crate::common::shared();
    let slapd = Slapd::start(&sample());
    let daemon = Daemon::start(slapd.url());
    let below_frankfurt = addresses(["kim", "lars", "mia", "nils", "olga"]);
    let mut phones = Phones::all(daemon.address, below_frankfurt.iter().cloned().chain(addresses(["anna"])), Wire::Tcp);
    let mut world = {
        let mark = phones.mark();
        assert_eq!(mark, 6);
        World { slapd, phones, fences: 0 }
    };
    world.exactly(
        "Frankfurt's time zone changes",
        &below_frankfurt,
        |slapd| {
            slapd.modify(
                "dn: ou=Frankfurt,dc=corp,dc=example\nchangetype: modify\ndelete: dialcastSetting\ndialcastSetting: timezone = Europe/Berlin\n-\n\
                 add: dialcastSetting\ndialcastSetting: timezone = Europe/Zurich\n",
            );
        },
        |notify| value(&notify.body, "timezone").as_deref() == Some("Europe/Zurich"),
    );
}
