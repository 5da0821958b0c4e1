//! The dialect `ldif`: a file or a folder of RFC 2849 content records, watched.

mod change;
mod diff;
mod eyes;
mod feed;
mod files;
mod lines;
mod problem;
mod record;
mod settle;
mod tree;

pub use change::{ChangeRecord, Modification, Operation, RecordChange, parse_changes};
pub(super) use feed::{read, watch};
pub use problem::{LdifError, LdifFault, LdifProblem};
pub use record::{RECORDS_MAX, Record, parse};
