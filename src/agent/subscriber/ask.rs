//! Writing SUBSCRIBEs.

use std::time::Instant;

use super::config::ProfileType;
use super::dialog::Way;
use super::event::Failure;
use super::machine::{Ask, Asked, Subscriber};
use crate::sip::transaction::{SendError, Ticket};
use crate::sip::{Method, Name, Request, Transport};

impl Subscriber {
    /// Sends a SUBSCRIBE: in the dialog, if there is one.
    pub(super) fn ask(&mut self, now: Instant, ask: Ask) {
        let asked = Asked { call: self.call.number, ask };
        let (way, to_tag) = match &self.call.dialog {
            Some(dialog) => (dialog.way(&self.config.server), Some(dialog.remote_tag.clone())),
            None => (Some(self.first_way()), None),
        };
        let Some(Way { uri, routes, to }) = way else {
            return self.failed(now, asked, Failure::NotSent(SendError::Unreachable), None);
        };
        // RFC 3261 §12.2.1.1: each request of a dialog counts on.
        self.call.cseq += 1;
        let transport = to.transport();
        let credentials = self.auths.fields(self.config.login.as_ref(), &uri, &mut self.rng);
        let expires_s = if ask == Ask::Leave { 0 } else { self.wanted_s };
        let (uri_first, from_first) = (self.resource(), self.sender());
        let listen = self.config.listen.to_string();
        let tag = to_tag.map(|tag| format!(";tag={tag}")).unwrap_or_default();
        let event = self.event();
        let write = |ticket: Ticket| {
            let mut request = Request::new(Method::Subscribe, &uri).via(transport, &listen, &ticket.to_string()).max_forwards(70);
            for route in &routes {
                request = request.header(Name::Route, route);
            }
            request = request
                .from(&format!("<{from_first}>;tag={}", self.call.tag))
                .to(&format!("<{uri_first}>{tag}"))
                .call_id(&self.call.id)
                .cseq(self.call.cseq)
                .header(Name::Contact, &contact(&listen, transport))
                .header(Name::Event, &event)
                .header(Name::Accept, &self.config.accept.join(", "))
                .header(Name::Expires, &expires_s.to_string())
                .header(Name::Allow, "NOTIFY, OPTIONS")
                .header(Name::UserAgent, &format!("{}/{}", self.config.device.model, self.config.device.version));
            for (name, value) in &credentials {
                request = request.header(*name, value);
            }
            request.encode().into()
        };
        match self.clients.start(now, &mut self.rng, asked, Method::Subscribe, to, write) {
            Ok(transmit) => self.send(transmit),
            Err(_) => self.failed(now, asked, Failure::NotSent(SendError::Busy), None),
        }
        if ask == Ask::First && self.call.dialog.is_none() {
            // RFC 6665 §4.1.2.4: Timer N.
            self.times.notify = Some(now + 64 * self.config.timing.t1);
        }
    }

    fn first_way(&self) -> Way {
        Way { uri: self.resource(), routes: Vec::new(), to: self.config.server.clone() }
    }

    /// RFC 6080 §5.1.4: the request URI is the address of the user or device, or the network's configuration service.
    fn resource(&self) -> String {
        match self.config.profile {
            ProfileType::User | ProfileType::Device => self.config.aor.as_str().to_owned(),
            ProfileType::LocalNetwork => format!("sip:_sipuaconfig.{}", self.config.aor.domain()),
        }
    }

    /// RFC 6080 §5.1.4: From is the address of record, and anonymous where nobody's own profile is asked for.
    fn sender(&self) -> String {
        match self.config.profile {
            ProfileType::User => self.config.aor.as_str().to_owned(),
            ProfileType::LocalNetwork | ProfileType::Device => format!("sip:anonymous@{}", self.config.aor.domain()),
        }
    }

    /// RFC 6080 §6.2: what is subscribed to, and by what.
    fn event(&self) -> String {
        let device = &self.config.device;
        let (vendor, model, version) = (quoted(&device.vendor), quoted(&device.model), quoted(&device.version));
        let profile = self.config.profile.as_str();
        format!("ua-profile;profile-type={profile};vendor={vendor};model={model};version={version}")
    }
}

/// RFC 3261 §18.1.1: over UDP the Contact names no transport, so that what is too large for a datagram may come over TCP.
fn contact(listen: &str, transport: Transport) -> String {
    match transport {
        Transport::Udp => format!("<sip:{listen}>"),
        other => format!("<sip:{listen};transport={}>", other.as_str().to_ascii_lowercase()),
    }
}

/// RFC 3261 §25.1: a quoted string.
fn quoted(text: &str) -> String {
    let escaped: String = text.chars().flat_map(|c| if matches!(c, '"' | '\\') { vec!['\\', c] } else { vec![c] }).collect();
    format!("\"{escaped}\"")
}
