#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod conversation;
mod error;
mod gaussian_mask;
mod model;
mod point_prompt;
mod told_names;
mod written_text;

pub use conversation::{DescribeConversation, Request, Wording};
pub use error::DescriptorError;
pub use gaussian_mask::{GaussianMask, MaskRule};
pub use model::{
    DescribeTarget, DescriptorConfig, DescriptorNet, PointDescriptor, insert_point_tokens,
};
pub use point_prompt::{PointPrompt, PointPromptConfig, prompt_keys};
pub use told_names::{UNKNOWN_OBJECT, with_names, with_placeholders};
