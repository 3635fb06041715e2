//! Annotation files in, [`AnnotatedImage`](crate::AnnotatedImage) records out: one file per format.

mod coco_json;
mod coco_parts;
mod refusal;

pub use coco_parts::CocoParts;
pub use refusal::{Entry, Refusal, Strictness};
