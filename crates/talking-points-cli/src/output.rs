//! What a subcommand prints: its result, or its error.

use std::{
    error::Error,
    io::{self, Write},
    process::{ExitCode, Termination},
};

use serde::Serialize;
use talking_points::error_line;

/// Sends logs to standard error (filtered by `RUST_LOG`) and runs a subcommand.
///
/// An error becomes one line on standard error, with its causes, and exit code 1; a subcommand may
/// return other exit codes.
pub(crate) fn run<T: Termination>(main: impl FnOnce() -> Result<T, Box<dyn Error>>) -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .without_time()
        .init();
    match main() {
        Ok(end) => end.report(),
        Err(error) => {
            print_error(error.as_ref());
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "this is how a subcommand fails")]
fn print_error(error: &dyn Error) {
    eprintln!("error: {}", error_line(error));
}

/// Prints a result, either as JSON or as the text that `human` returns.
///
/// # Errors
///
/// If the value cannot be written as JSON, or standard output is closed.
pub(crate) fn print_result<T: Serialize>(
    json: bool,
    value: &T,
    human: impl FnOnce() -> String,
) -> Result<(), Box<dyn Error>> {
    let text = if json { serde_json::to_string(value)? } else { human() };
    writeln!(io::stdout(), "{text}")?;
    Ok(())
}
