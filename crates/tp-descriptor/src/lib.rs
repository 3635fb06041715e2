//! Point Descriptor: a point on an image becomes words, through a Gaussian attention mask.
//!
//! The point asks the query decoder of the eyes for what lies around it ([`PointPrompt`]); a fixed [`GaussianMask`] keeps
//! it from reading anything else; the answer becomes one token of the conversation ([`DescribeConversation`]), beside
//! all tokens of the image; the language model writes the words ([`PointDescriptor`]).
//!
//! Source: Talking Points (arXiv 2510.14583).
#![forbid(unsafe_code)]

mod conversation;
mod error;
mod gaussian_mask;
mod model;
mod point_prompt;
mod told_names;

pub use conversation::{DescribeConversation, Request};
pub use error::DescriptorError;
pub use gaussian_mask::{GaussianMask, MaskRule};
pub use model::{DescribeTarget, DescriptorConfig, DescriptorNet, PointDescriptor, insert_point_tokens};
pub use point_prompt::{PointPrompt, PointPromptConfig, prompt_keys};
pub use told_names::{UNKNOWN_OBJECT, with_names, with_placeholders};
