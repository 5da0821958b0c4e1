//! Change notification: a search that does not end, and answers when something changed (MS-ADTS §3.1.1.3.4.1.9).
//!
//! Domain controllers allow five on a connection, with no other filter than this one, on a whole subtree at the top of a naming
//! context only. Two are used.

use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use ldap3::{LdapError, Scope as Depth};

use super::super::failure::LdapFailure;
use super::super::vitals::Stream;
use super::super::wire::Wire;
use super::controls;
use super::scope::highest;
use crate::directory::LdapOptions;
use crate::model::Dn;

/// The searches that tell of changes.
pub(super) struct Notifications {
    supported: bool,
    streams: Vec<Stream>,
    woken: bool,
}

impl Notifications {
    pub(super) fn new(supported: bool) -> Self {
        Self { supported, streams: Vec::new(), woken: false }
    }

    /// Asks to be told. On return it is in force.
    pub(super) async fn register(&mut self, wire: &mut Wire, contexts: &[Dn], options: &LdapOptions) -> Result<(), LdapFailure> {
        if !self.supported {
            return Ok(());
        }
        let limit = options.timers.connect;
        for context in contexts {
            let mut handle = wire.handle();
            handle.with_controls(vec![controls::notification(), controls::show_deleted()]);
            let base = context.to_string();
            // Nothing of the entry is needed: it is read with all that changed.
            let starting = handle.streaming_search(&base, Depth::Subtree, "(objectClass=*)", vec!["objectGUID".to_owned()]);
            self.streams.push(wire.call("the change notification", limit, starting).await?);
        }
        // Requests are worked on in their order: once this one is answered, those are in force.
        highest(wire, limit).await.map(drop)
    }

    /// Waits for something to change.
    pub(super) async fn next(&mut self) -> Result<(), LdapError> {
        poll_fn(|context| self.poll(context)).await
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<(), LdapError>> {
        let mut at = 0;
        while let Some(stream) = self.streams.get_mut(at) {
            let polled = pin!(stream.next()).poll(context);
            match polled {
                Poll::Ready(Ok(Some(_))) => {
                    self.woken = true;
                    return Poll::Ready(Ok(()));
                }
                // The server has enough of it: what remains is to look every second.
                Poll::Ready(Ok(None)) => drop(self.streams.swap_remove(at)),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => at += 1,
            }
        }
        Poll::Pending
    }

    /// Takes what has come already, so that it does not pile up while other things are read. An error shows again when more
    /// is read.
    pub(super) fn drain(&mut self) {
        let mut context = Context::from_waker(Waker::noop());
        while matches!(self.poll(&mut context), Poll::Ready(Ok(()))) {}
    }

    /// Whether something changed since this was last asked.
    pub(super) fn take_woken(&mut self) -> bool {
        self.drain();
        std::mem::take(&mut self.woken)
    }

    /// Whether changes are told at all.
    pub(super) fn are_in_force(&self) -> bool {
        !self.streams.is_empty()
    }
}
