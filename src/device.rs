//! The devices on which models run, by name.

use std::{fmt, str::FromStr};

use burn::tensor::Device;

/// A device by its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceName {
    /// The CPU, in pure Rust.
    #[default]
    Flex,
    /// The CPU, through LibTorch.
    Libtorch,
    /// An NVIDIA GPU.
    Cuda,
}

/// Why a device is not available.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages name the fields")]
#[non_exhaustive]
pub enum DeviceError {
    /// No device has this name.
    #[error("unknown device `{name}`: this build supports {}", known())]
    Unknown { name: String },
    /// The backend is not part of this build; the Cargo feature has the name of the device.
    #[error(
        "this build does not include the `{name}` backend: build with `--features {name}`, or run on `--device flex`"
    )]
    NotCompiledIn { name: DeviceName },
    /// The NVIDIA driver is not installed.
    #[error(
        "no NVIDIA driver: `libcuda.so.1` cannot be loaded; install the driver, or run on `--device flex`"
    )]
    NoDriver,
    /// The driver finds no GPU.
    #[error(
        "no NVIDIA GPU: the driver is installed but finds none; see what `nvidia-smi` lists, or run on `--device flex`"
    )]
    NoCard,
    /// The driver reports an error.
    #[error(
        "the NVIDIA driver fails to start with error {code}; see what `nvidia-smi` reports, or run on `--device flex`"
    )]
    DriverRefused { code: i32 },
}

/// The device names that this build supports.
fn known() -> String {
    let names: Vec<String> = DeviceName::ALL
        .iter()
        .filter(|name| name.is_compiled_in())
        .map(|name| format!("`{name}`"))
        .collect();
    names.join(", ")
}

impl DeviceName {
    /// Every device that some build supports.
    pub const ALL: [Self; 3] = [Self::Flex, Self::Libtorch, Self::Cuda];

    /// Whether this build includes the backend.
    #[must_use]
    pub fn is_compiled_in(self) -> bool {
        match self {
            Self::Flex => true,
            Self::Libtorch => cfg!(feature = "libtorch"),
            Self::Cuda => cfg!(feature = "cuda"),
        }
    }

    /// Opens the device.
    ///
    /// # Errors
    ///
    /// [`DeviceError::NotCompiledIn`] if this build does not include the backend, another
    /// [`DeviceError`] if this machine has no such device. There is no fallback.
    pub fn open(self) -> Result<Device, DeviceError> {
        match self {
            Self::Flex => Ok(Device::flex()),
            #[cfg(feature = "libtorch")]
            Self::Libtorch => Ok(libtorch()),
            #[cfg(feature = "cuda")]
            Self::Cuda => first_card(),
            #[cfg(not(all(feature = "libtorch", feature = "cuda")))]
            _ => Err(DeviceError::NotCompiledIn { name: self }),
        }
    }

    /// Every device of this build that can be opened on this machine, the pure-Rust CPU first.
    #[must_use]
    pub fn usable() -> Vec<(Self, Device)> {
        Self::ALL.into_iter().filter_map(|name| Some((name, name.open().ok()?))).collect()
    }
}

/// The CPU through LibTorch. A GPU of LibTorch would be a different device.
#[cfg(feature = "libtorch")]
#[expect(deprecated, reason = "Burn's next version ends this backend")]
fn libtorch() -> Device {
    Device::libtorch()
}

/// Burn panics without a usable message if there is no driver or no GPU, so both are checked first.
#[cfg(feature = "cuda")]
fn first_card() -> Result<Device, DeviceError> {
    use tp_kernels::CudaRefusal;
    match tp_kernels::cuda_cards() {
        Ok(_) => Ok(Device::cuda(0)),
        Err(CudaRefusal::NoDriver) => Err(DeviceError::NoDriver),
        Err(CudaRefusal::NoCard) => Err(DeviceError::NoCard),
        Err(CudaRefusal::Driver(code)) => Err(DeviceError::DriverRefused { code }),
    }
}

/// The name that opens a device, or Burn's name for a device that has none here.
pub(crate) fn name_of(device: &Device) -> String {
    let plain = device.clone().without_autodiff();
    let ours = DeviceName::usable().into_iter().find(|(_, usable)| *usable == plain);
    ours.map_or_else(|| format!("{plain:?}"), |(name, _)| name.to_string())
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
    fn missing_backend_is_an_error_that_names_its_feature() {
        assert!(DeviceName::Flex.open().is_ok());
        for name in DeviceName::ALL.into_iter().filter(|name| !name.is_compiled_in()) {
            let message = name.open().unwrap_err().to_string();
            assert!(message.contains(&format!("`--features {name}`")), "{message}");
        }
    }

    #[test]
    fn unknown_name_lists_what_the_build_knows() {
        let message = "gpu".parse::<DeviceName>().unwrap_err().to_string();
        assert!(message.contains("`gpu`") && message.contains("supports `flex`"), "{message}");
        assert_eq!(message.contains("`libtorch`"), DeviceName::Libtorch.is_compiled_in());
    }

    #[test]
    fn devices_are_called_by_the_name_that_opens_them() {
        for (name, device) in DeviceName::usable() {
            assert_eq!(name_of(&device), name.to_string());
            assert_eq!(name_of(&device.autodiff()), name.to_string());
        }
    }
}
