//! The flags that several subcommands share.

use std::path::PathBuf;

use burn::tensor::Device;
use clap::Args;
use talking_points::{DeviceError, DeviceName, Error, ModelDir, Models};

/// The flags of every subcommand.
#[derive(Args, Clone, Debug)]
pub(crate) struct CommonArgs {
    /// Print one JSON object on standard output and nothing else there.
    #[arg(long)]
    pub(crate) json: bool,
    /// The seed of every random choice.
    #[arg(long, allow_negative_numbers = true, default_value_t = 0)]
    pub(crate) seed: u64,
}

/// The flag of subcommands that compute with tensors.
#[derive(Args, Clone, Debug)]
pub(crate) struct DeviceArgs {
    /// The device of the tensors: flex; with Cargo features of these names also libtorch or cuda.
    #[arg(long = "device", default_value = "flex")]
    name: DeviceName,
}

impl DeviceArgs {
    /// The device.
    pub(crate) fn open(&self) -> Result<Device, DeviceError> {
        self.name.open()
    }
}

/// The flags of subcommands that run a model.
#[derive(Args, Clone, Debug)]
pub(crate) struct ModelArgs {
    /// A model folder.
    #[arg(long = "model", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/tiny"))]
    pub(crate) folder: PathBuf,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
}

impl ModelArgs {
    /// The model on the device.
    pub(crate) fn load(&self) -> Result<Models, Error> {
        let device = self.device.open()?;
        Ok(ModelDir::open(&self.folder)?.load(&device)?)
    }
}

/// A text on the command line, for options that accept hyphens: it may begin with one, but must not
/// look like a flag.
///
/// # Errors
///
/// If it is written as a flag is.
pub(crate) fn text_arg(text: &str) -> Result<String, String> {
    let is_flag = text.strip_prefix("--").is_some_and(|rest| {
        rest.starts_with(|c: char| c.is_ascii_lowercase())
            && rest.chars().all(|c| c.is_ascii_alphanumeric() || "-_=".contains(c))
    });
    if is_flag {
        Err(format!(
            "`{text}` is a flag, and a text should stand there; begin it with a space if it is meant"
        ))
    } else {
        Ok(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_may_begin_with_a_hyphen_and_is_no_flag() {
        for text in [
            "a hoof",
            "-5 degrees",
            "- the nose",
            "--",
            "-- no",
            "---",
            "--the nose, not the ear",
            " --json",
        ] {
            assert_eq!(text_arg(text).unwrap(), text);
        }
        for flag in ["--json", "--top-p", "--seed=3"] {
            assert!(text_arg(flag).unwrap_err().contains("is a flag"), "{flag}");
        }
    }
}
