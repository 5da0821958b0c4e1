//! The subscriber from outside: against a server written down by hand, and against Dialcast's notifier.

mod answers;
mod bench;
mod dialogs;
mod ends;
mod login;
mod pair;
mod simulation;
mod world;
