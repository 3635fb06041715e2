//! Errors of evaluation.

use std::path::PathBuf;

use tp_core::PointError;
use tp_data::DataError;
use tp_descriptor::DescriptorError;
use tp_localizer::LocalizerError;
use tp_metrics::MetricsError;
use tp_train::TrainError;
use tp_vision::VisionError;

use super::RowName;

/// Why an evaluation failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluationError {
    /// A point lies outside its image.
    #[error(transparent)]
    Point(#[from] PointError),
    /// An image could not be encoded.
    #[error(transparent)]
    Vision(#[from] VisionError),
    /// A point could not be described.
    #[error(transparent)]
    Descriptor(#[from] DescriptorError),
    /// A text could not be localized.
    #[error(transparent)]
    Localizer(#[from] LocalizerError),
    /// The answers cannot be scored.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// A file of texts cannot be read, or a picture of the page cannot be written.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The baseline without the image cannot be fitted, or a plot of the page cannot be drawn.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// There is nothing to evaluate.
    #[error("{set} contains no points, so there is nothing to evaluate")]
    NoPoints {
        /// The name of the set.
        set: String,
    },
    /// No row has this name.
    #[error("no row is named `{name}`: there are {}", RowName::ALL.map(RowName::as_str).join(", "))]
    UnknownRow {
        /// The name.
        name: String,
    },
    /// A row needs more images than there are.
    #[error("the row {row} needs texts or pixels of another image, and {set} contains one image")]
    OneImage {
        /// The row.
        row: RowName,
        /// The name of the set.
        set: String,
    },
    /// The row of other texts is wanted, and none were given.
    #[error(
        "the row texts locates texts of people or of another model, and none were given for {set}: name their file with --texts"
    )]
    NoTexts {
        /// The name of the set.
        set: String,
    },
    /// A line of a file of texts does not fit the set.
    #[error("{}, line {line}: {problem}", path.display())]
    TextLine {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// A file of texts leaves points out.
    #[error(
        "{} has texts for {given} of the {n_points} points of {set}; the first without one is {missing}",
        path.display()
    )]
    MissingTexts {
        /// The file.
        path: PathBuf,
        /// The name of the set.
        set: String,
        /// The number of points with a text.
        given: usize,
        /// The number of points.
        n_points: usize,
        /// A point without a text, with its image.
        missing: String,
    },
    /// A number is no width of the Gaussian mask.
    #[error(
        "`{given}` is no width of the Gaussian mask: a share of the image's side above 0 and at most 1 is accepted"
    )]
    Sigma {
        /// The number.
        given: String,
    },
    /// The Descriptor's mask is no Gaussian.
    #[error(
        "the row {row} changes the width of the Gaussian mask, and the mask of this model has none"
    )]
    NoWidth {
        /// The row.
        row: RowName,
    },
    /// A result could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}
