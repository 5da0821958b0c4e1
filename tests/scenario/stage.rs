//! Plays the story to one directory, and writes down which phone was told what.

use std::collections::{BTreeMap, BTreeSet};

use super::common::daemon::{Daemon, Serve};
use super::common::document::value;
use super::common::phone::Phone;
use super::common::sipp::{Notify, Phones, Wire};
use super::common::{PATIENCE, until};
use super::latency;
use super::server::Server;
use super::story::{self, FAR, Step, far, fence, phones as addresses, staff, steps};

/// What came of one step: each phone that was told, and the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub step: &'static str,
    pub documents: BTreeMap<String, String>,
}

/// The whole story. That exactly the phones in question are told is asserted here.
pub(crate) fn play<S: Server>(server: &mut S) -> Vec<Told> {
    let daemon = Serve::on(server.url()).config(&server.config()).start();
    let near: BTreeSet<String> = staff().difference(&far()).cloned().collect();
    let mut phones = [
        Phones::all(daemon.address, &near, Wire::Udp),
        Phones::subscribe_at(daemon.address, FAR, far().into_iter().map(|user| (user, Wire::Udp))),
    ];
    let mut first = BTreeMap::new();
    for (users, phones) in [near, far()].into_iter().zip(&mut phones) {
        first.extend(users.into_iter().map(|user| (user.clone(), phones.document(&user))));
    }
    let mut all = vec![Told { step: "the first documents", documents: first }];
    let mut audience = staff();
    for (index, step) in steps().into_iter().enumerate() {
        let number = u32::try_from(index).unwrap() + 1;
        let deleted = step.deeds.iter().any(|deed| matches!(deed, story::Deed::Delete(_)));
        if deleted {
            audience.retain(|user| !step.told.contains(user));
        }
        let mut told = act(server, &mut phones, &step, &audience, number);
        if deleted {
            for user in &step.told {
                let [near, far] = &mut phones;
                let last = |phones: &mut Phones| phones.notifies().iter().rfind(|notify| notify.user == *user).cloned();
                let state = last(near).or_else(|| last(far)).unwrap().state;
                // RFC 6665 §4.1.3: the resource is gone, and nothing is to be had by subscribing again.
                assert!(state.starts_with("terminated") && state.contains("reason=noresource"), "{}: {state}", step.what);
            }
        }
        told.documents.extend(newcomers(&daemon, &step));
        all.push(told);
    }
    latency::measure(server, &daemon);
    daemon.stop();
    all
}

/// One step, and a change for everybody behind it: whoever has got that has got everything before it.
fn act<S: Server>(server: &mut S, phones: &mut [Phones; 2], step: &Step, audience: &BTreeSet<String>, number: u32) -> Told {
    let marks = phones.each_mut().map(Phones::mark);
    server.act(&step.deeds);
    // Whoever is gone is told so by an empty profile, and then by the end of the subscription.
    let wanted = |user: &String| {
        if !step.told.contains(user) {
            0
        } else if audience.contains(user) {
            1
        } else {
            2
        }
    };
    gather(phones, marks, step.what, |got| step.told.iter().all(|user| got.get(user).map_or(0, Vec::len) >= wanted(user)));
    let (deed, uri) = fence(number);
    server.act(&[deed]);
    let reached = |notify: &Notify| value(&notify.body, "support.uri").as_deref() == Some(&uri);
    let got = gather(phones, marks, "a change for everybody reaches them all", |got| {
        audience.iter().all(|user| got.get(user).is_some_and(|notifies| notifies.iter().any(reached)))
    });
    let mut documents = BTreeMap::new();
    for (user, notifies) in &got {
        let told: Vec<&Notify> = notifies.iter().filter(|notify| !reached(notify)).collect();
        let wanted = wanted(user);
        assert_eq!(told.len(), wanted, "{} ({}): {user} got {} NOTIFYs instead of {wanted}", step.what, S::NAME, told.len());
        documents.extend(told.first().map(|notify| (user.clone(), notify.body.clone())));
    }
    Told { step: step.what, documents }
}

/// What came since the marks, once it is enough.
fn gather(
    phones: &mut [Phones; 2],
    marks: [usize; 2],
    what: &str,
    enough: impl Fn(&BTreeMap<String, Vec<Notify>>) -> bool,
) -> BTreeMap<String, Vec<Notify>> {
    until(what, PATIENCE, || {
        let mut got = BTreeMap::new();
        for (phones, mark) in phones.iter_mut().zip(marks) {
            got.extend(phones.since(mark));
        }
        enough(&got).then_some(got)
    })
}

/// What the phones of new users get when they subscribe.
fn newcomers(daemon: &Daemon, step: &Step) -> BTreeMap<String, String> {
    let new = step.deeds.iter().filter_map(|deed| match deed {
        story::Deed::Add(story::Thing::Person { account, .. }) => Some(account.clone()),
        _ => None,
    });
    let subscribe = |user: String| {
        let (_, body) = Phone::subscribe(daemon.address, &user, PATIENCE);
        (user, body)
    };
    // The change behind the step has reached everybody, so the daemon knows the newcomer as well.
    let new = addresses(new);
    new.into_iter().map(subscribe).collect()
}
