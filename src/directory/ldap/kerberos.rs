//! SASL GSSAPI (RFC 4752): not in this build.

use super::failure::LdapFailure;
use super::wire::Wire;
use crate::directory::{LdapOptions, OptionsError, ServerUrl};

/// Says who we are by Kerberos.
#[expect(clippy::unused_async, reason = "with the feature it waits")]
pub(super) async fn bind(_: &LdapOptions, _: &ServerUrl, _: Wire) -> Result<Wire, LdapFailure> {
    Err(OptionsError::NoKerberos.into())
}
