//! What every example shares: its flags, its logs, its way of failing, and the reading of a point.

use std::{
    error::Error,
    process::{ExitCode, Termination},
    str::FromStr,
};

use clap::Args;
use serde::Serialize;
use tp_core::PixelXy;

use crate::DeviceName;

/// The flags of every example.
#[derive(Args, Clone, Debug)]
pub struct CommonArgs {
    /// Print one JSON object on standard output and nothing else there.
    #[arg(long)]
    pub json: bool,
    /// Where tensors live: flex; with Cargo features of these names also libtorch or cuda.
    #[arg(long, default_value = "flex")]
    pub device: DeviceName,
    /// Decides every random choice.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
}

/// A point in pixels, written `X,Y`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PointArg(pub PixelXy);

impl FromStr for PointArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || format!("`{text}` is not a point: write two numbers, the column and the row in pixels, as in 120,85");
        let (x, y) = text.split_once(',').ok_or_else(refuse)?;
        let number = |text: &str| text.trim().parse::<f64>().map_err(|_| refuse());
        Ok(Self(PixelXy { x: number(x)?, y: number(y)? }))
    }
}

/// Sends logs to standard error (`RUST_LOG` chooses which) and runs the example.
///
/// A failure becomes one line on standard error, causes included, and exit code 1; a success may bring a code of its own.
pub fn run<T: Termination>(main: impl FnOnce() -> Result<T, Box<dyn Error>>) -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false).without_time().init();
    match main() {
        Ok(end) => end.report(),
        Err(error) => {
            print_error(error.as_ref());
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "this is how an example fails")]
fn print_error(error: &dyn Error) {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        // Some libraries repeat the cause in their own message.
        if !line.contains(&text) {
            line = format!("{line}: {text}");
        }
        cause = error.source();
    }
    eprintln!("error: {}", line.replace('\n', " "));
}

/// Prints a result: as JSON if asked, else as the text that `human` writes.
///
/// # Errors
///
/// If the value cannot be written as JSON, or standard output is closed.
pub fn print_result<T: Serialize>(json: bool, value: &T, human: impl FnOnce() -> String) -> Result<(), Box<dyn Error>> {
    use std::io::Write;
    let text = if json { serde_json::to_string(value)? } else { human() };
    writeln!(std::io::stdout(), "{text}")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn point_is_two_numbers_with_a_comma() {
        assert_eq!("12,3.5".parse::<PointArg>().unwrap().0, PixelXy { x: 12.0, y: 3.5 });
        assert!("nan,3".parse::<PointArg>().unwrap().0.x.is_nan()); // refused later, with the image's size
        for text in ["", "12", "12;3", "a,b", "1,2,3"] {
            assert!(text.parse::<PointArg>().unwrap_err().contains("as in 120,85"), "{text}");
        }
    }
}
