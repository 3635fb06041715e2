#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod assignment;
mod attention;
mod backbone;
mod close_up;
mod config;
mod convnext;
mod convolution;
mod deformable_encoder;
mod dense_heads;
mod derived;
mod efficientnet_lite;
mod error;
mod found_objects;
mod mention_maps;
mod model;
mod namer;
mod norm;
mod nouns;
mod perception_prior;
mod pixel_decoder;
mod point_namer;
mod position_encoding;
mod prediction_head;
mod preprocess;
mod projector;
mod query_decoder;
mod query_loss;
mod resize;
mod weights;

pub use backbone::{Backbone, BackboneConfig};
pub use close_up::Section;
pub use config::{ParameterCounts, VisionConfig};
pub use convnext::ConvNext;
pub use dense_heads::{
    DenseHeads, DenseHeadsConfig, DenseLoss, DenseOutput, DenseTargets, dense_loss,
};
pub use derived::DerivedKey;
pub use efficientnet_lite::{
    Classifier, ClassifierConfig, EfficientNetLite, EfficientNetLiteConfig,
};
pub use error::VisionError;
pub use found_objects::FoundObject;
pub use mention_maps::{CellNames, MENTION_CHANNELS};
pub use model::{EncodedImage, VisionEncoder, VisionFeatures, VisionModel};
pub use namer::{NameProbabilities, Namer};
pub use nouns::{Mentions, NamedNoun, NounTable, Nouns};
pub use perception_prior::PerceptionPrior;
pub use pixel_decoder::PixelDecoder;
pub use point_namer::{NameLoss, NameTargets, PointNamer, PointNamerConfig, PointNames};
pub use position_encoding::{sine_code_of_box, sine_code_of_grid};
pub use prediction_head::QueryPrediction;
pub use preprocess::normalise_batch;
pub use projector::{VisualProjector, VisualTokens};
pub use query_decoder::{AttendedMemories, AuxPredictions, PromptMask, QueryDecoder, QueryOutput};
pub use query_loss::{QueryTarget, QueryTargets, query_loss};
pub use weights::{
    efficientnet_lite_keys, encoder_keys, folded_efficientnet_lite, open_clip_keys, projector_keys,
};
