//! Tests of policy as a whole, on trees as admins draw them.

mod precedence;
mod world;
