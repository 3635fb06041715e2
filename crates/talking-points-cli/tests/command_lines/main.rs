//! Every subcommand with input that cannot be used: one line on standard error, exit code not 0,
//! nothing left behind; and what it prints otherwise.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod data;
mod evaluation;
mod images;
mod json;
mod language;
mod models;
mod program;
mod training;
