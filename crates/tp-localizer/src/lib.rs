#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod absence;
mod closer_look;
mod confidence;
mod conversation;
mod error;
mod heatmap;
mod heatmap_head;
mod logistic_regression;
mod loss;
mod model;
mod regression_head;
mod text_projector;

pub use absence::{AbsenceWeights, Evidence, fitted_absence};
pub use confidence::{calibrated, fitted_confidence};
pub use conversation::LocalizeConversation;
pub use error::LocalizerError;
pub use heatmap::{Decoding, Heatmap};
pub use heatmap_head::{HeatmapHead, HeatmapHeadConfig};
pub use loss::{heatmap_loss, point_loss};
pub use model::{LocalizerConfig, LocalizerHead, LocalizerNet, PointLocalizer, seg_queries};
pub use regression_head::{RegressionHead, RegressionHeadConfig, regression_head_keys};
pub use text_projector::{TextProjector, TextProjectorConfig, text_projector_keys};
