//! The server's certificate, in words.

use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

use crate::directory::examine::Examined;

/// How long before its end a certificate is told of.
const WARNING_DAYS: i64 = 30;

const DAY_S: i64 = 86_400;

/// Tells of the certificates that were shown, the server's first, at this second since 1970.
pub(super) fn tell(found: &mut Examined, chain: &[CertificateDer<'_>], now_s: i64, trusted_by: &str) {
    let Some(own) = chain.first().and_then(|der| X509Certificate::from_der(der).ok()).map(|(_, own)| own) else {
        found.note("tls", "the server's certificate cannot be read", "look at it by `openssl s_client -connect HOST:PORT -showcerts`");
        return;
    };
    let names = names(&own);
    let names = if names.is_empty() { "no name (subjectAltName)".to_owned() } else { names.join(", ") };
    found.ok("tls", format!("certificate of {}, for {names}, by {}; trusted by {trusted_by}", own.subject(), own.issuer()));
    for (der, whose) in chain.iter().zip(std::iter::once("the server's certificate").chain(std::iter::repeat("a certificate above it"))) {
        if let Ok((_, certificate)) = X509Certificate::from_der(der) {
            let validity = certificate.validity();
            tell_end(found, whose, validity.not_after.timestamp(), &validity.not_after.to_string(), now_s);
        }
    }
}

fn tell_end(found: &mut Examined, whose: &str, end_s: i64, end: &str, now_s: i64) {
    let days = (end_s - now_s).div_euclid(DAY_S);
    let renew = "give the server a new certificate before then";
    match days {
        ..0 => found.fail("tls", format!("{whose} has ended at {end}"), "give the server a new certificate"),
        0..WARNING_DAYS => found.warn("tls", format!("{whose} ends in {days} days, at {end}"), renew),
        _ => found.ok("tls", format!("{whose} is good for {days} days, until {end}")),
    }
}

/// The names that it is for.
fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return Vec::new() };
    let shown = names.value.general_names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(octets) => address(octets),
        _ => None,
    });
    shown.collect()
}

fn address(octets: &[u8]) -> Option<String> {
    let ipv4 = <[u8; 4]>::try_from(octets).map(std::net::IpAddr::from);
    let ip = ipv4.or_else(|_| <[u8; 16]>::try_from(octets).map(std::net::IpAddr::from));
    ip.ok().map(|ip| ip.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends() {
        let said = |days: i64| {
            let mut found = Examined::default();
            tell_end(&mut found, "it", days * DAY_S + 1, "then", 0);
            format!("{:?} {}", found.findings[0].verdict, found.findings[0].what)
        };
        assert_eq!(said(-1), "Failed it has ended at then");
        assert_eq!(said(0), "Warning it ends in 0 days, at then");
        assert_eq!(said(29), "Warning it ends in 29 days, at then");
        assert_eq!(said(30), "Ok it is good for 30 days, until then");
    }

    #[test]
    fn addresses() {
        assert_eq!(address(&[127, 0, 0, 1]).as_deref(), Some("127.0.0.1"));
        assert_eq!(address(&[0; 16]).as_deref(), Some("::"));
        assert_eq!(address(&[1, 2]), None);
    }

    #[test]
    fn what_is_no_certificate() {
        let mut found = Examined::default();
        tell(&mut found, &[CertificateDer::from(vec![1, 2, 3])], 0, "x");
        assert_eq!(found.findings.len(), 1);
    }
}
