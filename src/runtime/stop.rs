//! The two signals that end a command in good order.

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// A message for each SIGINT and SIGTERM.
pub(super) fn interrupts() -> anyhow::Result<mpsc::Receiver<()>> {
    let open = |kind| signal(kind).context("listen for signals");
    let (mut interrupt, mut terminate) = (open(SignalKind::interrupt())?, open(SignalKind::terminate())?);
    // The first says to leave, the second to leave at once; a third has nothing to say.
    let (said, stop) = mpsc::channel(2);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if said.send(()).await.is_err() {
                return;
            }
        }
    });
    Ok(stop)
}
