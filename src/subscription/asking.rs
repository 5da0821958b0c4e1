//! What the notifier asks of whoever decides documents: those for the spots that somebody subscribes from.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::model::{Resource, Spot};

/// A question, or that it is none any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// The document of a resource for a spot is wanted, now and whenever it changes.
    Want(Resource, Spot),
    /// It is not wanted any more.
    Unwant(Resource, Spot),
}

type Key = (Resource, Arc<Spot>);

/// Questions that were not put yet. A set, not a queue: whoever comes and goes a hundred times is asked for once. There are no more
/// wants than subscriptions, and no more of the others than wants were put.
#[derive(Debug, Default)]
pub(super) struct Asking {
    wants: BTreeSet<Key>,
    unwants: BTreeSet<Key>,
    /// Those that were put and are still wanted.
    put: BTreeSet<Key>,
}

impl Asking {
    /// Somebody is there now.
    pub(super) fn want(&mut self, resource: &Resource, spot: &Arc<Spot>) {
        let key = (resource.clone(), Arc::clone(spot));
        self.unwants.remove(&key);
        self.wants.insert(key);
    }

    /// Nobody is there any more.
    pub(super) fn unwant(&mut self, resource: &Resource, spot: &Arc<Spot>) {
        let key = (resource.clone(), Arc::clone(spot));
        self.wants.remove(&key);
        if self.put.remove(&key) {
            self.unwants.insert(key);
        }
    }

    /// The next question.
    pub(super) fn next(&mut self) -> Option<Ask> {
        if let Some((resource, spot)) = self.wants.pop_first() {
            let ask = Ask::Want(resource.clone(), *spot);
            self.put.insert((resource, spot));
            return Some(ask);
        }
        self.unwants.pop_first().map(|(resource, spot)| Ask::Unwant(resource, *spot))
    }

    /// Whether there is one.
    pub(super) fn is_empty(&self) -> bool {
        self.wants.is_empty() && self.unwants.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_once_and_takes_back_only_what_it_asked() {
        let mut asking = Asking::default();
        let (network, spot) = (Resource::LocalNetwork, Arc::new(Spot::default()));
        for _ in 0..3 {
            asking.want(&network, &spot);
            asking.unwant(&network, &spot);
        }
        assert_eq!(asking.next(), None, "nobody is there, and nothing was asked");
        asking.want(&network, &spot);
        assert_eq!(asking.next(), Some(Ask::Want(network.clone(), *spot)));
        asking.unwant(&network, &spot);
        // Back before that was told: the document is asked for again, since it was forgotten here.
        asking.want(&network, &spot);
        assert_eq!(asking.next(), Some(Ask::Want(network.clone(), *spot)));
        asking.unwant(&network, &spot);
        assert_eq!(asking.next(), Some(Ask::Unwant(network, *spot)));
        assert!(asking.is_empty() && asking.next().is_none() && asking.put.is_empty());
    }
}
