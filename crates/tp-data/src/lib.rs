//! Images and annotations in, points and their descriptions out: guarded decoding, readers, procedural scenes, position
//! words and the rule describer.
//!
//! Every source, real or procedural, gives the same record: [`AnnotatedImage`].
#![forbid(unsafe_code)]

mod annotation;
mod error;
mod mask;

pub use annotation::{AnnotatedImage, BoxXywh, Keypoint, Licence, ObjectAnnotation, PartAnnotation, Split, Visibility};
pub use error::DataError;
pub use mask::Mask;
