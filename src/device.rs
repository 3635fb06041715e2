//! The one place that turns a name into a Burn device.

use std::{fmt, str::FromStr};

use burn::tensor::Device;

/// Where tensors live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceName {
    /// The CPU, in pure Rust.
    #[default]
    Flex,
    /// The CPU through LibTorch.
    Libtorch,
    /// An NVIDIA card.
    Cuda,
}

/// Why a device cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages name the fields")]
#[non_exhaustive]
pub enum DeviceError {
    /// No device has this name.
    #[error(
        "unknown device `{name}`: this build knows `flex` (the CPU); `libtorch` and `cuda` are names of backends that it does not hold"
    )]
    Unknown { name: String },
    /// The backend is not part of this build.
    #[error("this build holds no `{name}` backend: run on `--device flex`")]
    NotCompiledIn { name: DeviceName },
}

impl DeviceName {
    /// Opens the device.
    ///
    /// # Errors
    ///
    /// [`DeviceError::NotCompiledIn`] if this build does not hold its backend; never a silent fallback.
    pub fn open(self) -> Result<Device, DeviceError> {
        match self {
            Self::Flex => Ok(Device::flex()),
            Self::Libtorch | Self::Cuda => Err(DeviceError::NotCompiledIn { name: self }),
        }
    }
}

impl FromStr for DeviceName {
    type Err = DeviceError;

    fn from_str(name: &str) -> Result<Self, DeviceError> {
        match name {
            "flex" => Ok(Self::Flex),
            "libtorch" => Ok(Self::Libtorch),
            "cuda" => Ok(Self::Cuda),
            _ => Err(DeviceError::Unknown { name: name.to_owned() }),
        }
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flex => "flex",
            Self::Libtorch => "libtorch",
            Self::Cuda => "cuda",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_back() {
        for name in [DeviceName::Flex, DeviceName::Libtorch, DeviceName::Cuda] {
            assert_eq!(name.to_string().parse(), Ok(name));
        }
    }

    #[test]
    fn missing_backend_is_an_error_and_not_a_fallback() {
        assert!(DeviceName::Flex.open().is_ok());
        assert_eq!(DeviceName::Cuda.open().unwrap_err(), DeviceError::NotCompiledIn { name: DeviceName::Cuda });
        assert!("gpu".parse::<DeviceName>().unwrap_err().to_string().contains("`gpu`"));
    }
}
