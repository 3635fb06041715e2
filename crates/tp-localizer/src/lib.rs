//! Point Localizer: words become a point on an image.
//!
//! The language model reads image and text and the fixed answer "`<p> keypoint </p> [SEG]`" in one pass
//! ([`LocalizeConversation`]); the hidden state of `[SEG]` is projected to the eyes' width ([`TextProjector`]) and becomes
//! a point: through two numbers, as in the paper ([`RegressionHead`]), or by comparison with every cell of the finest
//! features ([`HeatmapHead`], the default), which also tells how sure it is and may say "nowhere".
//!
//! Source: Talking Points (arXiv 2510.14583).
#![forbid(unsafe_code)]

mod closer_look;
mod conversation;
mod error;
mod heatmap;
mod heatmap_head;
mod loss;
mod model;
mod regression_head;
mod text_projector;

pub use conversation::LocalizeConversation;
pub use error::LocalizerError;
pub use heatmap::{Decoding, Heatmap};
pub use heatmap_head::{HeatmapHead, HeatmapHeadConfig};
pub use loss::{heatmap_loss, point_loss};
pub use model::{LocalizerConfig, LocalizerHead, LocalizerNet, PointLocalizer};
pub use regression_head::{RegressionHead, RegressionHeadConfig, regression_head_keys};
pub use text_projector::{TextProjector, TextProjectorConfig, text_projector_keys};
