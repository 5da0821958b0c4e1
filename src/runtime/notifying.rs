//! The notifier's task: messages in, commands in, time in; messages out.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tracing::{debug, info};

use super::control::Page;
use super::live::{self, Feed, Live};
use super::until;

use crate::document::Document;
use crate::model::{Aor, DeviceId, NetworkMap, Resource, Spot};
use crate::net::{Event, Net};
use crate::subscription::{Ask, CredentialChanges, Notifier, Reason, Waves};

/// What the watcher says.
pub(super) enum Command {
    /// These addresses have these documents now.
    Publish(Vec<(Aor, Document)>),
    /// These have none any more, since their users are gone; each has a farewell, the explicit empty profile.
    Withdraw(Vec<(Aor, Document)>),
    /// These, and no others, are known and get no document for now.
    Withhold(HashSet<Aor>),
    /// What is published from here on belongs to the change of this number, of which the directory spoke then.
    Wave { number: u32, since: Instant },
    /// As far as here.
    WaveEnd,
    /// What changed among those who may log in.
    Credentials(CredentialChanges),
    /// These resources have these documents for these spots: the answers to what the notifier asked.
    PublishAt(Vec<(Resource, Spot, Document)>),
    /// Which address is where, and what differs for there: one change, of which no phone hears twice.
    Network(Arc<NetworkMap>, Vec<(Resource, Spot, Document)>),
    /// Which devices there are.
    Devices(HashSet<DeviceId>),
    /// Who subscribes is asked for, from there on.
    Subscribed { from: u32, reply: oneshot::Sender<Page> },
    /// The documents are complete: SUBSCRIBEs are answered from now on.
    Ready(oneshot::Sender<()>),
}

/// Messages taken from the network before the rest is looked at.
const BATCH_MAX: usize = 64;
/// Messages sent before what came in is looked at: answers free what is in flight. Every message that comes in may draw an answer: if
/// fewer went out than come in, a flood of requests would pile up answers without end.
const SEND_MAX: usize = 2 * BATCH_MAX;
const _: () = assert!(SEND_MAX > BATCH_MAX);
/// Subscriptions told of at once: phones wait meanwhile, a millisecond or so.
const PAGE: usize = 4096;
/// At the end, phones are told to subscribe again; they are waited for no longer than this.
const DRAIN_MAX: Duration = Duration::from_secs(2);
/// And the connections are given this long to write what they hold.
const CLOSE_MAX: Duration = Duration::from_secs(1);

/// Runs until the watcher is gone; then tells the phones to subscribe again, and ends.
pub(super) async fn run(
    mut notifier: Notifier,
    net: Net,
    mut events: mpsc::Receiver<Event>,
    commands: mpsc::Receiver<Command>,
    asks: mpsc::Sender<Ask>,
    feed: Feed,
) {
    work(&mut notifier, &net, &mut events, commands, asks, Following::new(feed)).await;
    transmit(&mut notifier, &net).await;
    info!(counters = ?notifier.counters(), "the notifier has stopped");
    net.shutdown(CLOSE_MAX).await;
}

async fn work(
    notifier: &mut Notifier,
    net: &Net,
    events: &mut mpsc::Receiver<Event>,
    mut commands: mpsc::Receiver<Command>,
    asks: mpsc::Sender<Ask>,
    mut following: Following,
) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    let mut drained_by: Option<Instant> = None;
    loop {
        let more = transmit(notifier, net).await;
        let due = if more { Some(Instant::now()) } else { notifier.poll_timeout() };
        let due = due.into_iter().chain(drained_by).min();
        // In no order: whoever floods the sockets must not keep the directory's news, or the end, from coming through.
        tokio::select! {
            count = events.recv_many(&mut batch, BATCH_MAX) => {
                if count == 0 {
                    break;
                }
                let now = Instant::now();
                for event in batch.drain(..) {
                    match event {
                        Event::Received { path, bytes } => notifier.handle_message(now, path, &bytes),
                        Event::Failed(failure) => notifier.handle_send_error(now, &failure),
                    }
                }
            }
            command = commands.recv(), if drained_by.is_none() => if let Some(command) = command {
                obey(notifier, &mut following, command);
            } else {
                // A phone that comes back at once must not find this process, which is leaving, willing.
                notifier.set_ready(false);
                notifier.drain(Instant::now());
                drained_by = Some(Instant::now() + DRAIN_MAX);
            },
            // The watcher may be waiting for room among the commands: it is never waited for here.
            permit = asks.reserve(), if drained_by.is_none() && notifier.has_asks() => {
                // Without a watcher nobody answers, and nobody asks.
                if let (Some(ask), Ok(permit)) = (notifier.poll_ask(), permit) {
                    permit.send(ask);
                }
            }
            () = until(due) => {}
        }
        let now = Instant::now();
        notifier.handle_timeout(now);
        following.look(now, notifier.waves());
        if drained_by.is_some_and(|by| by <= now || notifier.subscriptions() == 0) {
            break;
        }
    }
}

fn obey(notifier: &mut Notifier, following: &mut Following, command: Command) {
    let now = Instant::now();
    match command {
        Command::Publish(documents) => {
            for (aor, document) in documents {
                notifier.publish(now, &aor, document);
            }
        }
        Command::Withdraw(aors) => {
            for (aor, farewell) in aors {
                notifier.dismiss(now, &aor, Reason::NoResource, farewell);
            }
        }
        Command::Wave { number, since } => {
            following.since.insert(number, since);
            notifier.waves().begin(now, number);
        }
        Command::WaveEnd => notifier.waves().end(),
        Command::Withhold(aors) => notifier.withhold(aors),
        Command::Credentials(credentials) => notifier.change_credentials(credentials),
        Command::PublishAt(documents) => {
            for (resource, spot, document) in documents {
                notifier.publish_at(now, &resource, &spot, document);
            }
        }
        Command::Network(network, documents) => notifier.set_network(now, network, documents),
        Command::Devices(devices) => notifier.set_devices(now, devices),
        Command::Subscribed { from, reply } => {
            // Whoever asked may be gone.
            let _ = reply.send(notifier.endpoints_from(from, PAGE));
        }
        Command::Ready(told) => {
            notifier.set_ready(true);
            // Nobody waits for it when the daemon is being stopped.
            let _ = told.send(());
        }
    }
}

/// Says how far changes have come.
struct Following {
    feed: Feed,
    /// Of each change that is not over, when the directory spoke.
    since: BTreeMap<u32, Instant>,
    told_at: Option<Instant>,
}

/// While phones are being told, the feed says how far it is this often.
const PROGRESS_EVERY: Duration = Duration::from_millis(500);

impl Following {
    const fn new(feed: Feed) -> Self {
        Self { feed, since: BTreeMap::new(), told_at: None }
    }

    fn look(&mut self, now: Instant, waves: &mut Waves) {
        if self.since.is_empty() {
            return;
        }
        let is_time = self.told_at.is_none_or(|at| now.saturating_duration_since(at) >= PROGRESS_EVERY);
        let (over, going) = waves.news(now, is_time);
        for wave in over {
            let since = self.since.remove(&wave.number).unwrap_or(wave.begun);
            let told = live::phones(&wave, since, true);
            if told.phones > 0 {
                let took_ms = told.took_ms.unwrap_or(0);
                info!(
                    change = told.change,
                    phones = told.phones,
                    sent = told.sent,
                    answered = told.answered,
                    failed = told.failed,
                    took_ms,
                    "phones were told"
                );
            }
            self.feed.tell(|| Live::Phones(told));
        }
        for wave in going {
            self.told_at = Some(now);
            let since = self.since.get(&wave.number).copied().unwrap_or(wave.begun);
            self.feed.tell(|| Live::Phones(live::phones(&wave, since, false)));
        }
    }
}

/// Sends what is ready, up to a limit; says whether there may be more.
async fn transmit(notifier: &mut Notifier, net: &Net) -> bool {
    for _ in 0..SEND_MAX {
        let Some(transmit) = notifier.poll_transmit() else { return false };
        if let Err(failure) = net.send(transmit).await {
            debug!(to = ?failure.to, error = %failure.error, "not sent");
            notifier.handle_send_error(Instant::now(), &failure);
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::NetConfig;
    use crate::sip::{Path, Transport};
    use crate::subscription::NotifierConfig;

    /// However much there is to read, the watcher's end is heard before it is all read.
    #[tokio::test]
    async fn a_flood_does_not_keep_commands_out() {
        const TURNS: usize = 64;
        let (net, _) = Net::bind(NetConfig::default()).unwrap();
        let (flood, mut events) = mpsc::channel(TURNS * BATCH_MAX);
        let address = "127.0.0.1:5060".parse().unwrap();
        let path = Path { transport: Transport::Udp, local: address, remote: address, connection: None };
        while flood.try_send(Event::Received { path, bytes: b"\r\n".to_vec() }).is_ok() {}
        let (commands, commanded) = mpsc::channel(1);
        drop(commands);
        let (asks, _) = mpsc::channel(1);
        let mut notifier = Notifier::new(NotifierConfig::default(), [0; 32]);
        work(&mut notifier, &net, &mut events, commanded, asks, Following::new(Feed::new())).await;
        assert!(!events.is_empty());
    }
}
