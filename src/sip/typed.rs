//! The typed view of a message: each value is taken apart when it is asked for, what every message has when it is read.

use std::net::SocketAddr;

use super::digest::{Challenge, Credentials, DigestError};
use super::error::Flaw;
use super::limits::CSEQ_MAX;
use super::{Event, HeaderError, Kind, MediaType, Message, Method, Name, NameAddr, SubscriptionState, Uri, UriError, Via, scan};

impl<'a> Message<'a> {
    /// The topmost Via (RFC 3261 §20.42).
    pub fn via(&self) -> Result<Via<'a>, HeaderError> {
        if let Some(basics) = &self.basics {
            return Ok(basics.via);
        }
        let value = self.one(Name::Via)?;
        let top = scan::trim(scan::split_outside(value, b',').0);
        Via::parse(top).map_err(|flaw| HeaderError::new(Name::Via, flaw))
    }

    /// Every Via, the topmost first.
    pub fn vias(&self) -> impl Iterator<Item = Result<Via<'a>, HeaderError>> {
        self.headers(Name::Via).map(|text| Via::parse(text).map_err(|flaw| HeaderError::new(Name::Via, flaw)))
    }

    /// From (RFC 3261 §20.20).
    pub fn from(&self) -> Result<NameAddr<'a>, HeaderError> {
        self.basics.as_ref().map_or_else(|| self.address(Name::From), |basics| Ok(basics.from))
    }

    /// To (RFC 3261 §20.39).
    pub fn to(&self) -> Result<NameAddr<'a>, HeaderError> {
        self.basics.as_ref().map_or_else(|| self.address(Name::To), |basics| Ok(basics.to))
    }

    /// Call-ID (RFC 3261 §20.8), compared octet by octet.
    pub fn call_id(&self) -> Result<&'a str, HeaderError> {
        if let Some(basics) = &self.basics {
            return Ok(basics.call_id);
        }
        let value = self.one(Name::CallId)?;
        // Wider than `word`: what cannot be confused with the end of the value is let through.
        let is_word = !value.is_empty() && value.bytes().all(|b| b > b' ' && b != 0x7f);
        if is_word { Ok(value) } else { Err(HeaderError::new(Name::CallId, Flaw::Token)) }
    }

    /// `CSeq` (RFC 3261 §20.16): the number, below 2^31, and the method.
    pub fn cseq(&self) -> Result<(u32, Method<'a>), HeaderError> {
        if let Some(basics) = &self.basics {
            return Ok(basics.cseq);
        }
        let error = |flaw| HeaderError::new(Name::CSeq, flaw);
        let value = self.one(Name::CSeq)?;
        let (number, method) = scan::split_word(value).ok_or_else(|| error(Flaw::Token))?;
        let number = scan::digits(number).filter(|n| *n <= CSEQ_MAX).ok_or_else(|| error(Flaw::Number))?;
        let method = scan::trim_start(method);
        if scan::is_token(method.as_bytes()) { Ok((number, Method::parse(method))) } else { Err(error(Flaw::Token)) }
    }

    /// The request URI taken apart; a response has none.
    pub fn request_uri(&self) -> Result<Uri<'a>, UriError> {
        match self.kind {
            Kind::Request { uri, .. } => Uri::parse(uri),
            Kind::Response { .. } => Err(UriError::Scheme),
        }
    }

    /// Max-Forwards (RFC 3261 §20.22): 0 to 255.
    pub fn max_forwards(&self) -> Result<Option<u8>, HeaderError> {
        match self.number(Name::MaxForwards)? {
            Some(number) => u8::try_from(number).map(Some).map_err(|_| HeaderError::new(Name::MaxForwards, Flaw::Number)),
            None => Ok(None),
        }
    }

    /// Expires (RFC 3261 §20.19) in seconds; more than 2^32-1 is 2^32-1.
    pub fn expires(&self) -> Result<Option<u32>, HeaderError> {
        self.number(Name::Expires)
    }

    /// Min-Expires (RFC 3261 §20.23) in seconds.
    pub fn min_expires(&self) -> Result<Option<u32>, HeaderError> {
        self.number(Name::MinExpires)
    }

    /// Retry-After (RFC 3261 §20.33) in seconds, without its comment and parameters.
    pub fn retry_after(&self) -> Result<Option<u32>, HeaderError> {
        let Some(value) = self.text(Name::RetryAfter)? else { return Ok(None) };
        let end = value.find([';', '(', ' ', '\t', '\r', '\n']).unwrap_or(value.len());
        let number = value.get(..end).and_then(scan::digits);
        number.map(Some).ok_or(HeaderError::new(Name::RetryAfter, Flaw::Number))
    }

    /// Content-Length (RFC 3261 §20.14). What it says more than a `usize` holds is more than there is.
    pub fn content_length(&self) -> Result<Option<usize>, HeaderError> {
        Ok(self.number(Name::ContentLength)?.map(|number| usize::try_from(number).unwrap_or(usize::MAX)))
    }

    /// Content-Type (RFC 3261 §20.15).
    pub fn content_type(&self) -> Result<Option<MediaType<'a>>, HeaderError> {
        self.optional(Name::ContentType, MediaType::parse)
    }

    /// Event (RFC 6665 §8.2.1).
    pub fn event(&self) -> Result<Option<Event<'a>>, HeaderError> {
        self.optional(Name::Event, Event::parse)
    }

    /// Subscription-State (RFC 6665 §8.2.3).
    pub fn subscription_state(&self) -> Result<Option<SubscriptionState<'a>>, HeaderError> {
        self.optional(Name::SubscriptionState, SubscriptionState::parse)
    }

    /// The first Contact (RFC 3261 §20.10); `*` is an error here, [`Message::is_contact_star`] knows it.
    pub fn contact(&self) -> Result<Option<NameAddr<'a>>, HeaderError> {
        self.contacts().next().transpose()
    }

    /// Every Contact.
    pub fn contacts(&self) -> impl Iterator<Item = Result<NameAddr<'a>, HeaderError>> {
        self.addresses(Name::Contact)
    }

    /// RFC 3261 §10.2.2: `Contact: *`.
    pub fn is_contact_star(&self) -> bool {
        self.header(Name::Contact) == Some("*")
    }

    /// Every address of a field that lists them: Contact, Route, Record-Route, Path, P-Asserted-Identity.
    pub fn addresses(&self, name: Name<'static>) -> impl Iterator<Item = Result<NameAddr<'a>, HeaderError>> {
        self.headers(name).map(move |text| NameAddr::parse(text).map_err(|flaw| HeaderError::new(name, flaw)))
    }

    /// The elements of Record-Route as they are written, in order: what a dialog keeps as its route set (RFC 3261 §12.1).
    pub fn record_routes(&self) -> impl Iterator<Item = &'a str> {
        self.tokens(Name::RecordRoute)
    }

    /// The option tags that the sender insists on (RFC 3261 §20.32).
    pub fn require(&self) -> impl Iterator<Item = &'a str> {
        self.tokens(Name::Require)
    }

    /// The option tags that the sender supports (RFC 3261 §20.37).
    pub fn supported(&self) -> impl Iterator<Item = &'a str> {
        self.tokens(Name::Supported)
    }

    /// Accept (RFC 3261 §20.1): each media range that can be read.
    pub fn accept(&self) -> impl Iterator<Item = MediaType<'a>> {
        self.tokens(Name::Accept).filter_map(|text| MediaType::parse(text).ok())
    }

    /// How gladly the sender takes a body of this `type/subtype`, in thousandths: 0 is not at all, `None` is that there is no Accept,
    /// and what holds then is up to the method and the event package. The range that names it most closely decides (RFC 9110 §12.5.1).
    pub fn accepts(&self, kind: &str) -> Option<u16> {
        self.header_bytes(Name::Accept)?;
        let best = self.accept().map(|range| (range.closeness(kind), range.quality())).filter(|(close, _)| *close > 0).max();
        Some(best.map_or(0, |(_, quality)| quality))
    }

    /// The credentials of every Authorization field (RFC 3261 §20.7); a scheme other than Digest is an error of its own.
    pub fn authorization(&self) -> impl Iterator<Item = Result<Credentials<'a>, DigestError>> {
        self.headers(Name::Authorization).map(Credentials::parse)
    }

    /// The challenges of every WWW-Authenticate and Proxy-Authenticate field.
    pub fn challenges(&self) -> impl Iterator<Item = Result<Challenge<'a>, DigestError>> {
        self.headers(Name::WwwAuthenticate).chain(self.headers(Name::ProxyAuthenticate)).map(Challenge::parse)
    }

    /// RFC 3261 §18.2.2, RFC 3581 §4: where the response to a request goes that came over UDP from `source`. `None` without a Via
    /// that names a host.
    pub fn reply_address(&self, source: SocketAddr) -> Option<SocketAddr> {
        let (sent_by, rest) = self.top_sent_by()?;
        // Broken parameters must not hide the port that the client wants.
        let via = Via { params: super::nameaddr::header_params(rest, "branch").unwrap_or_default(), ..sent_by };
        Some(via.reply_address(source))
    }

    /// The topmost Via as far as sent-by, and what follows it.
    pub(crate) fn top_sent_by(&self) -> Option<(Via<'a>, &'a str)> {
        let top = scan::split_outside(self.header(Name::Via)?, b',').0;
        Via::parse_sent_by(top).ok()
    }

    fn tokens(&self, name: Name<'static>) -> impl Iterator<Item = &'a str> {
        self.headers(name).filter(|text| !text.is_empty())
    }

    fn text(&self, name: Name<'static>) -> Result<Option<&'a str>, HeaderError> {
        self.header_bytes(name).map(|value| std::str::from_utf8(value).map_err(|_| HeaderError::new(name, Flaw::Text))).transpose()
    }

    fn one(&self, name: Name<'static>) -> Result<&'a str, HeaderError> {
        self.text(name)?.ok_or(HeaderError::new(name, Flaw::Missing))
    }

    fn address(&self, name: Name<'static>) -> Result<NameAddr<'a>, HeaderError> {
        NameAddr::parse(self.one(name)?).map_err(|flaw| HeaderError::new(name, flaw))
    }

    fn number(&self, name: Name<'static>) -> Result<Option<u32>, HeaderError> {
        let Some(value) = self.text(name)? else { return Ok(None) };
        scan::digits(value).map(Some).ok_or(HeaderError::new(name, Flaw::Number))
    }

    fn optional<T>(&self, name: Name<'static>, parse: impl Fn(&'a str) -> Result<T, Flaw>) -> Result<Option<T>, HeaderError> {
        self.text(name)?.map(|value| parse(value).map_err(|flaw| HeaderError::new(name, flaw))).transpose()
    }
}
