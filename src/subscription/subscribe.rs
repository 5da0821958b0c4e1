//! SUBSCRIBE: who, to what, for how long, and what is answered (RFC 6665 §4.2.1, RFC 6080 §6.6).

use std::net::IpAddr;
use std::time::{Duration, Instant};

use rand::{Rng as _, RngCore as _};

use super::answer::{Answer, reply_path};
use super::auth::{Verdict, Why};
use super::config::{AuthMode, NotifierConfig};
use super::dialog::{Dialog, DialogError, own_contact, own_host_port};
use super::notifier::{Notifier, PACKAGE};
use super::phase::{Input, Phase};
use super::places::WAIT_MAX;
use super::table::{Beginning, Subscription, SubscriptionId, Ways};
use crate::document::profile;
use crate::model::{Aor, DeviceId, Resource};
use crate::sip::transaction::RequestKey;
use crate::sip::{Event, Message, Name, Path, Uri};

/// From this duration on, a granted time is shortened at random: below it nobody would notice, and tests would.
const JITTER_FROM_S: u32 = 600;

/// RFC 6665 §4.2.1.1: a duration of an hour and more is never too brief.
const NEVER_BRIEF_S: u32 = 3600;

/// A SUBSCRIBE that is accepted.
struct Accepted {
    id: SubscriptionId,
    /// For To; the dialog's own on a refresh is there already.
    tag: String,
    own: String,
    expires_s: u32,
    input: Input,
    /// The document for where the subscriber is has to be asked for first.
    waits: bool,
}

impl Notifier {
    /// A SUBSCRIBE that is no retransmission and that RFC 3261 §8.2 has nothing against.
    pub(super) fn subscribe(&mut self, now: Instant, from: Path, request: &Message<'_>, key: RequestKey, length: usize) {
        // Nobody is unknown as long as not everybody is known, and a challenge needs the realm of those who are.
        if !self.config.ready {
            let busy = self.busy();
            return self.refuse(from, request, length, &busy);
        }
        // RFC 6665 §4.2.1.3: authentication comes before any effect, on refreshes as well; the answer is not remembered, so that
        // who proves nothing takes no memory.
        let identity = match self.identify(now, from, request) {
            Ok(identity) => identity,
            Err(challenge) => return self.refuse(from, request, length, &challenge),
        };
        let Ok(ticket) = self.servers.begin(key, reply_path(from, request)) else {
            let busy = self.busy();
            return self.refuse(from, request, length, &busy);
        };
        let dialog_tag = request.to().ok().and_then(|to| to.tag());
        let result = match dialog_tag {
            Some(tag) => self.refresh(now, from, request, tag, identity.as_ref()),
            None => self.begin(now, from, request, identity.as_ref()),
        };
        let (status, bytes) = match &result {
            Ok(accepted) => {
                // RFC 6665 §4.2.1.1: the 2xx carries Expires, no longer than asked for; RFC 3261 §12.1.1: and a Contact.
                let answer = Answer::new(200)
                    .with(Name::Contact, own_contact(&accepted.own, from.transport))
                    .with(Name::Expires, accepted.expires_s.to_string());
                (200, answer.encode(request, &from, &accepted.tag))
            }
            Err(refusal) => {
                match refusal.status {
                    503 => self.counters.overloaded += 1,
                    _ => self.counters.rejected += 1,
                }
                (refusal.status, refusal.encode(request, &from, &self.stateless_tag(request)))
            }
        };
        self.out.extend(self.servers.respond(now, ticket, status, bytes.into()));
        if let Ok(accepted) = result {
            match (accepted.input, dialog_tag) {
                (Input::Unsubscribed, _) => self.counters.unsubscribed += 1,
                (_, Some(_)) => self.counters.refreshed += 1,
                (_, None) => self.counters.subscribed += 1,
            }
            self.owe(now, &accepted);
        }
    }

    /// RFC 6665 §4.2.1.2: the NOTIFY follows at once, behind the 2xx; or as soon as there is something to tell, and in no case later
    /// than that is waited for.
    fn owe(&mut self, now: Instant, accepted: &Accepted) {
        let Some(subscription) = self.table.get_mut(accepted.id) else { return };
        subscription.waits_until = accepted.waits.then_some(now + WAIT_MAX);
        if accepted.waits && subscription.is_fetch {
            // Its only NOTIFY is its last, so that there must be something in it: it lives until then.
            subscription.expires_at = now + WAIT_MAX;
        } else {
            self.step(now, accepted.id, accepted.input);
        }
        self.arm(accepted.id);
    }

    /// Whose request it is. `None` where nobody has to prove anything.
    fn identify(&mut self, now: Instant, from: Path, request: &Message<'_>) -> Result<Option<Aor>, Answer> {
        if self.config.auth == AuthMode::Open {
            return Ok(None);
        }
        match self.gate.check(self.seconds(now), from.remote.ip(), request, "SUBSCRIBE") {
            Verdict::Identity(aor) => Ok(Some(aor)),
            Verdict::Challenge(challenges, why) => {
                match why {
                    Why::Missing => {}
                    Why::Wrong => self.counters.wrong_credentials += 1,
                    Why::Stale => self.counters.stale_credentials += 1,
                }
                self.counters.challenged += 1;
                // Where there is no room for all, even so, the last is the one that every phone knows.
                let last = challenges.len().saturating_sub(1);
                Err(challenges.into_iter().enumerate().fold(Answer::new(401), |answer, (index, challenge)| {
                    if index == last {
                        answer.with(Name::WwwAuthenticate, challenge)
                    } else {
                        answer.with_extra(Name::WwwAuthenticate, challenge)
                    }
                }))
            }
        }
    }

    /// A SUBSCRIBE outside of a dialog: RFC 6665 §4.2.1.
    fn begin(&mut self, now: Instant, from: Path, request: &Message<'_>, identity: Option<&Aor>) -> Result<Accepted, Answer> {
        let event = event_of(request)?;
        let resource = self.resource(request, &event)?;
        let spot = self.spot(&resource, from.remote.ip());
        if let Resource::User(aor) = &resource {
            // RFC 6080 §5.1.4: a user profile is asked for by its own user, in From as well. RFC 6080 §6.6: 403.
            let sender = request.from().ok().and_then(|from| from.uri.as_str().parse::<Aor>().ok());
            if identity.is_some_and(|identity| identity != aor) || sender.is_none_or(|sender| !same_record(&sender, aor)) {
                return Err(Answer::new(403));
            }
            let is_known = self.table.record(&resource).is_some_and(|record| record.document.is_some() && record.leaving.is_none());
            // 403 is final for a phone: not for a user who is known, and whose configuration is being repaired. Where the user is there
            // may be one all the same.
            match (is_known, self.withheld.contains(aor), &spot) {
                (true, ..) | (false, true, Some(_)) => {}
                (false, true, None) => return Err(self.busy()),
                (false, false, _) => return Err(Answer::new(403)),
            }
        }
        let record = self.table.record(&resource);
        let document = record.and_then(|record| record.document_at(spot.as_deref()));
        let (waits, content_type) = (document.is_none(), document.map_or(profile::CONTENT_TYPE, |document| document.content_type));
        let held = record.map_or(0, |record| record.subscriptions);
        let requested = self.duration(request)?;
        accepts(request, content_type)?;
        self.admit(requested, held, &resource, from.remote.ip(), request)?;
        let token = self.rng.next_u64();
        let id = self.table.next_id(token).ok_or_else(|| self.busy())?;
        let tag = id.to_string();
        let own = own_host_port(from.local, self.config.advertised_host.as_deref());
        let event = event.id().map_or_else(|| PACKAGE.to_owned(), |id| format!("{PACKAGE};id={id}"));
        let dialog = Dialog::new(request, &from, &tag, &event, &own).map_err(refused_dialog)?;
        // RFC 6665 §4.2.1.2: a 2xx promises a NOTIFY, and none could go there. On a connection it goes back that way.
        if !from.transport.is_reliable() && !dialog.hop.is_spoken() {
            return Err(refused_dialog(DialogError::Contact));
        }
        let expires_s = self.granted(requested);
        let beginning = Beginning {
            path: from,
            spot,
            dialog,
            expires_at: now + Duration::from_secs(expires_s.into()),
            remote_cseq: request.cseq().map_or(0, |(number, _)| number),
            is_fetch: requested == 0,
        };
        let subscription = self.table.begin(id, &resource, beginning).ok_or(Answer::new(500))?;
        subscription.forced = true;
        // RFC 6665 §4.4.3: Expires 0 is one look at the state, with a dialog that ends at once.
        let input = if requested == 0 { Input::Unsubscribed } else { Input::Subscribed };
        Ok(Accepted { id, tag, own, expires_s, input, waits })
    }

    /// A SUBSCRIBE inside of a dialog: RFC 6665 §4.2.1.4.
    fn refresh(&mut self, now: Instant, from: Path, request: &Message<'_>, tag: &str, identity: Option<&Aor>) -> Result<Accepted, Answer> {
        // RFC 3261 §12.2.2: no dialog with this Call-ID and these tags.
        let gone = || Answer::new(481);
        let id = SubscriptionId::parse(tag).ok_or_else(gone)?;
        let requested = self.duration(request);
        let expires_s = requested.as_ref().map_or(0, |requested| self.granted(*requested));
        let own = own_host_port(from.local, self.config.advertised_host.as_deref());
        let (subscription, record) = self.table.with_record(id).filter(|(s, _)| is_dialog(s, request)).ok_or_else(gone)?;
        if identity.is_some_and(|identity| matches!(&record.resource, Resource::User(aor) if identity != aor)) {
            return Err(Answer::new(403));
        }
        // RFC 6665 §4.2.2: once its end is decided, a subscription takes no further SUBSCRIBE.
        if subscription.phase.is_ending() {
            return Err(gone());
        }
        let document = record.document_at(subscription.spot.as_deref());
        let (resource, content_type) = (record.resource.clone(), document.map_or(profile::CONTENT_TYPE, |document| document.content_type));
        // RFC 3261 §12.2.2: a lower number is out of order: 500. Otherwise it is the new one, whatever comes of the request.
        let cseq = request.cseq().map_or(0, |(number, _)| number);
        if cseq < subscription.remote_cseq {
            return Err(Answer::new(500));
        }
        subscription.remote_cseq = cseq;
        let event = event_of(request)?;
        if !subscription.dialog.is_event(&event.id().map_or_else(|| PACKAGE.to_owned(), |id| format!("{PACKAGE};id={id}"))) {
            // RFC 6665 §8.2.1: another `id` is another subscription, and this dialog has one.
            return Err(gone());
        }
        let requested = requested?;
        accepts(request, content_type)?;
        // RFC 3261 §12.2.2: the request refreshes the remote target; it has none where old phones leave Contact out.
        let contact = match request.contact() {
            Ok(Some(contact)) => Some(contact.uri.as_str()),
            Ok(None) => None,
            Err(_) => return Err(Answer::new(400)),
        };
        let moved = contact.is_some_and(|contact| contact.as_bytes() != subscription.dialog.target());
        if let Some(contact) = contact {
            subscription.dialog.retarget(contact).map_err(refused_dialog)?;
        }
        // The way by which it is heard now is the way by which it is reached; what was learnt of another place is forgotten.
        if moved || subscription.path.transport != from.transport {
            subscription.ways = Ways::default();
        }
        subscription.ways.flow_lost = false;
        subscription.expires_at = now + Duration::from_secs(expires_s.into());
        subscription.forced = true;
        // It may come from somewhere else now.
        let spot = self.spot(&resource, from.remote.ip());
        self.table.relocate(id, from, spot.clone());
        let input = if requested == 0 { Input::Unsubscribed } else { Input::Subscribed };
        // RFC 6665 §4.1.2.3: the last NOTIFY need not bring the state.
        let is_there = self.table.record(&resource).is_some_and(|record| record.document_at(spot.as_deref()).is_some());
        Ok(Accepted { id, tag: String::new(), own, expires_s, input, waits: requested > 0 && !is_there })
    }

    /// What is asked for.
    fn resource(&self, request: &Message<'_>, event: &Event<'_>) -> Result<Resource, Answer> {
        let uri = request.request_uri().map_err(|_| Answer::new(400))?;
        let aor = uri.as_str().parse::<Aor>().ok();
        // A phone may write the port that the address of record does not have.
        let is_known = |aor: &Aor| self.table.record(&Resource::User(aor.clone())).is_some() || self.withheld.contains(aor);
        let known = aor.clone().into_iter().chain(without_port(&uri)).find(is_known);
        // RFC 6080 §6.2: `device`, `user` or `local-network`; phones quote it, and some leave it out.
        let named = event.param("profile-type").map(|named| named.to_ascii_lowercase());
        let kind = named.as_deref().unwrap_or(match uri.user {
            // RFC 6080 §5.1.4.1: the local network is asked for without a user.
            None if is_configuration_host(uri.host) => "local-network",
            Some(user) if known.is_none() && looks_like_a_device(user) => "device",
            _ => "user",
        });
        // RFC 6080 §6.6: 404 for a profile type that is not served, or a device that is not known; 403 for a user who is not known.
        match kind {
            "user" => known.or(aor).map(Resource::User),
            "local-network" => Some(Resource::LocalNetwork),
            "device" => self.device(request, &uri).map(Resource::Device),
            _ => None,
        }
        .ok_or(Answer::new(404))
    }

    /// RFC 6080 §5.1.4.2: a device is asked for by its id, in the request URI; and it says it in Contact as well (RFC 5626 §4.1).
    fn device(&self, request: &Message<'_>, uri: &Uri<'_>) -> Option<DeviceId> {
        let contact = request.contact().ok().flatten();
        let instance = contact.as_ref().and_then(|contact| contact.params.get("+sip.instance"));
        let instance = instance.map(|urn| urn.trim_matches(['"', '<', '>']).to_owned());
        let named = uri.user.map(unescaped).into_iter().chain(instance);
        named.filter_map(|text| DeviceId::parse(&text)).find(|id| self.devices.contains(id))
    }

    /// The duration asked for, in seconds, not yet shortened.
    fn duration(&self, request: &Message<'_>) -> Result<u32, Answer> {
        let requested = request.expires().map_err(|_| Answer::new(400))?.unwrap_or(self.config.expires_default_s);
        let least = self.config.expires_min_s;
        // RFC 6665 §4.2.1.1: too brief is what is above zero, below one hour, and below the minimum.
        if requested > 0 && requested < least && requested < NEVER_BRIEF_S {
            return Err(Answer::new(423).with(Name::MinExpires, least.to_string()));
        }
        Ok(requested)
    }

    /// RFC 6665 §4.2.1.1: what is granted may be shorter than what is asked for, never longer.
    fn granted(&mut self, requested: u32) -> u32 {
        let longest = requested.min(self.config.expires_max_s);
        if longest < JITTER_FROM_S {
            return longest;
        }
        longest - self.rng.random_range(0..=longest / 100 * self.config.expires_jitter_percent.min(50))
    }

    /// Whether there is room for another subscription to a record that has `held`.
    fn admit(&mut self, requested: u32, held: usize, resource: &Resource, source: IpAddr, request: &Message<'_>) -> Result<(), Answer> {
        let NotifierConfig { subscriptions_max: all, subscriptions_per_aor_max: own, subscriptions_per_source_max, in_flight_max, .. } =
            self.config;
        // What is everybody's is limited by where it is asked from.
        let (held, own) = match resource {
            Resource::LocalNetwork => (self.table.count_from(source), subscriptions_per_source_max),
            Resource::User(_) | Resource::Device(_) => (held, own),
        };
        if requested > 0 {
            return if self.table.len() >= all || held >= own { self.make_room(resource, request) } else { Ok(()) };
        }
        // A fetch is over in Timer F, so that one is granted also where subscriptions fill the table; but over TCP nothing else would
        // limit how many of them are begun and never answered.
        let is_full = self.table.len() >= all.saturating_add(in_flight_max) || held >= own.saturating_mul(2);
        if is_full { Err(self.busy()) } else { Ok(()) }
    }

    /// At a limit: a subscription to the same record that does not answer, or of the same phone, makes room; else nothing does.
    fn make_room(&mut self, resource: &Resource, request: &Message<'_>) -> Result<(), Answer> {
        // Everybody's phones are no list to be searched for each request.
        if *resource == Resource::LocalNetwork {
            return Err(self.busy());
        }
        let contact = request.contact().ok().flatten().map(|contact| contact.uri.as_str().as_bytes());
        let mut next = self.table.first(resource);
        let mut found = None;
        while let Some(id) = next {
            next = self.table.after(id);
            let Some(subscription) = self.table.get(id) else { continue };
            if subscription.phase == Phase::Suspended {
                found = Some(id);
                break;
            }
            // A phone that has forgotten its dialog in a restart. The oldest stands last.
            if Some(subscription.dialog.target()) == contact && !subscription.phase.is_flying() {
                found = Some(id);
            }
        }
        match found {
            Some(id) => {
                self.table.remove(id);
                Ok(())
            }
            None => Err(self.busy()),
        }
    }
}

/// RFC 3261 §12.2.2: the dialog is the one with this Call-ID and this tag of the other side.
fn is_dialog(subscription: &Subscription, request: &Message<'_>) -> bool {
    let remote_tag = request.from().ok().and_then(|from| from.tag()).unwrap_or_default();
    let call_id = request.call_id().unwrap_or_default();
    subscription.dialog.call_id() == call_id.as_bytes() && subscription.dialog.remote_tag() == remote_tag.as_bytes()
}

/// RFC 6665 §4.2.1.1: the package must be one that is served. RFC 6665 §8.3.2: 489 says which are.
fn event_of<'a>(request: &Message<'a>) -> Result<Event<'a>, Answer> {
    match request.event() {
        Ok(Some(event)) if event.package.eq_ignore_ascii_case(PACKAGE) => Ok(event),
        _ => Err(Answer::new(489).with(Name::AllowEvents, PACKAGE)),
    }
}

/// RFC 6665 §4.2.1.1, RFC 3261 §21.4.7. Without Accept, the subscriber takes what the package has.
fn accepts(request: &Message<'_>, content_type: &str) -> Result<(), Answer> {
    if request.accepts(content_type) == Some(0) { Err(Answer::new(406)) } else { Ok(()) }
}

fn refused_dialog(error: DialogError) -> Answer {
    Answer::new(match error {
        DialogError::Contact | DialogError::Route => 400,
        DialogError::TooLarge => 513,
    })
}

/// RFC 6080 §5.1.4 names devices by a URN; phones that look for a server by multicast, by a MAC address.
fn looks_like_a_device(user: &str) -> bool {
    let user = user.to_ascii_lowercase();
    ["mac%3a", "mac=", "mac:", "urn%3a", "urn:"].iter().any(|prefix| user.starts_with(prefix))
        || user.strip_prefix("mac").unwrap_or(&user).len() == 12
            && user.strip_prefix("mac").unwrap_or(&user).bytes().all(|b| b.is_ascii_hexdigit())
}

/// RFC 6080 §5.1.4.1: the name of a domain's configuration service.
fn is_configuration_host(host: &str) -> bool {
    host.get(.."_sipuaconfig.".len()).is_some_and(|begin| begin.eq_ignore_ascii_case("_sipuaconfig."))
}

/// RFC 3261 §19.1.2: the user part with its escapes undone; what is no UTF-8 then is no id.
fn unescaped(user: &str) -> String {
    let mut octets = Vec::with_capacity(user.len());
    let mut rest = user.bytes();
    while let Some(octet) = rest.next() {
        let mut digit = || rest.next().and_then(|b| char::from(b).to_digit(16)).and_then(|digit| u8::try_from(digit).ok());
        octets.push(if octet == b'%' { digit().zip(digit()).map_or(b'%', |(high, low)| high << 4 | low) } else { octet });
    }
    String::from_utf8(octets).unwrap_or_default()
}

fn without_port(uri: &Uri<'_>) -> Option<Aor> {
    uri.port?;
    format!("sip:{}@{}", uri.user?, uri.host).parse().ok()
}

fn same_record(sender: &Aor, aor: &Aor) -> bool {
    sender == aor || sender.key().rsplit_once(':').is_some_and(|(key, port)| key == aor.key() && port.bytes().all(|b| b.is_ascii_digit()))
}
