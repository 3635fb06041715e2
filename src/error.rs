//! One error for programs that use the whole crate.

use tp_core::PointError;
use tp_data::{DataError, Rejected, RleProblem};
use tp_descriptor::DescriptorError;
use tp_language::LanguageError;
use tp_localizer::LocalizerError;
use tp_metrics::MetricsError;
use tp_rl::RlError;
use tp_scenes::SceneError;
use tp_train::TrainError;
use tp_vision::VisionError;
use tp_weights::WeightsError;

use crate::{
    ConversionError, DeviceError, JoinError, ModelError,
    evaluation::EvaluationError,
    recipe::{ExperimentError, RecipeError},
    reinforcement::ReinforcementError,
};

/// Any error of this crate and of the crates that it re-exports.
///
/// Every public error converts into it with `?`, so that a function that combines several of them
/// returns `Result<_, talking_points::Error>`. Message and cause are those of the error within.
///
/// ```
/// use talking_points::prelude::*;
///
/// fn describe(image: &str, at: &str) -> Result<String, Error> {
///     let image = decode_image(image.as_ref(), &DecodeOptions::default())?;
///     let point = image.size().unit_from_pixel(at.parse()?)?;
///     let models = ModelDir::open("models/tiny")?.load(&DeviceName::Flex.open()?)?;
///     let encoded = models.encode(&image)?;
///     Ok(models.describe(&encoded, &[point], &DescribeOptions::default())?.remove(0).text)
/// }
///
/// assert!(matches!(describe("missing.png", "1,2"), Err(Error::Data(_))));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A point outside its image, or an image of no size.
    #[error(transparent)]
    Point(#[from] PointError),
    /// An image, an annotation or another file of a data set.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A mask of run lengths.
    #[error(transparent)]
    Mask(#[from] RleProblem),
    /// A point that the rules do not describe.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// A procedural scene.
    #[error(transparent)]
    Scenes(#[from] SceneError),
    /// A score or an interval.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// A weight file.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The vision model.
    #[error(transparent)]
    Vision(#[from] VisionError),
    /// A language model, a tokenizer or an adapter.
    #[error(transparent)]
    Language(#[from] LanguageError),
    /// The Point Descriptor.
    #[error(transparent)]
    Descriptor(#[from] DescriptorError),
    /// The Point Localizer.
    #[error(transparent)]
    Localizer(#[from] LocalizerError),
    /// A training run.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// A reinforcement run.
    #[error(transparent)]
    Rl(#[from] RlError),
    /// A data set that is built.
    #[cfg(feature = "builder")]
    #[error(transparent)]
    Build(#[from] tp_builder::BuildError),
    /// A teacher of a data set that is built.
    #[cfg(feature = "builder")]
    #[error(transparent)]
    Teacher(#[from] tp_builder::TeacherError),
    /// A device.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A model folder.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A conversion of published weights.
    #[error(transparent)]
    Conversion(#[from] ConversionError),
    /// An evaluation.
    #[error(transparent)]
    Evaluation(#[from] EvaluationError),
    /// A vision model and a language model that cannot be joined.
    #[error(transparent)]
    Join(#[from] JoinError),
    /// A training recipe, or the data it names.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// The training of a whole model.
    #[error(transparent)]
    Experiment(#[from] ExperimentError),
    /// A reinforcement experiment.
    #[error(transparent)]
    Reinforcement(#[from] ReinforcementError),
}
