//! Documents by place: what the notifier asks for, and what changes for it.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::notifying::Command;
use crate::document::{Document, Renderer};
use crate::policy::{Answer, DeviceId, Engine, NetworkMap, Resource, Spot};
use crate::subscription::Ask;

/// Documents in one message to the notifier: it answers phones between two of them.
const PUBLISH_MAX: usize = 256;

/// What the notifier was told last.
#[derive(Debug, Default)]
pub(super) struct Placing {
    network: Option<Arc<NetworkMap>>,
    devices: HashSet<DeviceId>,
}

impl Placing {
    /// Answers questions.
    pub(super) async fn answer(
        &self,
        engine: &mut Engine,
        renderer: &mut Renderer,
        asks: impl Iterator<Item = Ask>,
        notifier: &mpsc::Sender<Command>,
    ) {
        let mut documents = Vec::new();
        for ask in asks {
            match ask {
                Ask::Want(resource, spot) => {
                    let answer = engine.want(&resource, spot);
                    documents.extend(answer.map(|answer| rendered(renderer, resource, spot, &answer)));
                }
                Ask::Unwant(resource, spot) => engine.unwant(&resource, spot),
            }
        }
        if !documents.is_empty() {
            // A notifier that has stopped needs none.
            let _ = notifier.send(Command::PublishAt(documents)).await;
        }
    }

    /// Tells what an outcome changed for those who asked; then where addresses are now, so that who is elsewhere finds the newest there.
    pub(super) async fn publish(
        &mut self,
        engine: &Engine,
        renderer: &mut Renderer,
        answers: Vec<(Resource, Spot, Answer)>,
        notifier: &mpsc::Sender<Command>,
    ) {
        let mut answers = answers.into_iter().peekable();
        while answers.peek().is_some() {
            let some = answers.by_ref().take(PUBLISH_MAX);
            let documents = some.map(|(resource, spot, answer)| rendered(renderer, resource, spot, &answer)).collect();
            let _ = notifier.send(Command::PublishAt(documents)).await;
        }
        let network = engine.network();
        if self.network.as_ref().is_none_or(|told| !Arc::ptr_eq(told, network)) {
            self.network = Some(Arc::clone(network));
            let _ = notifier.send(Command::Network(Arc::clone(network))).await;
        }
        if !(engine.devices().count() == self.devices.len() && engine.devices().all(|id| self.devices.contains(id))) {
            self.devices = engine.devices().cloned().collect();
            let _ = notifier.send(Command::Devices(self.devices.clone())).await;
        }
    }
}

fn rendered(renderer: &mut Renderer, resource: Resource, spot: Spot, answer: &Answer) -> (Resource, Spot, Document) {
    let document = renderer.answer(&resource, answer);
    (resource, spot, document)
}
