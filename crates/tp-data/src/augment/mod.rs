//! Data augmentation of photographs together with their annotations.

mod described_in_window;
mod image_places;
mod mirror;
mod mirrored_text;
mod other_side;
mod photometric;
mod window;

pub(crate) use other_side::name_of_other_side;

pub use mirror::mirrored;
pub use mirrored_text::mirrored_text;
pub use photometric::photometric;
pub use window::{cropped, resized};
