//! One module for each subcommand: its flags, its result, and `run`.

pub(crate) mod annotation;
pub(crate) mod build;
pub(crate) mod calibrate;
pub(crate) mod compare;
pub(crate) mod convert;
pub(crate) mod describe;
pub(crate) mod doctor;
pub(crate) mod evaluate;
pub(crate) mod generate;
pub(crate) mod inspect;
pub(crate) mod join;
pub(crate) mod locate;
pub(crate) mod mask;
pub(crate) mod predictions;
pub(crate) mod reinforce;
pub(crate) mod round_trip;
pub(crate) mod scene;
pub(crate) mod selftest;
#[cfg(feature = "serve")]
pub(crate) mod serve;
pub(crate) mod sift;
pub(crate) mod train;
pub(crate) mod verify;
