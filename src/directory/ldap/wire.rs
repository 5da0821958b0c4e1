//! A connection whose driver runs within the session's own task: it reads from the network only while it is asked to.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use ldap3::{Ldap, LdapConnAsync, LdapError};

use super::failure::LdapFailure;

/// A connection and ldap3's driver of it.
pub(super) struct Wire {
    ldap: Ldap,
    driver: Option<Driver>,
    /// Why the driver ended, until it is told.
    ended: Option<LdapFailure>,
}

type Driver = Pin<Box<dyn Future<Output = Result<(), LdapError>> + Send>>;

impl Wire {
    pub(super) fn new(connection: LdapConnAsync, ldap: Ldap) -> Self {
        Self { ldap, driver: Some(Box::pin(connection.drive())), ended: None }
    }

    /// A handle for operations, each to be run by [`Self::run`].
    pub(super) fn handle(&self) -> Ldap {
        self.ldap.clone()
    }

    /// Runs an operation, and the driver with it. Cancelling it loses nothing that the operation itself would not lose.
    pub(super) async fn run<T>(&mut self, operation: impl Future<Output = T>) -> Result<T, LdapFailure> {
        let mut operation = pin!(operation);
        poll_fn(|context| {
            if let Poll::Ready(out) = operation.as_mut().poll(context) {
                return Poll::Ready(Ok(out));
            }
            if self.drive(context).is_pending() {
                return Poll::Pending;
            }
            // What arrived before the end is still delivered.
            match operation.as_mut().poll(context) {
                Poll::Ready(out) => Poll::Ready(Ok(out)),
                Poll::Pending => Poll::Ready(Err(self.why())),
            }
        })
        .await
    }

    /// Runs an operation that must be quick.
    pub(super) async fn call<T>(
        &mut self,
        step: &'static str,
        limit: Duration,
        operation: impl Future<Output = Result<T, LdapError>>,
    ) -> Result<T, LdapFailure> {
        match tokio::time::timeout(limit, self.run(operation)).await {
            Ok(out) => out?.map_err(|error| self.explain(error)),
            Err(_) => Err(LdapFailure::Timeout { step, limit }),
        }
    }

    /// What an operation's error means: the driver knows better why it ended than those who wait for it.
    pub(super) fn explain(&mut self, error: LdapError) -> LdapFailure {
        match LdapFailure::of(error) {
            LdapFailure::Closed(_) if self.ended.is_some() => self.why(),
            failure => failure,
        }
    }

    fn why(&mut self) -> LdapFailure {
        self.ended.take().unwrap_or_else(|| LdapFailure::Closed(String::new()))
    }

    /// Ready once the connection has ended.
    fn drive(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(driver) = &mut self.driver else { return Poll::Ready(()) };
        // ldap3's driver panics on messages that it does not know. To us that is a connection that ended.
        let polled = catch_unwind(AssertUnwindSafe(|| driver.as_mut().poll(context)));
        self.ended = Some(match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(Ok(()))) => LdapFailure::Closed(" by the server".to_owned()),
            Ok(Poll::Ready(Err(error))) => LdapFailure::of(error),
            Err(panic) => LdapFailure::Library(words(&*panic)),
        });
        self.driver = None;
        Poll::Ready(())
    }
}

/// What a panic says.
fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without words").to_owned()
}
