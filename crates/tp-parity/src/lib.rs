#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod end_to_end;
mod error;
mod fixture;
mod grpo;
mod language;
mod localizer;
mod report;
mod verify;
mod vision;

pub use error::ParityError;
pub use report::{ParityReport, TensorParity};
pub use verify::verify;
