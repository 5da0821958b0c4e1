//! The other end: what subscribes, and what is done with the documents that arrive.
//!
//! Sans-IO as the notifier is: messages, times and a seed come in; messages, deadlines and events come out.

pub mod subscriber;
