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
    #[arg(long, allow_negative_numbers = true, default_value_t = 0)]
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

/// A text on the command line, for options that accept hyphens: it may begin with one, and is no flag that was meant to follow.
///
/// # Errors
///
/// If it is written as a flag is.
pub fn text_arg(text: &str) -> Result<String, String> {
    let is_flag = text.strip_prefix("--").is_some_and(|rest| {
        rest.starts_with(|c: char| c.is_ascii_lowercase()) && rest.chars().all(|c| c.is_ascii_alphanumeric() || "-_=".contains(c))
    });
    if is_flag {
        Err(format!("`{text}` is a flag, and a text should stand there; begin it with a space if it is meant"))
    } else {
        Ok(text.to_owned())
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
    fn text_may_begin_with_a_hyphen_and_is_no_flag() {
        for text in ["a hoof", "-5 degrees", "- the nose", "--", "-- no", "---", "--the nose, not the ear", " --json"] {
            assert_eq!(text_arg(text).unwrap(), text);
        }
        for flag in ["--json", "--top-p", "--seed=3"] {
            assert!(text_arg(flag).unwrap_err().contains("is a flag"), "{flag}");
        }
    }

    #[test]
    fn point_is_two_numbers_with_a_comma() {
        assert_eq!("12,3.5".parse::<PointArg>().unwrap().0, PixelXy { x: 12.0, y: 3.5 });
        assert!("nan,3".parse::<PointArg>().unwrap().0.x.is_nan()); // refused later, with the image's size
        assert_eq!(" -1 , 1e3 ".parse::<PointArg>().unwrap().0, PixelXy { x: -1.0, y: 1000.0 });
        for text in ["", "12", "12;3", "a,b", "1,2,3", "1 2", "1,", ",2", "0x10,5", "--json"] {
            assert!(text.parse::<PointArg>().unwrap_err().contains("as in 120,85"), "{text}");
        }
    }
}
