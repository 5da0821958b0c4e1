//! Every server fails in every way that servers do, and no phone loses anything: a crash, a right that is lost for half of the
//! tree and given back, a backup that is put back.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::common::daemon::{Serve, ask, json};
use super::common::document::is_empty;
use super::common::sipp::{Notify, Phones, Wire};
use super::common::{PATIENCE, until};
use super::server::Server;
use super::story::{Deed, berlin, lisbon, phones as addresses, sales, staff};

/// A server that can be made to fail.
pub(crate) trait Frail: Server {
    /// Ends it as a crash does, and starts it again.
    fn crash(&mut self);
    /// Dialcast's account may not read this entry any more, nor what is below it.
    fn hide(&mut self, dn: &str);
    /// It may again.
    fn show(&mut self, dn: &str);
    /// Keeps a copy of everything.
    fn back_up(&mut self);
    /// Puts it back.
    fn put_back(&mut self);
}

/// For an organisation of a hundred, and a daemon that looks often.
const GUARDS: &str = "compare_every_s = 1\n[guards]\nobjects_min = 3\nusers_min = 3\nrecheck_s = 1\nwait_ms = 1000\n";

/// Who heard what since the mark: nobody an end, and nobody an empty profile.
fn unharmed(phones: &mut Phones, mark: usize) -> BTreeMap<String, Vec<Notify>> {
    let got = phones.since(mark);
    for notify in got.values().flatten() {
        assert!(notify.state.starts_with("active") && !is_empty(&notify.body), "{}: {}\n{}", notify.user, notify.state, notify.body);
    }
    got
}

fn holds(state: &Path) -> (Option<i32>, Vec<Value>) {
    let output = ask(&["holds", "--json", "--state", state.to_str().unwrap()]);
    (output.status.code(), json(&output)["holds"].as_array().unwrap().clone())
}

fn tel(name: &str, above: &str, number: &str) -> Deed {
    Deed::Tel { dn: format!("CN={name},{above}"), tel: number.to_owned() }
}

/// The phone of a user hears of a number. Others may have heard what they had already, and nothing bad.
fn hears(phones: &mut Phones, mark: usize, name: &str, number: &str) {
    let user = format!("{name}@corp.example");
    let uri = format!("tel:{}", number.replace(' ', ""));
    let says = |notify: &Notify| notify.body.contains(&uri);
    phones.wait(&format!("{user} hears of {number}"), mark, PATIENCE, |got, _| got.get(&user).is_some_and(|all| all.iter().any(says)));
    unharmed(phones, mark);
}

/// The whole of it.
pub(crate) fn survives<S: Frail>(server: &mut S) {
    let state = tempfile::tempdir().unwrap();
    let config = server.config();
    let table = if config.contains("[directory]") { "" } else { "[directory]\n" };
    let daemon = Serve::on(server.url()).config(&format!("{config}\n{table}{GUARDS}")).state(state.path()).start();
    let mut phones = Phones::all(daemon.address, staff(), Wire::Udp);

    let mark = phones.mark();
    server.act(&[tel("anna", &berlin(), "+49 30 1 0001")]);
    server.crash();
    hears(&mut phones, mark, "anna", "+49 30 1 0001");
    let mark = phones.mark();
    server.act(&[tel("anna", &berlin(), "+49 30 1 0002")]);
    hears(&mut phones, mark, "anna", "+49 30 1 0002");
    let told: BTreeSet<String> = unharmed(&mut phones, mark).into_keys().collect();
    assert_eq!(told, addresses(["anna"]), "after a crash nobody hears what they have heard");

    let mark = phones.mark();
    server.hide(&sales());
    let hold = until("a hold is shown", PATIENCE, || {
        let (code, holds) = holds(state.path());
        assert_eq!(code, Some(if holds.is_empty() { 0 } else { 2 }));
        holds.into_iter().next()
    });
    assert!(hold["count"].as_u64().unwrap() >= 100, "{hold}");
    // Out of sight, and in sight, things go on.
    server.act(&[tel("sales042", &sales(), "+49 30 1 0042"), tel("rui", &lisbon(), "+351 21 1")]);
    hears(&mut phones, mark, "rui", "+351 21 1");
    server.show(&sales());
    until("nothing is held any more", PATIENCE, || (holds(state.path()) == (Some(0), Vec::new())).then_some(()));
    // 389 Directory Server tells it while it is hidden, the others when it comes back into sight.
    hears(&mut phones, mark, "sales042", "+49 30 1 0042");
    let told = unharmed(&mut phones, mark);
    assert_eq!(told.keys().cloned().collect::<BTreeSet<_>>(), addresses(["rui", "sales042"]), "{}", S::NAME);
    assert!(told.values().all(|notifies| notifies.len() == 1), "{}: {told:?}", S::NAME);

    server.back_up();
    let mark = phones.mark();
    server.act(&[tel("carla", &berlin(), "+49 30 1 0003"), tel("ben", &berlin(), "+49 30 1 0004")]);
    hears(&mut phones, mark, "carla", "+49 30 1 0003");
    hears(&mut phones, mark, "ben", "+49 30 1 0004");
    let mark = phones.mark();
    server.put_back();
    hears(&mut phones, mark, "carla", "+49 30 23125 0003");
    hears(&mut phones, mark, "ben", "+49 30 23125 0002");
    let mark = phones.mark();
    server.act(&[tel("carla", &berlin(), "+49 30 1 0005")]);
    hears(&mut phones, mark, "carla", "+49 30 1 0005");
    eprintln!("{}: a crash, a lost right and a backup, and {} phones unharmed", S::NAME, phones.users().len());
    daemon.stop();
}
