//! Whether the other side still lives, and still goes on.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use ldap3::{LdapError, ResultEntry, Scope, SearchStream};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use super::failure::LdapFailure;
use super::wire::Wire;
use crate::directory::Timers;

/// A search whose entries come one by one.
pub(super) type Stream = SearchStream<'static, String, Vec<String>>;
type Ping = Pin<Box<dyn Future<Output = Result<(), LdapError>> + Send>>;

/// What the wire brings.
pub(super) enum Heard {
    Message(Result<Option<ResultEntry>, LdapError>),
    Pong(Result<(), LdapError>),
}

/// When there was last a sign of life.
pub(super) struct Vitals {
    heard: Instant,
    /// When a refresh last went on.
    progress: Instant,
    ping: Option<(Ping, Instant)>,
}

impl Vitals {
    pub(super) fn new() -> Self {
        Self { heard: Instant::now(), progress: Instant::now(), ping: None }
    }

    /// When to call [`Self::check`].
    pub(super) fn alarm(timers: &Timers) -> Interval {
        let mut alarm = interval((timers.ping_interval / 2).max(Duration::from_millis(10)));
        alarm.set_missed_tick_behavior(MissedTickBehavior::Delay);
        alarm
    }

    /// The next message of a search, or the answer to the ping.
    pub(super) async fn hear(&mut self, stream: &mut Stream) -> Heard {
        match &mut self.ping {
            None => Heard::Message(stream.next().await),
            Some((ping, _)) => tokio::select! {
                biased;
                message = stream.next() => Heard::Message(message),
                answered = ping => Heard::Pong(answered),
            },
        }
    }

    /// Something came.
    pub(super) fn heard(&mut self) {
        self.heard = Instant::now();
    }

    /// What came was of the refresh.
    pub(super) fn went_on(&mut self) {
        self.progress = self.heard;
    }

    /// How long nothing came of the refresh.
    pub(super) fn still(&self, now: Instant) -> Duration {
        now.duration_since(self.progress)
    }

    /// The answer to the ping came.
    pub(super) fn ponged(&mut self) {
        self.ping = None;
    }

    /// Asks for a sign of life when there was none for a while, and gives up when none comes. `room`: whether anything was read
    /// from the network meanwhile; `refreshing`: how many entries the refresh under way has brought.
    pub(super) fn check(
        &mut self,
        now: Instant,
        room: bool,
        refreshing: Option<u64>,
        timers: &Timers,
        wire: &Wire,
    ) -> Result<(), LdapFailure> {
        if !room {
            // We did not listen.
            self.heard = now;
            self.progress = now;
        }
        if let Some(entries) = refreshing
            && now.duration_since(self.progress) >= timers.refresh_stall
        {
            return Err(LdapFailure::Stalled(timers.refresh_stall, entries));
        }
        match &self.ping {
            None if now.duration_since(self.heard) >= timers.ping_interval => {
                let mut handle = wire.handle();
                let ping = async move { handle.search("", Scope::Base, "(objectClass=*)", ["1.1"]).await.map(|_| ()) };
                self.ping = Some((Box::pin(ping), now));
            }
            Some((_, since)) if now.duration_since((*since).max(self.heard)) >= timers.ping_timeout => {
                return Err(LdapFailure::Silent(timers.ping_timeout));
            }
            _ => {}
        }
        Ok(())
    }
}
