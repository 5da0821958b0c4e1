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
