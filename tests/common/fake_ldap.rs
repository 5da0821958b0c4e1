//! An LDAP server that says what the test has it say: for what no real server does on demand.
//!
//! It answers the root DSE, the check of contextCSN (with nothing) and binds by itself. Synchronizing searches are answered by the
//! test's script, which is given their number (from 0) and whether they came with a cookie.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of this module")]
#![allow(clippy::unwrap_used, reason = "a fixture fails its test by panicking")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// One message in answer to a synchronizing search.
#[derive(Clone)]
pub enum Reply {
    /// State (0 present, 1 add, 2 modify, 3 delete), id, name, and a cookie.
    Entry(u8, u8, &'static str, Option<&'static str>),
    /// refreshDelete or refreshPresent, done, with a cookie.
    RefreshDone {
        present: bool,
        cookie: &'static str,
    },
    NewCookie(&'static str),
    Reference(&'static str),
    /// The search's result.
    Done(u16),
    /// Waits until the test says so.
    Wait(Arc<tokio::sync::Notify>),
}

pub struct FakeLdap {
    pub address: SocketAddr,
    searches: Arc<AtomicUsize>,
}

impl FakeLdap {
    /// `vendor`: what the root DSE says of the server; the ids that the roll call finds; the script.
    pub async fn start<F>(vendor: &'static str, ids: &'static [u8], script: F) -> Self
    where
        F: Fn(usize, bool) -> Vec<Reply> + Send + Sync + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let searches = Arc::new(AtomicUsize::new(0));
        let (count, script) = (Arc::clone(&searches), Arc::new(script));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, vendor, ids, Arc::clone(&count), Arc::clone(&script)));
            }
        });
        Self { address, searches }
    }

    /// How many synchronizing searches there were.
    pub fn searches(&self) -> usize {
        self.searches.load(Ordering::SeqCst)
    }
}

async fn serve<F>(mut stream: TcpStream, vendor: &'static str, ids: &'static [u8], count: Arc<AtomicUsize>, script: Arc<F>)
where
    F: Fn(usize, bool) -> Vec<Reply> + Send + Sync + 'static,
{
    let mut buffer = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk).await {
            Ok(length @ 1..) => buffer.extend_from_slice(&chunk[..length]),
            _ => return,
        }
        while let Some(request) = take(&mut buffer) {
            let (id, has) = (request[request.iter().position(|&b| b == 2).unwrap() + 2], |text: &str| find(&request, text.as_bytes()));
            let mut out = Vec::new();
            if has("1.3.6.1.4.1.4203.1.9.1.1") {
                for reply in script(count.fetch_add(1, Ordering::SeqCst), has("csn=")) {
                    if let Reply::Wait(gate) = &reply {
                        stream.write_all(&std::mem::take(&mut out)).await.unwrap();
                        gate.notified().await;
                    } else {
                        out.extend(encode(id, &reply));
                    }
                }
            } else {
                if has("namingContexts") {
                    let names = [("namingContexts", "dc=x"), ("supportedControl", "1.3.6.1.4.1.4203.1.9.1.1"), ("vendorName", vendor)];
                    out.extend(message(id, &entry("", &names), &[]));
                } else if has("entryUUID") {
                    for one in ids {
                        let uuid = format!("{one:02x}").repeat(16);
                        // Made in the second of that number, from 2026 on.
                        let made = format!("202601010000{one:02}Z");
                        out.extend(message(id, &entry("cn=x", &[("entryUUID", &uuid), ("createTimestamp", &made)]), &[]));
                    }
                }
                out.extend(message(id, &result(0x65, 0), &[]));
            }
            if stream.write_all(&out).await.is_err() {
                return;
            }
        }
    }
}

/// One whole message from the front, if there is one.
fn take(buffer: &mut Vec<u8>) -> Option<Vec<u8>> {
    let first = usize::from(*buffer.get(1)?);
    let (header, length) = if first < 128 {
        (2, first)
    } else {
        let octets = buffer.get(2..2 + first - 128)?;
        (2 + first - 128, octets.iter().fold(0, |length, &octet| length << 8 | usize::from(octet)))
    };
    (buffer.len() >= header + length).then(|| buffer.drain(..header + length).collect())
}

fn find(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|part| part == needle)
}

/// BER: tag, length, content.
fn ber(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [[tag, 0x82, length[0], length[1]].as_slice(), content].concat()
}

fn message(id: u8, operation: &[u8], controls: &[u8]) -> Vec<u8> {
    let controls = if controls.is_empty() { Vec::new() } else { ber(0xa0, controls) };
    ber(0x30, &[&ber(2, &[id]), operation, &controls].concat())
}

fn entry(name: &str, attributes: &[(&str, &str)]) -> Vec<u8> {
    let attribute = |(name, value): &(&str, &str)| ber(0x30, &[ber(4, name.as_bytes()), ber(0x31, &ber(4, value.as_bytes()))].concat());
    ber(0x64, &[ber(4, name.as_bytes()), ber(0x30, &attributes.iter().flat_map(attribute).collect::<Vec<_>>())].concat())
}

fn result(tag: u8, code: u16) -> Vec<u8> {
    ber(tag, &[ber(0x0a, &code.to_be_bytes()), ber(4, b""), ber(4, b"")].concat())
}

fn encode(id: u8, reply: &Reply) -> Vec<u8> {
    let info = |value: Vec<u8>| ber(0x79, &[ber(0x80, b"1.3.6.1.4.1.4203.1.9.1.4"), ber(0x81, &value)].concat());
    match reply {
        Reply::Entry(state, uuid, name, cookie) => {
            let cookie = cookie.map(|cookie| ber(4, cookie.as_bytes())).unwrap_or_default();
            let value = ber(0x30, &[ber(0x0a, &[*state]), ber(4, &[*uuid; 16]), cookie].concat());
            let control = ber(0x30, &[ber(4, b"1.3.6.1.4.1.4203.1.9.1.2"), ber(4, &value)].concat());
            message(id, &entry(name, &[("objectClass", "device")]), &control)
        }
        Reply::RefreshDone { present, cookie } => {
            message(id, &info(ber(if *present { 0xa2 } else { 0xa1 }, &ber(4, cookie.as_bytes()))), &[])
        }
        Reply::NewCookie(cookie) => message(id, &info(ber(0x80, cookie.as_bytes())), &[]),
        Reply::Reference(url) => message(id, &ber(0x73, &ber(4, url.as_bytes())), &[]),
        Reply::Done(code) => message(id, &result(0x65, *code), &[]),
        Reply::Wait(_) => Vec::new(),
    }
}
