//! Digest authentication: RFC 7616, with the algorithms and the order of RFC 8760 §2.
//!
//! Quality of protection is `auth`. A server that wants credentials writes one challenge per algorithm, the strongest first, each
//! into a WWW-Authenticate of its own; the client answers the first that it knows.

mod challenge;
mod credentials;
mod hash;
mod params;

use thiserror::Error;

pub use challenge::Challenge;
pub use credentials::{Answer, Credentials, Session, verify};
pub use hash::{Algorithm, Ha1, response};

/// Why credentials or a challenge cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DigestError {
    /// Another scheme than Digest (RFC 4475 §3.3.7): for this scheme there are no credentials.
    #[error("not the Digest scheme")]
    Scheme,
    /// Not a list of `name=value`.
    #[error("a broken parameter list")]
    Syntax,
    /// A parameter that must be there.
    #[error("no `{0}`")]
    Missing(&'static str),
    /// A parameter that is there twice: two readers would read two things.
    #[error("more than one `{0}`")]
    Repeated(&'static str),
    /// An algorithm that is neither SHA-256 nor MD5, or not the one that is wanted.
    #[error("an algorithm that is not offered")]
    Algorithm,
    /// A quality of protection that is not `auth`.
    #[error("a quality of protection that is not offered")]
    Qop,
    /// The response does not prove the secret.
    #[error("the response does not match")]
    Mismatch,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7616 §3.9.1.
    const NONCE: &str = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
    const CNONCE: &str = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
    const REALM: &str = "http-auth@example.org";

    #[test]
    fn rfc_7616_examples() {
        let check = |algorithm: Algorithm, expect: &str| {
            let ha1 = Ha1::new(algorithm, "Mufasa", REALM, "Circle of Life");
            assert_eq!(response(&ha1, NONCE, Some(("00000001", CNONCE)), "GET", "/dir/index.html"), expect);
        };
        check(Algorithm::Md5, "8ca523f5e9506fed4657c9700eebdbec");
        check(Algorithm::Sha256, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1");
    }

    #[test]
    fn rfc_2617_example() {
        let ha1 = Ha1::new(Algorithm::Md5, "Mufasa", "testrealm@host.com", "Circle Of Life");
        let session = Some(("00000001", "0a4f113b"));
        let found = response(&ha1, "dcd98b7102dd2f0e8b11d0f600bfb0c093", session, "GET", "/dir/index.html");
        assert_eq!(found, "6629fae49393a05397450978507c4ef1");
    }

    /// A challenge, its answer, and both through their header fields.
    #[track_caller]
    fn exchange(algorithm: Algorithm, password: &str, method: &str) -> Result<(), DigestError> {
        let realm = r#"corp "example" \ ü"#;
        let sent = Challenge { opaque: Some("o1".into()), ..Challenge::new(algorithm, realm, NONCE).stale(true) }.to_string();
        let challenge = Challenge::parse(&sent).unwrap();
        assert_eq!((&*challenge.realm, challenge.stale, challenge.qop_auth, challenge.algorithm), (realm, true, true, algorithm));
        let answer =
            Answer { username: "anna@corp", method: "SUBSCRIBE", uri: "sip:anna@corp.example;x=\"y\"", cnonce: "c1", nonce_count: 10 };
        let ha1 = Ha1::new(algorithm, answer.username, realm, password);
        let sent = Credentials::answer(&challenge, &ha1, &answer).unwrap().to_string();
        let credentials = Credentials::parse(&sent).unwrap();
        assert_eq!((credentials.nonce_count(), credentials.opaque.as_deref(), &*credentials.uri), (Some(10), Some("o1"), answer.uri));
        assert_eq!(credentials.to_string(), sent);
        verify(&credentials, &Ha1::new(algorithm, "anna@corp", realm, "secret"), method)
    }

    #[test]
    fn exchanges() {
        for algorithm in [Algorithm::Sha256, Algorithm::Md5] {
            assert_eq!(exchange(algorithm, "secret", "SUBSCRIBE"), Ok(()));
            assert_eq!(exchange(algorithm, "Secret", "SUBSCRIBE"), Err(DigestError::Mismatch));
            assert_eq!(exchange(algorithm, "secret", "NOTIFY"), Err(DigestError::Mismatch));
        }
    }

    #[test]
    fn proofs_of_another_kind() {
        let ha1 = Ha1::new(Algorithm::Sha256, "a", "r", "p");
        let text = |rest: &str| format!(r#"Digest username="a", realm="r", nonce="n", uri="sip:x"{rest}"#);
        let check = |rest: &str, expect: DigestError| {
            let text = text(rest);
            assert_eq!(verify(&Credentials::parse(&text).unwrap(), &ha1, "SUBSCRIBE"), Err(expect), "{rest}");
        };
        check(r#", response="00""#, DigestError::Algorithm);
        check(r#", response="00", algorithm=SHA-256"#, DigestError::Missing("qop"));
        check(r#", response="00", algorithm=SHA-256, qop=auth, nc=00000001, cnonce="c""#, DigestError::Mismatch);
        check(&format!(r#", response="{}", algorithm=SHA-256, qop=auth, nc=00000001, cnonce="c""#, "é".repeat(32)), DigestError::Mismatch);
        // Upper-case digits are the same number.
        let proof = response(&ha1, "n", Some(("00000001", "c")), "SUBSCRIBE", "sip:x").to_ascii_uppercase();
        let text = text(&format!(r#", response="{proof}", algorithm=sha-256, qop="auth", nc=00000001, cnonce="c""#));
        assert_eq!(verify(&Credentials::parse(&text).unwrap(), &ha1, "SUBSCRIBE"), Ok(()));
    }

    #[test]
    fn credentials_that_cannot_be_used() {
        let check = |text: &str, expect: DigestError| assert_eq!(Credentials::parse(text), Err(expect), "{text}");
        let with = |rest: &str| format!(r#"Digest username="a",realm="r",nonce="n",uri="u",response="0"{rest}"#);
        check("NoOneKnowsThisScheme opaque-data=here", DigestError::Scheme);
        check("Basic YTpi", DigestError::Scheme);
        check("", DigestError::Scheme);
        check("Digest", DigestError::Missing("username"));
        check("Digest username", DigestError::Syntax);
        check(r#"Digest username="a"#, DigestError::Syntax);
        check(r#"Digest username="a" realm="r""#, DigestError::Syntax);
        check("Digest user name=a", DigestError::Syntax);
        check(&with(",username=b"), DigestError::Repeated("username"));
        check(&with(",algorithm=SHA-512-256"), DigestError::Algorithm);
        check(&with(",algorithm=MD5-sess"), DigestError::Algorithm);
        check(&with(",qop=auth-int"), DigestError::Qop);
        check(&with(",qop=auth"), DigestError::Missing("nc"));
        check(&with(",qop=auth,nc=00000001"), DigestError::Missing("cnonce"));
        check(&with(",qop=auth,nc=1,cnonce=c"), DigestError::Syntax);
        assert!(Credentials::parse(&with(",,x=y , z=\"\",userhash=TRUE")).unwrap().userhash);
    }

    #[test]
    fn challenges_of_others() {
        let old = Challenge::parse("digest realm=r, nonce=\"n\", domain=\"sip:x\"").unwrap();
        assert_eq!((old.algorithm, old.qop_auth, old.stale), (Algorithm::Md5, false, false));
        // RFC 2069: neither nc nor cnonce.
        let ha1 = Ha1::new(Algorithm::Md5, "a", "r", "p");
        let answer = Answer { username: "a", method: "SUBSCRIBE", uri: "sip:x", cnonce: "c", nonce_count: 1 };
        let credentials = Credentials::answer(&old, &ha1, &answer).unwrap();
        assert_eq!((credentials.session.is_none(), &*credentials.response), (true, &*response(&ha1, "n", None, "SUBSCRIBE", "sip:x")));
        assert!(Challenge::parse("Digest realm=r,nonce=n,qop=\"auth-int, auth\"").unwrap().qop_auth);
        assert_eq!(Challenge::parse("Digest realm=r,nonce=n,qop=\"auth-int\""), Err(DigestError::Qop));
        assert_eq!(Challenge::parse("Digest realm=r,nonce=n,algorithm=TLS"), Err(DigestError::Algorithm));
        assert_eq!(Challenge::parse("Digest realm=r"), Err(DigestError::Missing("nonce")));
        let wrong = Ha1::new(Algorithm::Sha256, "a", "r", "p");
        assert_eq!(Credentials::answer(&old, &wrong, &answer), Err(DigestError::Algorithm));
    }

    #[test]
    fn nothing_breaks_out_of_a_challenge() {
        let challenge = Challenge::new(Algorithm::Sha256, "a\"\r\nX: y", "n\\").to_string();
        assert_eq!(challenge, r#"Digest realm="a\"X: y", nonce="n\\", algorithm=SHA-256, qop="auth""#);
    }

    #[test]
    fn secrets() {
        let ha1 = Ha1::new(Algorithm::Md5, "Mufasa", "testrealm@host.com", "Circle Of Life");
        assert_eq!(format!("{ha1:?}"), "Ha1(MD5, ***)");
        let same = Ha1::from_hex(Algorithm::Md5, "939E7578ED9E3C518A452ACEE763BCE9").unwrap();
        assert_eq!(response(&same, "n", None, "M", "u"), response(&ha1, "n", None, "M", "u"));
        assert!(Ha1::from_hex(Algorithm::Sha256, "939e7578ed9e3c518a452acee763bce9").is_none());
        assert!(Ha1::from_hex(Algorithm::Md5, "939e7578ed9e3c518a452acee763bceg").is_none());
        let text = r#"Digest username="a", realm="r", nonce="n", uri="u", response="5ec3e7""#;
        assert!(!format!("{:?}", Credentials::parse(text).unwrap()).contains("5ec3e7"));
    }
}
