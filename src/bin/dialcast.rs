//! The `dialcast` command.

fn main() {}
