//! The dialect `ldif`: a file or a folder of RFC 2849 content records, watched.

mod diff;
mod lines;
mod problem;
mod record;
mod tree;

pub use problem::{LdifError, LdifFault, LdifProblem};
pub use record::{RECORDS_MAX, Record, parse};
