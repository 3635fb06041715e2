//! Describes points of photographs in words, and locates points from words.
//!
//! This crate is the facade: it re-exports every crate of the workspace ([`core`], [`data`],
//! [`vision`], …) and holds what needs both models: devices, model folders, evaluation, pictures,
//! training and reinforcement. Start with [`prelude`].
//!
//! | module | for |
//! |---|---|
//! | [`prelude`] | describing points and finding texts |
//! | [`evaluation`] | evaluating a model against baselines |
//! | [`recipe`], [`train`] | training a model |
//! | [`reinforcement`], [`rl`] | training the Descriptor with the Localizer as the reward |
//! | [`data`], [`scenes`], `builder` | annotations, procedural scenes, data sets of described points |
//! | [`vision`], [`language`], [`descriptor`], [`localizer`], [`kernels`], [`weights`] | the networks, their operators and their files |
//! | [`metrics`] | PCK with confidence intervals |
#![forbid(unsafe_code)]

#[cfg(feature = "builder")]
pub use tp_builder as builder;
pub use tp_core as core;
pub use tp_data as data;
pub use tp_descriptor as descriptor;
pub use tp_kernels as kernels;
pub use tp_language as language;
pub use tp_localizer as localizer;
pub use tp_metrics as metrics;
pub use tp_rl as rl;
pub use tp_scenes as scenes;
pub use tp_train as train;
pub use tp_vision as vision;
pub use tp_weights as weights;

mod conversion;
mod device;
mod device_check;
mod error;
mod error_line;
pub mod evaluation;
mod joined;
mod model_dir;
mod network;
pub mod overlay;
pub mod prelude;
mod published;
pub mod recipe;
pub mod reinforcement;
mod round_trip;
mod stopwatch;

pub use conversion::{
    Conversion, ConversionError, ConversionOptions, ConvertedModel, PublishedFiles, convert_model,
    convert_weights,
};
pub use device::{DeviceError, DeviceName};
pub use device_check::{DeviceCheck, Difference};
pub use error::Error;
pub use error_line::error_line;
pub use joined::{JoinError, JoinedBase};
pub use model_dir::{
    LoadOptions, ModelDir, ModelError, Models, RunInfo, save_model_dir, save_settings,
};
pub use network::{Network, NetworkConfig};
pub use published::{PublishedName, network_keys, published_name};
pub use round_trip::{RoundTrip, RoundTripSeconds};
