//! Who holds what, for operators.

use std::time::Instant;

use super::phase::Phase;
use super::table::{Record, Subscription};
use crate::document::Etag;
use crate::model::{Resource, Spot};
use crate::sip::Path;

/// A subscriber and the version that it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// What it subscribes to.
    pub resource: Resource,
    /// Where it is, if that makes a difference to what it gets.
    pub spot: Option<Spot>,
    /// The URI that it is reached by.
    pub contact: String,
    /// How its last SUBSCRIBE came.
    pub path: Path,
    /// The newest version; none when the user is gone.
    pub wants: Option<Etag>,
    /// The version that it confirmed last.
    pub holds: Option<Etag>,
    /// How it stands.
    pub state: EndpointState,
    /// When its subscription ends.
    pub expires_at: Instant,
}

/// How a subscriber stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EndpointState {
    /// It confirmed the newest version.
    Synced,
    /// A version is to be sent, or is on its way.
    Sent,
    /// It could not take the newest version, and is asked again later.
    Stale,
    /// It does not answer, and is sent nothing until it subscribes again.
    Suspended,
    /// Its subscription is ending.
    Ending,
}

pub(super) fn of(subscription: &Subscription, record: &Record) -> Endpoint {
    let wants = record.document_at(subscription.spot.as_deref()).map(|document| document.etag);
    let state = match subscription.phase {
        Phase::Calm if subscription.holds == wants => EndpointState::Synced,
        Phase::Calm | Phase::Waiting => EndpointState::Stale,
        Phase::Ready | Phase::Flying | Phase::Stale => EndpointState::Sent,
        Phase::Suspended => EndpointState::Suspended,
        Phase::ReadyLast | Phase::FlyingThenLast | Phase::FlyingLast | Phase::Gone => EndpointState::Ending,
    };
    Endpoint {
        resource: record.resource.clone(),
        spot: subscription.spot.as_deref().copied(),
        contact: String::from_utf8_lossy(subscription.dialog.target()).into_owned(),
        path: subscription.path,
        wants,
        holds: subscription.holds,
        state,
        expires_at: subscription.expires_at,
    }
}
