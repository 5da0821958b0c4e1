//! TLS towards the server: whom we trust, and whom the server may take us for.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::failure::LdapFailure;
use crate::directory::{ServerUrl, TlsOptions};

/// What a server showed of itself in the handshake, whether or not it was accepted.
#[derive(Debug, Clone, Default)]
pub(super) struct Shown(Arc<Mutex<Seen>>);

/// The same, to be looked at.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// The server's own certificate first.
    pub(super) chain: Vec<CertificateDer<'static>>,
    /// `1.2` or `1.3`, once the server has proved that the certificate is its own.
    pub(super) version: Option<&'static str>,
}

impl Shown {
    /// A copy of it.
    pub(super) fn seen(&self) -> Seen {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, note: impl FnOnce(&mut Seen)) {
        note(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// webpki's verifier, for the name of our choice: ldap3 makes a name of the URL's host, and cannot of an IPv6 address.
#[derive(Debug)]
struct Verifier {
    inner: Arc<WebPkiServerVerifier>,
    name: ServerName<'static>,
    shown: Shown,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let chain = std::iter::once(end_entity).chain(intermediates).map(|certificate| certificate.clone().into_owned());
        self.shown.note(|seen| seen.chain = chain.collect());
        self.inner.verify_server_cert(end_entity, intermediates, &self.name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.shown.note(|seen| seen.version = Some("1.2"));
        self.inner.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.shown.note(|seen| seen.version = Some("1.3"));
        self.inner.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// The settings for a connection to this server.
pub(super) fn config(options: &TlsOptions, url: &ServerUrl, shown: &Shown) -> Result<ClientConfig, LdapFailure> {
    let setup = |error: &dyn std::error::Error| LdapFailure::TlsSetup(error.to_string());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots(options)?), Arc::clone(&provider)).build();
    let verifier = Verifier {
        inner: verifier.map_err(|error| setup(&error))?,
        name: ServerName::try_from(url.host()).map_err(|error| setup(&error))?,
        shown: shown.clone(),
    };
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| setup(&error))?.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match &options.client {
        None => builder.with_no_client_auth(),
        Some(client) => {
            let bad = |path: &Path, why: String| LdapFailure::ClientCertificate { path: path.to_owned(), why };
            let chain = certificates(&client.certificate).map_err(|why| bad(&client.certificate, why))?;
            let key = PrivateKeyDer::from_pem_file(&client.key).map_err(|error| bad(&client.key, error.to_string()))?;
            builder.with_client_auth_cert(chain, key).map_err(|error| bad(&client.certificate, error.to_string()))?
        }
    };
    // RFC 6066 §3: no addresses. What ldap3 is told in place of one is no name that a server has.
    config.enable_sni = url.ip().is_none();
    Ok(config)
}

/// What ldap3 is told of the server's place: it connects by our socket, and only makes a name for TLS of it.
pub(super) fn origin(url: &ServerUrl) -> String {
    match url.ip() {
        Some(ip) if ip.is_ipv6() => format!("{}://address.invalid:{}", if url.is_ldaps() { "ldaps" } else { "ldap" }, url.port()),
        _ => url.origin(),
    }
}

/// The authorities of the CA file, or the system's.
fn roots(options: &TlsOptions) -> Result<RootCertStore, LdapFailure> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = &options.ca_file {
        let bad = |why: String| LdapFailure::CaFile { path: path.clone(), why };
        for certificate in certificates(path).map_err(bad)? {
            roots.add(certificate).map_err(|error| bad(error.to_string()))?;
        }
    } else {
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            let why = found.errors.first().map_or_else(|| "the system has no certificate authorities".to_owned(), ToString::to_string);
            return Err(LdapFailure::TlsSetup(why));
        }
    }
    Ok(roots)
}

/// The certificates of a PEM file, at least one.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let found = CertificateDer::pem_file_iter(path).map_err(|error| error.to_string())?;
    let found = found.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
    if found.is_empty() { Err("there is no certificate in it".to_owned()) } else { Ok(found) }
}
