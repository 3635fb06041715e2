//! A photograph seen another way, with its annotation: so that few photographs teach more.

mod mirror;
mod photometric;
mod window;

pub use mirror::mirrored;
pub use photometric::photometric;
pub use window::{cropped, resized};
