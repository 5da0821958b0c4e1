//! A DNS server on the loopback that answers from the test's table, and remembers what it was asked.
//!
//! ```ignore
//! let dns = Dns::start();                                        // dns.address(): 127.0.0.1:PORT
//! dns.srv("_ldap._tcp.corp.example", &[(10, 5, 389, "a.corp.example")]);
//! dns.address_of("a.corp.example", "127.0.0.2");
//! dns.silence("_ldap._tcp.dc._msdcs.corp.example");              // no answer at all
//! dns.asked()                                                    // names in the order of the questions
//! ```

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of this module")]
#![allow(clippy::unwrap_used, reason = "a fixture fails its test by panicking")]

use std::collections::{HashMap, HashSet};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

const A: u16 = 1;
const SRV: u16 = 33;

#[derive(Default)]
struct Table {
    records: HashMap<String, Vec<(u16, Vec<u8>)>>,
    silent: HashSet<String>,
    asked: Vec<String>,
}

pub struct Dns {
    address: SocketAddr,
    table: Arc<Mutex<Table>>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Dns {
    pub fn start() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = socket.local_addr().unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let (table, ends): (Arc<Mutex<Table>>, Arc<AtomicBool>) = Default::default();
        let (known, end) = (Arc::clone(&table), Arc::clone(&ends));
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 1500];
            while !end.load(Ordering::SeqCst) {
                let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
                if let Some(answer) = answer(&buffer[..length], &mut known.lock().unwrap()) {
                    let _ = socket.send_to(&answer, from);
                }
            }
        });
        Self { address, table, ends, thread: Some(thread) }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Gives the name these records: priority, weight, port, target.
    pub fn srv(&self, name: &str, records: &[(u16, u16, u16, &str)]) {
        let data = records.iter().map(|(priority, weight, port, target)| {
            let head = [priority.to_be_bytes(), weight.to_be_bytes(), port.to_be_bytes()].concat();
            (SRV, [head, encode(target)].concat())
        });
        self.table.lock().unwrap().records.insert(name.to_lowercase(), data.collect());
    }

    pub fn address_of(&self, name: &str, ip: &str) {
        let octets = ip.parse::<Ipv4Addr>().unwrap().octets();
        self.table.lock().unwrap().records.insert(name.to_lowercase(), vec![(A, octets.to_vec())]);
    }

    /// Questions for this name are not answered.
    pub fn silence(&self, name: &str) {
        self.table.lock().unwrap().silent.insert(name.to_lowercase());
    }

    /// The names of all questions so far, each once, in their order.
    pub fn asked(&self) -> Vec<String> {
        self.table.lock().unwrap().asked.clone()
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// RFC 1035 §3.1: labels with their lengths.
fn encode(name: &str) -> Vec<u8> {
    let labels = name.split('.').filter(|label| !label.is_empty());
    let mut octets: Vec<u8> = labels.flat_map(|label| [&[u8::try_from(label.len()).unwrap()], label.as_bytes()].concat()).collect();
    octets.push(0);
    octets
}

/// RFC 1035 §4.1: the answer to a message with one question.
fn answer(message: &[u8], table: &mut Table) -> Option<Vec<u8>> {
    let mut labels = Vec::new();
    let mut at = 12;
    loop {
        let length = usize::from(*message.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(message.get(at..at + length)?).to_lowercase());
        at += length;
    }
    let name = labels.join(".");
    let kind = u16::from_be_bytes(message.get(at..at + 2)?.try_into().ok()?);
    let question = message.get(12..at + 4)?;
    if !table.asked.contains(&name) {
        table.asked.push(name.clone());
    }
    if table.silent.contains(&name) {
        return None;
    }
    let known = table.records.get(&name);
    let records: Vec<&Vec<u8>> = known.into_iter().flatten().filter(|(of, _)| *of == kind).map(|(_, data)| data).collect();
    let mut out = message[..2].to_vec();
    // A response, with recursion; NXDOMAIN (3) when nothing is known of the name.
    out.extend([0x81, if known.is_some() { 0x80 } else { 0x83 }]);
    out.extend([0, 1, 0, u8::try_from(records.len()).unwrap(), 0, 0, 0, 0]);
    out.extend(question);
    for data in records {
        // The question's name, by a pointer to it; class IN; 60 s.
        out.extend([0xc0, 12]);
        out.extend(kind.to_be_bytes());
        out.extend([0, 1, 0, 0, 0, 60]);
        out.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        out.extend(data);
    }
    Some(out)
}
