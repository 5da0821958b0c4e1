//! Documents by place: what the notifier asks for, and what changes for it.

use std::collections::HashSet;
use std::sync::Arc;

use super::notifying::Command;
use crate::document::{Document, Renderer};
use crate::model::{Aor, NetworkMap, Resource, Spot};
use crate::policy::{Answer, Engine};
use crate::subscription::Ask;

/// Documents in one message to the notifier: it answers phones between two of them.
const PUBLISH_MAX: usize = 256;

/// What the notifier was told last.
#[derive(Debug, Default)]
pub(super) struct Placing {
    network: Option<Arc<NetworkMap>>,
    /// By [`Engine::devices_version`].
    devices: u64,
    /// Users who were not told what they asked for, or what changed, because what they would lose waits or is held.
    untold: HashSet<Aor>,
}

impl Placing {
    /// The answers to questions. Of users who are `detained` none: what they would lose waits for somebody to confirm it.
    pub(super) fn answer(
        &mut self,
        engine: &mut Engine,
        renderer: &mut Renderer,
        asks: impl Iterator<Item = Ask>,
        detained: impl Fn(&Aor) -> bool,
    ) -> Vec<(Resource, Spot, Document)> {
        let mut documents = Vec::new();
        for ask in asks {
            match ask {
                Ask::Want(resource, spot) => {
                    if let Some(answer) = engine.want(&resource, spot)
                        && self.may_tell(&resource, &detained)
                    {
                        documents.push(rendered(renderer, (resource, spot, answer)));
                    }
                }
                Ask::Unwant(resource, spot) => engine.unwant(&resource, spot),
            }
        }
        documents
    }

    /// Whether a resource's documents go out now.
    fn may_tell(&mut self, resource: &Resource, detained: impl Fn(&Aor) -> bool) -> bool {
        match resource {
            Resource::User(aor) if detained(aor) => {
                self.untold.insert(aor.clone());
                false
            }
            _ => true,
        }
    }

    /// What is to be told of answers that differ, and of addresses that are elsewhere now.
    pub(super) fn commands(
        &mut self,
        engine: &Engine,
        renderer: &mut Renderer,
        mut answers: Vec<(Resource, Spot, Answer)>,
        detained: impl Fn(&Aor) -> bool,
    ) -> Vec<Command> {
        let mut commands = Vec::new();
        answers.retain(|(resource, ..)| self.may_tell(resource, &detained));
        // Whatever was told of them in between is what they have now.
        for aor in self.untold.extract_if(|aor| !detained(aor)) {
            answers.extend(engine.answers(&Resource::User(aor)));
        }
        let network = engine.network();
        if self.network.as_ref().is_none_or(|told| !Arc::ptr_eq(told, network)) {
            self.network = Some(Arc::clone(network));
            let documents = std::mem::take(&mut answers).into_iter().map(|answer| rendered(renderer, answer)).collect();
            commands.push(Command::Network(Arc::clone(network), documents));
        }
        let mut answers = answers.into_iter().peekable();
        while answers.peek().is_some() {
            let documents = answers.by_ref().take(PUBLISH_MAX).map(|answer| rendered(renderer, answer)).collect();
            commands.push(Command::PublishAt(documents));
        }
        if self.devices != engine.devices_version() {
            self.devices = engine.devices_version();
            commands.push(Command::Devices(engine.devices().cloned().collect()));
        }
        commands
    }
}

fn rendered(renderer: &mut Renderer, (resource, spot, answer): (Resource, Spot, Answer)) -> (Resource, Spot, Document) {
    let document = renderer.answer(&resource, &answer);
    (resource, spot, document)
}
