//! The protocol, without a socket, a clock or a task: messages read and written, digest authentication, stream framing.
//!
//! Reading is borrowed and lossless: [`Message::parse`] indexes the bytes it is given, and every value is kept as it was written until
//! somebody asks for its parts. Limits ([`limits`]) come first, nothing panics, and the way of an ordinary request allocates nothing.
//! What cannot be read says whether and how it is answered ([`Malformed`]).
//!
//! Writing goes through [`Request`] and [`Response`], whose values cannot break out of their header field.

mod check;
pub mod digest;
mod error;
#[cfg(feature = "rsip")]
pub mod interop;
pub mod limits;
mod message;
mod method;
mod name;
mod nameaddr;
mod params;
mod parse;
mod request;
mod response;
mod scan;
pub mod stream;
pub mod transaction;
mod transport;
#[cfg(test)]
mod traps;
mod typed;
mod uri;
mod values;
mod via;
mod write;

pub use check::{Refusal, Support, check_response};
pub use error::{Flaw, HeaderError, Malformed, MalformedKind};
pub use message::{Field, Kind, Message};
pub use method::Method;
pub use name::Name;
pub use nameaddr::NameAddr;
pub use params::{Param, Params};
pub use request::Request;
pub use response::{Response, reason_phrase};
pub use scan::unescape;
pub use transport::{Path, Transport};
pub use uri::{Scheme, Uri, UriError};
pub use values::{Event, MediaType, SubscriptionState};
pub use via::{BRANCH_COOKIE, Rport, Via};
