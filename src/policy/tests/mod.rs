//! Tests of policy as a whole, on trees as admins draw them.

mod candidates;
mod checking;
mod documented;
mod explaining;
mod forest;
mod guard;
mod impact;
mod incremental;
mod laws;
mod networks;
mod oracle;
mod precedence;
mod standing;
mod stead;
mod world;
