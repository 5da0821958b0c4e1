//! Who subscribes now, as the running daemon tells.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use anyhow::{Context as _, anyhow};

use super::places::{Pair, Places};
use crate::config::Config;
use crate::directory::Source;
use crate::model::{DeviceId, Resource};
use crate::runtime::control::{self, Answer, Command, ControlError, Phone, SubscribedTo};
use crate::runtime::{Failed, complain, environment};

/// Phones, by what they subscribe to and where they are before and after.
#[derive(Debug, Default)]
pub(super) struct Subscribed {
    phones: BTreeMap<(Resource, Pair), usize>,
    by_pair: BTreeMap<Pair, BTreeSet<Resource>>,
}

impl Subscribed {
    /// Sorts phones by where they are.
    pub(super) fn of(phones: &[(Resource, IpAddr)], places: &Places) -> Self {
        let mut all = Self::default();
        for (resource, address) in phones {
            let pair = places.pair(resource, *address);
            *all.phones.entry((resource.clone(), pair)).or_default() += 1;
            all.by_pair.entry(pair).or_default().insert(resource.clone());
        }
        all
    }

    /// How many subscribe to a resource at a place.
    pub(super) fn at(&self, resource: &Resource, pair: Pair) -> usize {
        self.phones.get(&(resource.clone(), pair)).copied().unwrap_or(0)
    }

    /// How many subscribe to it anywhere.
    pub(super) fn anywhere(&self, resource: &Resource) -> usize {
        let from = (resource.clone(), [None, None]);
        self.phones.range(from..).take_while(|((held, _), _)| held == resource).map(|(_, count)| count).sum()
    }

    /// What is subscribed to at a place.
    pub(super) fn resources(&self, pair: Pair) -> impl Iterator<Item = &Resource> {
        self.by_pair.get(&pair).into_iter().flatten()
    }
}

/// Asks the daemon of this configuration. Where none answers, or one that serves another directory, phones are not counted; unless that is
/// `needed`.
///
/// # Errors
/// No daemon says who subscribes, which is needed.
pub(super) fn ask(config: &Config, source: &Source, needed: bool) -> Result<Option<Vec<(Resource, IpAddr)>>, Failed> {
    match pages(config, source, needed) {
        Err(Failed::Other(error)) if !needed => {
            complain(&format!("dialcast: phones are not counted: {error:#}\n"));
            Ok(None)
        }
        asked => asked,
    }
}

/// Page by page.
fn pages(config: &Config, source: &Source, needed: bool) -> Result<Option<Vec<(Resource, IpAddr)>>, Failed> {
    let (path, _) = control::path(config, &environment());
    let mut phones = Vec::new();
    let mut from = 0;
    loop {
        let (directory, page, next) = match control::ask(&path, &Command::Subscribed { from }) {
            Ok(Answer::Subscribed { directory, phones, next }) => (directory, phones, next),
            Err(ControlError::NoDaemon { .. }) if !needed => return Ok(None),
            Ok(Answer::Error(why)) => return Err(Failed::Other(anyhow!("the daemon at {}: {why}", path.display()))),
            Ok(_) => return Err(Failed::Other(anyhow!("the daemon at {} answered something else", path.display()))),
            Err(error) => return Err(Failed::Other(error.into())),
        };
        if directory != source.to_string() {
            let other = || anyhow!("the daemon at {} serves {directory}, and not {source}: give its --config or --state", path.display());
            return if needed { Err(Failed::Other(other())) } else { Ok(None) };
        }
        for phone in page {
            phones.push(read(phone).map_err(Failed::Other)?);
        }
        match next {
            // Each page begins behind the one before: a daemon that says otherwise is none to go on with.
            Some(next) if next > from => from = next,
            _ => return Ok(Some(phones)),
        }
    }
}

fn read(Phone { to, address }: Phone) -> anyhow::Result<(Resource, IpAddr)> {
    let resource = match to {
        SubscribedTo::User(aor) => Resource::User(aor.parse().with_context(|| format!("the daemon names `{aor}`"))?),
        SubscribedTo::LocalNetwork => Resource::LocalNetwork,
        SubscribedTo::Device(id) => Resource::Device(DeviceId::parse(&id).with_context(|| format!("the daemon names `{id}`"))?),
    };
    Ok((resource, address))
}
