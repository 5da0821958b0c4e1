//! Tests of policy as a whole, on trees as admins draw them.

mod incremental;
mod oracle;
mod precedence;
mod world;
