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
use dialcast::directory::{Bind, ClientCertificate, DirectoryError, LdapOptions, Source, read};
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
        assert!(unknown.ends_with("; put the authority that signed it into directory.ca_file"), "{unknown}");
        let named = url.replace("127.0.0.1", "localhost");
        let name = refused(options(&named, Some(authority.file()), starttls)).await;
        assert!(name.contains("not accepted: ") && name.contains("localhost"), "{name}");
        assert!(name.contains("; write the host in directory.url as the certificate has it"), "{name}");
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

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_past_its_end() {
    let authority = Authority::new();
    let slapd = Setup::new(BASE).tls(&authority.certify_expired("IP:127.0.0.1")).start();
    let why = refused(options(&slapd.ldaps_url(), Some(authority.file()), false)).await;
    assert!(why.contains("not accepted: it has expired; "), "{why}");
    assert!(why.ends_with("give the server a new certificate; if its certificate is good, set this machine's clock"), "{why}");
}

/// An address of IPv6 has brackets in a URL, and none in a certificate.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_by_its_ipv6_address() {
    let authority = Authority::new();
    let slapd = Setup::new(BASE).tls(&authority.certify("IP:::1")).start();
    let listener = tokio::net::TcpListener::bind("[::1]:0").await.unwrap();
    let url = format!("ldap://{}/dc=corp,dc=example", listener.local_addr().unwrap());
    let target = slapd.address();
    let forward = tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut server = tokio::net::TcpStream::connect(target).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut client, &mut server).await });
        }
    });
    assert_eq!(count(options(&url, Some(authority.file()), true)).await, 4);
    let why = refused(options(&slapd.url(), Some(authority.file()), true)).await;
    assert!(why.contains("not accepted: ") && why.contains("127.0.0.1"), "{why}");
    forward.abort();
}

/// Who we are is in the client certificate; the server's rules make an account of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_is_a_login() {
    let authority = Authority::new();
    let slapd = Setup::new(BASE)
        .tls(&authority.certify("IP:127.0.0.1"))
        .global("TLSVerifyClient try\nauthz-regexp \"cn=dialcast,o=corp\" \"cn=reader,dc=corp,dc=example\"")
        // Only the account sees anything.
        .database("access to * by dn.exact=cn=reader,dc=corp,dc=example read by * auth")
        .start();
    let by = |url: &str, subject: &str, starttls: bool| {
        let mut options = options(url, Some(authority.file()), starttls);
        let client = authority.certify_client(subject);
        options.bind = Bind::External;
        options.tls.client = Some(ClientCertificate { certificate: client.certificate, key: client.key });
        options
    };
    assert_eq!(count(by(&slapd.ldaps_url(), "/O=Corp/CN=dialcast", false)).await, 4);
    assert_eq!(count(by(&slapd.url(), "/O=Corp/CN=dialcast", true)).await, 4);
    // Somebody else's certificate, of the same authority, is somebody else.
    let stranger = refused(by(&slapd.ldaps_url(), "/O=Corp/CN=stranger", false)).await;
    assert!(stranger.contains("noSuchObject (32)") || stranger.contains("insufficientAccessRights (50)"), "{stranger}");

    // A key that is not the certificate's, and none.
    let mut mixed = by(&slapd.ldaps_url(), "/O=Corp/CN=dialcast", false);
    mixed.tls.client.as_mut().unwrap().key = Authority::new().certify_client("/CN=x").key;
    let why = refused(mixed).await;
    assert!(why.starts_with("cannot use the client certificate: ") && why.contains("directory.client_key_file"), "{why}");

    // A server that asks for none offers no such login.
    let plain = Setup::new(BASE).tls(&authority.certify("IP:127.0.0.1")).start();
    let why = refused(by(&plain.ldaps_url(), "/O=Corp/CN=dialcast", false)).await;
    assert!(why.starts_with("the bind as `SASL EXTERNAL` was refused: ") && why.contains("TLSVerifyClient"), "{why}");
}
