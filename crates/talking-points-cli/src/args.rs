//! The flags that several subcommands share.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use clap::{Args, ValueEnum};
use talking_points::{
    DeviceError, DeviceName, Error, LoadOptions, ModelDir, Models, language::QuantizedFormat,
};

/// The folder of the model that comes with a checkout.
pub(crate) const BUNDLED_MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/tiny");

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
    #[arg(long = "model", default_value = BUNDLED_MODEL)]
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

/// The flags of subcommands that use a model without training it.
#[derive(Args, Clone, Debug)]
pub(crate) struct InferenceArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    #[command(flatten)]
    weights: WeightsArgs,
}

/// The flag for the numbers of a model's matrices.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct WeightsArgs {
    /// The format of the language model's matrices in memory: blocks of eight or four bits take
    /// about a quarter or an eighth of the memory, with slightly different results.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = WeightFormat::F32)]
    weights: WeightFormat,
}

impl InferenceArgs {
    /// The model on the device, in the format.
    pub(crate) fn load(&self) -> Result<Models, Error> {
        let device = self.model.device.open()?;
        self.weights.load(&self.model.folder, &device)
    }
}

impl WeightsArgs {
    /// The blocks, if the format is of blocks.
    pub(crate) fn blocks(&self) -> Option<QuantizedFormat> {
        self.weights.blocks()
    }

    /// The model of a folder on a device, in the format.
    pub(crate) fn load(&self, folder: &Path, device: &Device) -> Result<Models, Error> {
        let how = LoadOptions { blocks: self.blocks(), ..Default::default() };
        Ok(ModelDir::open(folder)?.load_with(device, how)?)
    }
}

/// The format of matrices in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum WeightFormat {
    /// Single precision.
    F32,
    /// Eight bits, and a scale for each 32 numbers.
    #[value(name = "q8_0")]
    Q8_0,
    /// Four bits, and a scale for each 32 numbers.
    #[value(name = "q4_0")]
    Q4_0,
}

impl WeightFormat {
    /// The blocks, if it is of blocks.
    pub(crate) fn blocks(self) -> Option<QuantizedFormat> {
        match self {
            Self::F32 => None,
            Self::Q8_0 => Some(QuantizedFormat::Q8_0),
            Self::Q4_0 => Some(QuantizedFormat::Q4_0),
        }
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
