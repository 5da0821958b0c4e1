//! Logging in by Kerberos: SASL GSSAPI (RFC 4752) with the key of a keytab.
//!
//! The library finds the keytab, and a cache for tickets that is this process's alone, by environment variables
//! ([`environment`]), and asks for a new ticket by itself when the old one is about to expire. Over TLS it hands the server
//! the hash of the server's certificate (`tls-server-end-point`, RFC 5929 §4): what Active Directory calls LDAP channel binding,
//! also where it is set to `always`.

#[cfg(feature = "gssapi")]
pub(super) use self::login::bind;
#[cfg(not(feature = "gssapi"))]
pub(super) use self::none::bind;
use crate::directory::Bind;
use crate::directory::Source;

/// What has to be in the process's environment before the library is first used: name and value of each variable.
///
/// `KRB5_CLIENT_KTNAME` makes the library get tickets by the keytab, without `kinit`; `KRB5CCNAME` keeps them in memory.
pub fn environment(source: &Source) -> Vec<(&'static str, String)> {
    match source {
        Source::Ldap(options) => match &options.bind {
            Bind::Kerberos { keytab, .. } => {
                vec![("KRB5_CLIENT_KTNAME", format!("FILE:{}", keytab.display())), ("KRB5CCNAME", "MEMORY:dialcast".to_owned())]
            }
            _ => Vec::new(),
        },
        Source::Ldif(_) => Vec::new(),
    }
}

#[cfg(not(feature = "gssapi"))]
mod none {
    use super::super::failure::LdapFailure;
    use super::super::wire::Wire;
    use crate::directory::{LdapOptions, OptionsError, ServerUrl};

    /// Not in this build.
    pub(in super::super) async fn bind(_: &LdapOptions, _: &ServerUrl, _: Wire) -> Result<Wire, LdapFailure> {
        Err(OptionsError::NoKerberos.into())
    }
}

#[cfg(feature = "gssapi")]
mod login {
    use std::time::Duration;

    use cross_krb5::{Cred, InitiateFlags, K5Cred as _};
    use ldap3::LdapError;
    use tokio::runtime::Handle;
    use tokio::task::spawn_blocking;
    use tokio::time::timeout;

    use super::super::failure::{LdapFailure, Method, answer};
    use super::super::wire::Wire;
    use crate::directory::{Bind, LdapOptions, ServerUrl};

    /// Who logs in where.
    struct Login {
        principal: Option<String>,
        /// The service's name after `ldap/`.
        service: String,
        limit: Duration,
    }

    /// Says who we are. The library waits for files and for the KDC where it stands, so it is given a thread of its own.
    pub(in super::super) async fn bind(options: &LdapOptions, server: &ServerUrl, wire: Wire) -> Result<Wire, LdapFailure> {
        let Bind::Kerberos { principal, .. } = &options.bind else { return Ok(wire) };
        let realm = principal.as_deref().and_then(|principal| principal.rsplit_once('@')).map(|(_, realm)| format!("@{realm}"));
        let service = format!("{}{}", server.host(), realm.unwrap_or_default());
        let limit = options.timers.connect;
        let login = Login { principal: principal.clone(), service, limit };
        let runtime = Handle::current();
        let working = spawn_blocking(move || runtime.block_on(login.run(wire)));
        match timeout(limit.saturating_mul(2), working).await {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => Err(LdapFailure::Library(panic.to_string())),
            Err(_) => Err(LdapFailure::Timeout { step: "the login by Kerberos", limit: limit.saturating_mul(2) }),
        }
    }

    impl Login {
        async fn run(self, mut wire: Wire) -> Result<Wire, LdapFailure> {
            let credential = Cred::client_acquire(InitiateFlags::empty(), self.principal.as_deref());
            let credential = credential.map_err(|error| self.failed(format!("{error:#}")))?;
            let mut handle = wire.handle();
            // What the library itself has to say comes as one of our results: it is not the connection's fault.
            let login = async {
                match handle.sasl_gssapi_cred_bind(credential, &self.service).await {
                    Err(LdapError::GssapiOperationError(why)) => Ok(Err(why)),
                    other => other.map(Ok),
                }
            };
            let result = wire.call("the login by Kerberos", self.limit, login).await?.map_err(|why| self.failed(why))?;
            if result.rc == 0 {
                return Ok(wire);
            }
            let dn = self.principal.unwrap_or_else(|| "the keytab's principal".to_owned());
            Err(LdapFailure::Bind { dn, how: Method::Kerberos, code: result.rc, answer: answer(&result) })
        }

        fn failed(&self, why: String) -> LdapFailure {
            LdapFailure::Kerberos { service: format!("ldap/{}", self.service), why }
        }
    }
}
