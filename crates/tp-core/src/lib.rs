//! What every other room of talking-points agrees on: where a point is, how large an image is, how an image enters the
//! model's square, what a described point looks like, and the two traits between which the loop closes.
//!
//! This crate knows no tensor and no model. The only I/O it does is [`write_atomically`].
//!
//! ```
//! use tp_core::{Fit, ImageHw, Letterbox, PixelXy};
//!
//! let size = ImageHw::new(200, 400)?;
//! let point = size.unit_from_pixel(PixelXy { x: 99.5, y: 49.5 })?;
//! let letterbox = Letterbox::new(size, Fit::PadToSquare);
//! let seen = letterbox.model_from_unit(point);
//! assert_eq!((seen.x, seen.y), (0.25, 0.375));
//! # Ok::<(), tp_core::PointError>(())
//! ```
#![forbid(unsafe_code)]

mod atomic_file;
mod file_lock;
mod grounding;
mod image;
mod letterbox;
mod lfs_pointer;
mod local_colour;
mod point;
mod sampling;
mod seed;
mod triplet;

pub use atomic_file::write_atomically;
pub use file_lock::{FileLock, LockMode};
pub use grounding::{DescribeOptions, DescribePoint, Description, LocalizePoint, Located, PointName};
pub use image::{ImageHw, RgbImage};
pub use letterbox::{Fit, Letterbox};
pub use lfs_pointer::{IS_LFS_POINTER, is_lfs_pointer};
pub use local_colour::{COLOURS, colour_word, local_colour, neighbourhood};
pub use point::{ModelXy, PixelXy, PointError, UnitXy};
pub use sampling::Sampling;
pub use seed::Seed;
pub use triplet::{Cell, Extent, ObjectSize, PointRecord, Style, Third, Triplet};
