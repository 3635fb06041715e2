//! The eyes: ConvNeXt, deformable pixel decoder, masked query decoder, and the projection into the language model.
//!
//! Source: OMG-Seg and OMG-LLaVA (arXiv 2406.19389), the base model of Talking Points. Feature maps are channels-last,
//! `[batch, height, width, channels]`.
#![forbid(unsafe_code)]

mod config;
mod convnext;
mod convolution;
mod dense_heads;
mod error;
mod model;
mod norm;
mod pixel_decoder;
mod position_encoding;
mod preprocess;
mod projector;
mod query_decoder;
mod resize;

pub use config::VisionConfig;
pub use convnext::ConvNext;
pub use dense_heads::{DenseHeads, DenseHeadsConfig, DenseLoss, DenseTargets};
pub use error::VisionError;
pub use model::{EncodedImage, Eyes, VisionEncoder, VisionFeatures};
pub use pixel_decoder::PixelDecoder;
pub use position_encoding::{sine_code_of_box, sine_code_of_grid};
pub use preprocess::normalise_batch;
pub use projector::{VisualProjector, VisualTokens};
pub use query_decoder::{PromptMask, QueryDecoder, QueryOutput};
