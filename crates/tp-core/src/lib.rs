#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod atomic_file;
mod file_lock;
mod grounding;
mod html;
mod image;
mod letterbox;
mod lfs_pointer;
mod local_colour;
mod memory;
mod point;
mod sampling;
mod seed;
mod triplet;

pub use atomic_file::write_atomically;
pub use file_lock::{FileLock, LockMode};
pub use grounding::{
    DescribeOptions, DescribePoint, Description, LocalizePoint, Located, PointName,
};
pub use html::escaped_html;
pub use image::{ImageHw, RgbImage};
pub use letterbox::{Fit, Letterbox};
pub use lfs_pointer::{IS_LFS_POINTER, is_lfs_pointer};
pub use local_colour::{COLOURS, colour_word, local_colour, neighbourhood};
pub use memory::{available_memory, peak_memory};
pub use point::{ModelXy, PixelXy, PointError, UnitXy};
pub use sampling::Sampling;
pub use seed::Seed;
pub use triplet::{Cell, Extent, ObjectSize, PointRecord, Style, Third, Triplet};
