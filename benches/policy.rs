//! What resolving and rendering cost: everybody, and one change. `cargo bench --bench policy [-- USERS OUS]`.
//!
//! The organisation: a domain, regions of fifty OUs, as many users in each OU; each region has two proxies of equal
//! priority that `@nearest` finds, each OU has lines of its own, one in ten OUs a policy with a filter. Fifty groups of a fiftieth
//! of the users each, five of them with policies; one group that holds everybody and says something too.
//!
//! The floor is what nothing can beat: copying and hashing the octets that come out. Each number is the median of its runs, in
//! processor time of the one thread that works.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark prints, and stops at the first surprise")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dialcast::directory::{Entry, Event};
use dialcast::document::{Document, Renderer};
use dialcast::model::{Attributes, ObjectId, Timestamp};
use dialcast::policy::{Engine, Outcome, PolicyConfig, Resolved, UserChange};
use dialcast::store::{ChangeSet, Store};
use sha2::{Digest, Sha256};

const OUS_PER_REGION: u32 = 50;
const GROUPS: u32 = 50;
const RUNS: usize = 7;

fn id(class: u8, number: u32) -> ObjectId {
    let mut bytes = [class; 16];
    // Ids are random in life: spread them.
    let spread = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
    for (slot, byte) in bytes.iter_mut().zip(spread.into_iter().chain(number.to_be_bytes())) {
        *slot = byte;
    }
    ObjectId::from_bytes(bytes)
}

fn entry(class: u8, number: u32, dn: &str, attributes: &[(&str, &str)]) -> Entry {
    let attributes: Attributes = attributes.iter().map(|(name, value)| (*name, value.as_bytes().to_vec())).collect();
    Entry { id: id(class, number), dn: dn.parse().unwrap(), attributes }
}

/// The organisation's shape.
#[derive(Clone, Copy)]
struct Shape {
    users: u32,
    ous: u32,
}

impl Shape {
    fn region_dn(region: u32) -> String {
        format!("ou=Region {region},dc=corp,dc=example")
    }

    fn ou_dn(ou: u32) -> String {
        format!("ou=Team {ou},{}", Self::region_dn(ou / OUS_PER_REGION))
    }

    fn user_dn(self, user: u32) -> String {
        format!("uid=user{user},{}", Self::ou_dn(user / self.users.div_ceil(self.ous)))
    }

    fn domain(expires: &str) -> Entry {
        entry(
            b'd',
            0,
            "dc=corp,dc=example",
            &[
                ("objectClass", "domain"),
                ("dialcastSetting", "sip.registrar = 10 50 sips:reg1.corp.example"),
                ("dialcastSetting", "sip.registrar = 10 50 sips:reg2.corp.example"),
                ("dialcastSetting", "sip.outbound-proxy = @nearest(outbound-proxy)"),
                ("dialcastSetting", "sip.outbound-proxy += 90 0 sips:last.corp.example"),
                ("dialcastSetting", &format!("sip.expires = {expires}")),
                ("dialcastSetting", "media.srtp ! required"),
                ("dialcastSetting", "net.stun = 10 0 stun:stun.corp.example"),
                ("dialcastSetting", "emergency.number = 112,110"),
                ("dialcastSetting", "ntp = time1.corp.example,time2.corp.example"),
                ("dialcastSetting", "acl = deny contact domain:spam.example"),
                ("dialcastSetting", "dial.rule = ^0([1-9][0-9]*)$ -> +49$1"),
                ("dialcastSetting", "voicemail.uri = sip:voicemail@corp.example"),
                ("dialcastSetting", "provider.name = Corp Telephony"),
            ],
        )
    }

    fn ou(ou: u32, height: u32) -> Entry {
        let lines = [format!("video.max-height = {height}"), "ntp += time3.corp.example".into(), format!("timezone = Europe/{}", zone(ou))];
        let lines: Vec<(&str, &str)> = lines.iter().map(|line| ("dialcastSetting", line.as_str())).collect();
        entry(b'o', ou, &Self::ou_dn(ou), &[&[("objectClass", "organizationalUnit")], lines.as_slice()].concat())
    }

    fn server(region: u32, into: &str) -> Entry {
        let addresses = [1, 2].map(|n| format!("10 {} sips:proxy{n}.region{region}.corp.example", 50 * n));
        let [one, two] = &addresses;
        let attributes = [
            ("objectClass", "dialcastServer"),
            ("dialcastRole", "outbound-proxy"),
            ("dialcastServerAddress", one),
            ("dialcastServerAddress", two),
        ];
        entry(b's', region, &format!("cn=proxies{region},{into}"), &attributes)
    }

    fn user(self, user: u32) -> Entry {
        let name = format!("User Number {user}");
        let (uid, mail) = (format!("user{user}"), format!("user{user}@corp.example"));
        let tel = format!("+49 30 {user:07}");
        let attributes = [
            ("objectClass", "inetOrgPerson"),
            ("objectClass", "person"),
            ("cn", &name),
            ("sn", "Number"),
            ("displayName", &name),
            ("uid", &uid),
            ("mail", &mail),
            ("telephoneNumber", &tel),
            ("createTimestamp", "20260101000000Z"),
        ];
        entry(b'u', user, &self.user_dn(user), &attributes)
    }

    fn group(self, group: u32, lines: &[&str], members: impl Iterator<Item = u32>) -> Entry {
        let lines: Vec<(&str, &str)> = lines.iter().map(|line| ("dialcastSetting", *line)).collect();
        let dn = format!("cn=group{group},ou=Groups,dc=corp,dc=example");
        let mut entry = entry(b'g', group, &dn, &[&[("objectClass", "groupOfNames")], lines.as_slice()].concat());
        entry.attributes.add("member", members.map(|member| self.user_dn(member).into_bytes()));
        entry
    }

    /// A group of a fiftieth of the users; one in ten carries lines.
    fn small_group(self, group: u32, without: Option<u32>) -> Entry {
        let delay = format!("forward.delay = {}", 20 + group);
        let lines: &[&str] = if group.is_multiple_of(10) { &[&delay] } else { &[] };
        self.group(group, lines, (0..self.users / GROUPS).map(|n| n * GROUPS + group).filter(|user| Some(*user) != without))
    }

    fn everybody(self, language: &str, without: Option<u32>) -> Entry {
        self.group(u32::MAX, &[&format!("language = {language}")], (0..self.users).filter(|user| Some(*user) != without))
    }

    fn list(self) -> impl Iterator<Item = Event> {
        let groups = entry(b'r', 0, "ou=Groups,dc=corp,dc=example", &[("objectClass", "organizationalUnit")]);
        let region = |n: u32| entry(b'r', n + 1, &Self::region_dn(n), &[("objectClass", "organizationalUnit")]);
        let regions = self.ous.div_ceil(OUS_PER_REGION);
        let policy = |ou: u32| {
            let lines = [("keywords", "dialcast-policy/1"), ("objectClass", "serviceConnectionPoint")];
            let filter = ("serviceBindingInformation", "filter group:cn=group1,ou=Groups,dc=corp,dc=example");
            let line = ("serviceBindingInformation", "record.mode = on-demand");
            entry(b'p', ou, &format!("cn=recording,{}", Self::ou_dn(ou)), &[&lines[..], &[filter, line]].concat())
        };
        let entries = [Self::domain("3600"), groups]
            .into_iter()
            .chain((0..regions).map(region))
            .chain((0..regions).map(|n| Self::server(n, &Self::region_dn(n))))
            .chain((0..self.ous).map(|ou| Self::ou(ou, 720)))
            .chain((0..self.ous).step_by(10).map(policy))
            .chain((0..self.users).map(move |user| self.user(user)))
            .chain((0..GROUPS).map(move |group| self.small_group(group, None)))
            .chain([self.everybody("de", None)]);
        [Event::Init].into_iter().chain(entries.map(Event::InitApply)).chain([Event::InitDone { sweep: true, cookie: None }])
    }
}

fn zone(ou: u32) -> &'static str {
    ["Berlin", "Paris", "Rome", "Madrid"].get(ou as usize % 4).unwrap()
}

/// The time that this thread has had a processor (Linux), so that what else the machine does is not measured; the time of day
/// where that is not told.
struct Clock {
    begin: Instant,
    on_cpu_ns: Option<u64>,
}

impl Clock {
    fn on_cpu_ns() -> Option<u64> {
        std::fs::read_to_string("/proc/thread-self/schedstat").ok()?.split(' ').next()?.parse().ok()
    }

    fn start() -> Self {
        Self { begin: Instant::now(), on_cpu_ns: Self::on_cpu_ns() }
    }

    fn elapsed(&self) -> Duration {
        let by_day = self.begin.elapsed();
        // The kernel counts in ticks of some milliseconds: what is short is told by the time of day.
        let on_cpu = || Some(Duration::from_nanos(Self::on_cpu_ns()?.checked_sub(self.on_cpu_ns?)?));
        on_cpu().filter(|_| by_day > Duration::from_millis(50)).unwrap_or(by_day)
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The median of some runs of `run`, each on what `prepare` makes.
fn timed<P, R>(mut prepare: impl FnMut() -> P, mut run: impl FnMut(P) -> R) -> (Duration, R) {
    let mut last = None;
    let mut times = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let prepared = prepare();
        let begin = Clock::start();
        let result = run(prepared);
        times.push(begin.elapsed());
        last = Some(result);
    }
    (median(times), last.unwrap())
}

fn render(renderer: &mut Renderer, outcome: &Outcome) -> Vec<Document> {
    let resolved = |change: &UserChange| if let UserChange::Resolved { now, .. } = change { Some(Arc::clone(now)) } else { None };
    outcome.users.iter().filter_map(resolved).map(|resolved| renderer.profile(&resolved)).collect()
}

/// A change told again and again in two forms, so that each run changes something.
fn change(
    what: &str,
    everything: Duration,
    store: &mut Store,
    engine: &mut Engine,
    renderer: &mut Renderer,
    forms: [&dyn Fn() -> Entry; 2],
) {
    let mut changes: Vec<(ChangeSet, dialcast::store::Snapshot)> = Vec::new();
    // An even number, so that the next change begins where this one did.
    for turn in 0..=RUNS {
        let form = forms.get(turn % 2).unwrap();
        let applied = store.apply(Event::Apply(form()), Timestamp(1));
        changes.push((applied.changes.unwrap(), store.snapshot()));
    }
    let (mut resolve_times, mut render_times) = (Vec::new(), Vec::new());
    let mut outcome = Outcome::default();
    for (set, snapshot) in changes {
        let begin = Clock::start();
        outcome = engine.update(&snapshot, &[set]);
        resolve_times.push(begin.elapsed());
        let begin = Clock::start();
        black_box(render(renderer, &outcome));
        render_times.push(begin.elapsed());
    }
    let (resolving, rendering) = (median(resolve_times), median(render_times));
    println!(
        "{what:<44} {:>9.3} ms + {:>8.3} ms   {:>7} examined {:>7} changed   1/{:.0} of everything",
        ms(resolving),
        ms(rendering),
        outcome.examined,
        outcome.users.len(),
        everything.as_secs_f64() / (resolving + rendering).as_secs_f64()
    );
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter_map(|argument| argument.parse().ok());
    let shape = Shape { users: arguments.next().unwrap_or(100_000), ous: arguments.next().unwrap_or(1000) };
    let mut store = Store::new();
    for event in shape.list() {
        store.apply(event, Timestamp(0));
    }
    let snapshot = store.snapshot();
    println!("{} users in {} OUs, {} objects", shape.users, shape.ous, snapshot.len());

    let (resolving, (mut engine, outcome)) = timed(
        || Engine::new(PolicyConfig::default()),
        |mut engine| {
            let outcome = engine.load(&snapshot);
            (engine, outcome)
        },
    );
    assert_eq!(outcome.users.len(), shape.users as usize, "everybody has a document");
    let sets: std::collections::HashSet<_> = engine.users().map(|resolved: Arc<Resolved>| Arc::as_ptr(&resolved.shared)).collect();
    let (rendering, documents) = timed(Renderer::new, |mut renderer| render(&mut renderer, &outcome));
    let octets: usize = documents.iter().map(|document| document.body.len()).sum();
    let (copying, _) = timed(|| (), |()| documents.iter().map(|document| Arc::<[u8]>::from(&*document.body)).collect::<Vec<_>>());
    let (hashing, _) = timed(|| (), |()| documents.iter().map(|document| black_box(Sha256::digest(&document.body))[0]).max());
    let (memory, floor) = (copying, copying + hashing);
    let everything = resolving + rendering;
    let per_user = |time: Duration| time.as_secs_f64() * 1e6 / f64::from(shape.users);
    println!("{} shared sets, {} MB of documents", sets.len(), octets / 1_000_000);
    println!("resolve everybody      {:>9.1} ms   {:>6.2} µs a user", ms(resolving), per_user(resolving));
    println!("render everybody       {:>9.1} ms   {:>6.2} µs a user", ms(rendering), per_user(rendering));
    println!("both                   {:>9.1} ms   {:>6.2} µs a user   target: under 1000 ms", ms(everything), per_user(everything));
    println!("floor: copy and SHA-256{:>9.1} ms   {:>6.2} µs a user   ({:.1} ms copy)", ms(floor), per_user(floor), ms(memory));
    println!(
        "ratios: both / floor {:.2}, render / floor {:.2}, resolve / copy {:.2}",
        everything.as_secs_f64() / floor.as_secs_f64(),
        rendering.as_secs_f64() / floor.as_secs_f64(),
        resolving.as_secs_f64() / copying.as_secs_f64()
    );
    drop(documents);

    println!("\none change: resolve + render");
    let mut renderer = Renderer::new();
    black_box(render(&mut renderer, &outcome));
    drop(outcome);
    let mut run = |what: &str, forms: [&dyn Fn() -> Entry; 2]| change(what, everything, &mut store, &mut engine, &mut renderer, forms);
    run("a line of one OU", [&|| Shape::ou(7, 480), &|| Shape::ou(7, 720)]);
    let moved = |into: u32| {
        let mut entry = Shape::ou(7, 720);
        entry.dn = format!("ou=Team 7,{}", Shape::region_dn(into)).parse().unwrap();
        entry
    };
    if shape.ous > OUS_PER_REGION {
        run("one OU moves to another region", [&|| moved(1), &|| moved(0)]);
        run("a region's proxies move to another", [&|| Shape::server(0, &Shape::region_dn(1)), &|| Shape::server(0, &Shape::region_dn(0))]);
    }
    run("one member of a group with lines", [&|| shape.small_group(10, Some(10)), &|| shape.small_group(10, None)]);
    run("one member of a group that nobody asks for", [&|| shape.small_group(11, Some(11)), &|| shape.small_group(11, None)]);
    run("one member of the group of everybody", [&|| shape.everybody("de", Some(10)), &|| shape.everybody("de", None)]);
    run(
        "one user's mail",
        [
            &|| {
                let mut user = shape.user(5);
                user.attributes =
                    user.attributes.iter().filter(|(name, _)| *name != "mail").fold(Attributes::new(), |mut all, (name, values)| {
                        all.add(name, values.iter().map(<[u8]>::to_vec));
                        all
                    });
                user.attributes.add("mail", [b"other@corp.example".to_vec()]);
                user
            },
            &|| shape.user(5),
        ],
    );
    run("a line of the group of everybody", [&|| shape.everybody("fr", None), &|| shape.everybody("de", None)]);
    run("a line of the domain", [&|| Shape::domain("1800"), &|| Shape::domain("3600")]);
    run(
        "a comment in the domain",
        [
            &|| {
                let mut domain = Shape::domain("3600");
                domain.attributes.add("dialcastSetting", [b"# a comment".to_vec()]);
                domain
            },
            &|| Shape::domain("3600"),
        ],
    );
}
