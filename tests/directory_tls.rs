//! LDAP over TLS: ldaps and StartTLS, with a certificate authority that only the test knows.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common {
    pub(crate) mod slapd;
    pub(crate) mod tls;
}

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::slapd::{BASE, Setup, Slapd};
use common::tls::Authority;
use dialcast::directory::{Bind, DirectoryError, LdapOptions, Source, read};
use dialcast::model::Secret;

const PASSWORD: &str = "secret";

fn options(url: &str, ca_file: Option<PathBuf>, starttls: bool) -> LdapOptions {
    let mut options = LdapOptions::new(url.parse().unwrap());
    options.bind = Bind::Simple { dn: Slapd::READER.to_owned(), password: Secret::new(PASSWORD) };
    options.tls.ca_file = ca_file;
    options.tls.starttls = starttls;
    options.timers.connect = Duration::from_secs(5);
    options
}

async fn count(options: LdapOptions) -> usize {
    read(Source::Ldap(options)).await.unwrap().0.len()
}

/// What an operator reads.
async fn refused(options: LdapOptions) -> String {
    match read(Source::Ldap(options)).await {
        Err(DirectoryError::Ldap { failure, .. }) => failure.explain(),
        other => panic!("{other:?}"),
    }
}

/// Both on one server: a slapd takes a while to make its keys.
#[tokio::test(flavor = "multi_thread")]
async fn ldaps_and_starttls() {
    let authority = Authority::new();
    let slapd = Setup::new(BASE).tls(&authority.certify("IP:127.0.0.1")).global("security simple_bind=128").start();
    // Init, two entries, InitDone.
    assert_eq!(count(options(&slapd.ldaps_url(), Some(authority.file()), false)).await, 4);
    assert_eq!(count(options(&slapd.url(), Some(authority.file()), true)).await, 4);
    // The server wants TLS for passwords: it says so, and we say what to do.
    let clear = refused(options(&slapd.url(), None, false)).await;
    assert!(clear.contains("confidentialityRequired (13)") && clear.ends_with("directory.starttls = true"), "{clear}");

    // Another authority, and another name.
    let other = Authority::new();
    for (url, starttls) in [(slapd.ldaps_url(), false), (slapd.url(), true)] {
        let unknown = refused(options(&url, Some(other.file()), starttls)).await;
        assert!(unknown.starts_with("the server's certificate is not accepted: "), "{unknown}");
        assert!(unknown.contains("put the authority that signed it into directory.ca_file"), "{unknown}");
        let named = url.replace("127.0.0.1", "localhost");
        let name = refused(options(&named, Some(authority.file()), starttls)).await;
        assert!(name.contains("not accepted: ") && name.contains("localhost"), "{name}");
    }
    // TLS on the port that begins without.
    let plain = refused(options(&slapd.url().replace("ldap:", "ldaps:"), Some(authority.file()), false)).await;
    assert!(plain.starts_with("the TLS handshake failed: "), "{plain}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ca_files() {
    let slapd = Setup::new(BASE).tls(&Authority::new().certify("IP:127.0.0.1")).start();
    let missing = slapd.dir().join("no.pem");
    let empty = slapd.dir().join("empty.pem");
    std::fs::write(&empty, "no certificate\n").unwrap();
    for file in [missing, empty] {
        let why = refused(options(&slapd.ldaps_url(), Some(file.clone()), false)).await;
        assert!(why.starts_with(&format!("cannot use the CA file {}: ", file.display())), "{why}");
    }
}

/// A server without a certificate, and one in the middle that takes StartTLS away: nothing is sent in the clear.
#[tokio::test(flavor = "multi_thread")]
async fn no_silent_downgrade() {
    let slapd = Slapd::start(BASE);
    let authority = Authority::new();
    let why = refused(options(&slapd.url(), Some(authority.file()), true)).await;
    assert!(why.starts_with("the server refuses StartTLS: ") && why.ends_with("give the server a certificate, or use ldaps://"), "{why}");

    let heard: Arc<Mutex<Vec<u8>>> = Arc::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let sink = Arc::clone(&heard);
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut buffer = [0; 1024];
        while let Ok(length @ 1..) = stream.read(&mut buffer).await {
            sink.lock().unwrap().extend_from_slice(&buffer[..length]);
            // ExtendedResponse to the first message: protocolError (2).
            stream.write_all(b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x02\x04\x00\x04\x00").await.unwrap();
        }
    });
    let why = refused(options(&format!("ldap://{address}/dc=x"), Some(authority.file()), true)).await;
    assert!(why.contains("refuses StartTLS: protocolError (2)"), "{why}");
    let heard = heard.lock().unwrap();
    // The StartTLS request, and nothing else.
    assert!(heard.windows(22).any(|part| part == b"1.3.6.1.4.1.1466.20037"), "{heard:?}");
    assert!(!heard.windows(PASSWORD.len()).any(|part| part == PASSWORD.as_bytes()));
}
