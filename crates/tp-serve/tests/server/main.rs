//! A server in this process, the bundled model, and a plain HTTP client.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod answers;
mod chat;
mod harness;
mod hostile;
mod interface;
mod label_studio;
mod queueing;
mod refusals;
mod streams;
mod teacher;
