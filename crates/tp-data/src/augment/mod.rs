//! A photograph seen another way, with its annotation: so that few photographs teach more.

mod mirror;
mod mirrored_text;
mod photometric;
mod window;

pub use mirror::mirrored;
pub use mirrored_text::mirrored_text;
pub use photometric::photometric;
pub use window::{cropped, resized};
