//! Stage 4: documents. A user's settings as canonical bytes, their `ETag`, and what differs between two of them.
//!
//! Canonical means: the same settings give the same bytes, on every machine and in every version that knows the same
//! catalogue. Nothing in a document tells when or by which change it came to be, so equal bytes need no NOTIFY.
//!
//! Invariant: what this module writes is well-formed XML 1.0, whatever the values hold.

mod cache;
mod changes;
mod element;
mod etag;
pub mod profile;
mod read;
mod render;
mod tree;

use std::sync::Arc;

pub use changes::{Change, changes};
pub use etag::{Etag, EtagError};
pub use profile::Profile;

pub use render::Renderer;
pub use tree::{ReadError, Unread};

/// A rendered document. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The media type, for `Content-Type`.
    pub content_type: &'static str,
    /// Names the bytes: equal for equal bodies.
    pub etag: Etag,
    /// The bytes.
    pub body: Arc<[u8]>,
}

impl Document {
    /// A document of these bytes.
    pub fn new(content_type: &'static str, body: impl Into<Arc<[u8]>>) -> Self {
        let body = body.into();
        Self { content_type, etag: Etag::of(&body), body }
    }
}
