//! Phones made of sipp: each subscription is a sipp call with a socket of its own, and what came is read from sipp's log.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tempfile::TempDir;

use super::{PATIENCE, checkout, until};

/// How the phones speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// UDP, and the Contact says `transport=udp`: requests of any size come by UDP.
    Udp,
    /// UDP, and the Contact says nothing: a large request comes by TCP first, which these phones refuse (RFC 3261 §18.1.1).
    UdpUnsaid,
    /// TCP.
    Tcp,
}

/// One NOTIFY as sipp received it; retransmissions are counted, not listed again.
#[derive(Debug, Clone)]
pub struct Notify {
    /// `user@domain` of its To.
    pub user: String,
    /// When sipp read it, since the epoch.
    pub at: Duration,
    /// `Call-ID` and `CSeq`.
    pub id: (String, u32),
    /// The whole Subscription-State.
    pub state: String,
    /// Content-Type.
    pub content_type: String,
    pub body: String,
    /// How many more times it came.
    pub again: u32,
}

/// A running sipp that holds one subscription per user.
pub struct Phones {
    child: Child,
    dir: TempDir,
    log: Log,
    users: Vec<String>,
}

impl Phones {
    /// Subscribes each of these `user@domain`, and waits until each has its first document.
    pub fn subscribe<S: AsRef<str>>(server: SocketAddr, users: impl IntoIterator<Item = (S, Wire)>) -> Self {
        Self::subscribe_at(server, Ipv4Addr::LOCALHOST, users)
    }

    /// The same, the phones at this address.
    pub fn subscribe_at<S: AsRef<str>>(server: SocketAddr, own: Ipv4Addr, users: impl IntoIterator<Item = (S, Wire)>) -> Self {
        let dir = TempDir::new().unwrap();
        let mut csv = String::from("SEQUENTIAL\n");
        let mut names = Vec::new();
        let mut tcp = false;
        for (user, wire) in users {
            let (name, domain) = user.as_ref().split_once('@').unwrap();
            let parameter = match wire {
                Wire::Udp => "transport=udp",
                // A parameter that says nothing about the transport, as desk phones put there.
                Wire::UdpUnsaid => "line=1",
                Wire::Tcp => "transport=tcp",
            };
            assert!(names.is_empty() || tcp == (wire == Wire::Tcp), "one sipp speaks UDP or TCP");
            tcp = wire == Wire::Tcp;
            writeln!(csv, "{name};{domain};{parameter}").unwrap();
            names.push(user.as_ref().to_owned());
        }
        std::fs::write(dir.path().join("users.csv"), csv).unwrap();
        let count = names.len().to_string();
        let mut sipp = Command::new("sipp");
        sipp.arg(server.to_string()).current_dir(dir.path()).env("TZ", "UTC");
        sipp.arg("-sf").arg(checkout("tests/sipp/hold.xml")).args(["-inf", "users.csv"]);
        sipp.args(["-i", &own.to_string(), "-t", if tcp { "tn" } else { "un" }, "-max_socket", "400"]);
        sipp.args(["-m", &count, "-l", &count, "-r", "200", "-nostdin"]);
        sipp.args(["-trace_msg", "-message_file", "messages.log", "-trace_err", "-error_file", "errors.log"]);
        let out = File::create(dir.path().join("screen.log")).unwrap();
        let child = sipp
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .spawn()
            .expect("sipp starts (Debian: apt-get install sip-tester)");
        let log = Log::new(dir.path().join("messages.log"));
        let mut phones = Self { child, dir, log, users: names };
        phones.wait("every phone has its first document", 0, PATIENCE, |got, users| users.iter().all(|user| got.contains_key(user)));
        phones
    }

    /// All phones of one kind.
    pub fn all<S: AsRef<str>>(server: SocketAddr, users: impl IntoIterator<Item = S>, wire: Wire) -> Self {
        Self::subscribe(server, users.into_iter().map(|user| (user, wire)))
    }

    pub fn users(&self) -> &[String] {
        &self.users
    }

    /// Everything received so far, in order.
    pub fn notifies(&mut self) -> &[Notify] {
        self.log.read();
        &self.log.notifies
    }

    /// A place in that order: now.
    pub fn mark(&mut self) -> usize {
        self.notifies().len()
    }

    /// What came since a mark, by user.
    pub fn since(&mut self, mark: usize) -> BTreeMap<String, Vec<Notify>> {
        let mut by_user = BTreeMap::<String, Vec<Notify>>::new();
        for notify in &self.notifies()[mark..] {
            by_user.entry(notify.user.clone()).or_default().push(notify.clone());
        }
        by_user
    }

    /// Waits until what came since the mark is enough, and gives it.
    pub fn wait(
        &mut self,
        what: &str,
        mark: usize,
        limit: Duration,
        enough: impl Fn(&BTreeMap<String, Vec<Notify>>, &[String]) -> bool,
    ) -> BTreeMap<String, Vec<Notify>> {
        until(what, limit, || {
            let got = self.since(mark);
            if enough(&got, &self.users) {
                return Some(got);
            }
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "sipp ended ({ended:?}) before {what}:\n{}", self.errors());
            None
        })
    }

    /// What sipp found wrong: unexpected messages, for one.
    pub fn errors(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("errors.log")).unwrap_or_default()
    }

    /// The last document of a user.
    pub fn document(&mut self, user: &str) -> String {
        self.notifies().iter().rfind(|notify| notify.user == user && !notify.body.is_empty()).expect("a document came").body.clone()
    }
}

impl Drop for Phones {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("sipp's errors:\n{}", self.errors());
        }
    }
}

/// sipp's message log, read as it grows.
struct Log {
    path: std::path::PathBuf,
    file: Option<File>,
    /// What was read and not yet understood.
    rest: Vec<u8>,
    notifies: Vec<Notify>,
}

impl Log {
    fn new(path: std::path::PathBuf) -> Self {
        Self { path, file: None, rest: Vec::new(), notifies: Vec::new() }
    }

    fn read(&mut self) {
        if self.file.is_none() {
            self.file = File::open(&self.path).ok();
        }
        let Some(file) = &mut self.file else { return };
        file.read_to_end(&mut self.rest).unwrap();
        let mut from = 0;
        while let Some((at, received, message)) = block(&self.rest, &mut from) {
            if received && message.starts_with("NOTIFY ") {
                self.add(at, &message);
            }
        }
        self.rest.drain(..from);
    }

    fn add(&mut self, at: Duration, message: &str) {
        let (head, body) = message.split_once("\r\n\r\n").unwrap_or((message, ""));
        let header = |name: &str| {
            head.lines()
                .find_map(|line| line.split_once(':').filter(|(n, _)| n.eq_ignore_ascii_case(name)))
                .map_or("", |(_, value)| value.trim())
        };
        let user = header("To").split("sip:").nth(1).unwrap_or_default().split(['>', ';']).next().unwrap_or_default().to_owned();
        let cseq = header("CSeq").split(' ').next().unwrap_or_default().parse().unwrap();
        let id = (header("Call-ID").to_owned(), cseq);
        if let Some(known) = self.notifies.iter_mut().find(|notify| notify.id == id) {
            known.again += 1;
            return;
        }
        let state = header("Subscription-State").to_owned();
        let content_type = header("Content-Type").to_owned();
        self.notifies.push(Notify { user, at, id, state, content_type, body: body.to_owned(), again: 0 });
    }
}

/// The next whole block of the log: a line of dashes with the time, a line with direction and size, an empty line, the message.
fn block(log: &[u8], from: &mut usize) -> Option<(Duration, bool, String)> {
    let line = |start: usize| log.get(start..)?.iter().position(|b| *b == b'\n').map(|length| start + length + 1);
    let mut start = *from;
    loop {
        let end = line(start)?;
        let Some(time) = std::str::from_utf8(&log[start..end])
            .ok()
            .and_then(|text| text.strip_prefix("-----------------------------------------------"))
        else {
            start = end;
            continue;
        };
        let head = line(end)?;
        let text = std::str::from_utf8(&log[end..head]).unwrap();
        let size: usize = text.split(['[', ']', '(', ')', ' ']).find_map(|word| word.parse().ok())?;
        let body = line(head)?;
        let message = log.get(body..body + size)?;
        *from = body + size;
        return Some((parse_time(time.trim()), text.contains("received"), String::from_utf8_lossy(message).into_owned()));
    }
}

/// `2026-11-24 07:56:23.584801`, in UTC, as time since the epoch.
fn parse_time(text: &str) -> Duration {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).filter(|word| !word.is_empty()).map(|word| word.parse::<u64>().unwrap());
    let mut next = || numbers.next().unwrap();
    let (year, month, day) = (next(), next(), next());
    let (hour, minute, second, micros) = (next(), next(), next(), next());
    // Days since 1970-01-01 by the proleptic Gregorian calendar, years beginning in March.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    Duration::from_secs(days * 86_400 + hour * 3600 + minute * 60 + second) + Duration::from_micros(micros)
}

/// Now, on the clock that sipp's log uses.
pub fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

#[test]
fn times_of_the_log() {
    assert_eq!(parse_time("2026-11-24\t07:56:23.584801"), Duration::from_micros(1_795_506_983_584_801));
    assert_eq!(parse_time("2024-02-29 00:00:00.000000").as_secs(), 1_709_164_800);
}
