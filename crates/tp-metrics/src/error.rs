//! Errors of scoring, merging and comparing.

use crate::{Interval, MetricId, Normaliser};

/// Why rows cannot be scored, merged or compared.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages name the fields")]
#[non_exhaustive]
pub enum MetricsError {
    /// A threshold outside the accepted range.
    #[error(
        "threshold {value} cannot be used: it must lie from 1e-6 to 1e6, have at most 15 significant digits, and occur once"
    )]
    Threshold { value: f64 },
    /// No thresholds, or too many.
    #[error("{n} thresholds cannot be used: give from 1 to {max}")]
    ThresholdCount { n: usize, max: usize },
    /// An invalid limit for the area under the PCK curve.
    #[error(
        "the area under PCK cannot end at threshold {value}: it must lie from 1e-6 to 1e6 and have at most 15 significant digits"
    )]
    AucLimit { value: f64 },
    /// Invalid bootstrap settings.
    #[error(
        "a bootstrap of {resamples} resamples at level {level} cannot be used: give from 1 to {max} resamples and a level between 0 and 1 of at most 15 digits"
    )]
    Bootstrap { resamples: u32, level: f64, max: u32 },
    /// A row lacks the length by which its error is divided.
    #[error("point {point} has no {normaliser} length: provide it, or choose another normaliser")]
    MissingLength { point: String, normaliser: Normaliser },
    /// A length that is not a positive finite number.
    #[error(
        "point {point} has a {normaliser} length of {length} pixels: it must be a finite number above 0"
    )]
    BadLength { point: String, normaliser: Normaliser, length: f64 },
    /// Two rows with the same point id.
    #[error("point {point} occurs twice: every row of a system needs a unique point id")]
    DuplicatePoint { point: String },
    /// Two systems that answered different points.
    #[error(
        "the two systems did not answer the same points: {only_a} are only in the first, {only_b} only in the second, e.g. {example}"
    )]
    PointsDiffer { only_a: usize, only_b: usize, example: String },
    /// The same point id with different ground truth.
    #[error("point {point} is not the same in both systems: its {what} differs")]
    QuestionDiffers { point: String, what: &'static str },
    /// Two systems without a point that counts.
    #[error(
        "none of the points is of a kind that the protocol counts, so there is nothing to compare"
    )]
    NothingToCompare,
    /// Metrics of different definitions.
    #[error("{left} and {right} are different metrics: only equal ones can be merged or compared")]
    Unlike { left: MetricId, right: MetricId },
    /// Reports on different data sets.
    #[error(
        "the reports are of different sets, {left:?} and {right:?}: only reports of one set can be merged or compared"
    )]
    DifferentSets { left: String, right: String },
    /// A report whose metric identities do not match its protocol.
    #[error(
        "the report has the identity {found} where its protocol implies {expected}: it was edited, or written by another version"
    )]
    Identity { found: String, expected: String },
    /// Two rows of a report with the same name.
    #[error("row {name:?} occurs twice in the report: every system needs a unique name")]
    RepeatedRow { name: String },
    /// An unknown row name.
    #[error("the report has no row {name:?}")]
    NoSuchRow { name: String },
    /// A label name that would make a metric identity ambiguous.
    #[error(
        "label {label:?} cannot be part of a metric identity: use letters, digits, '_', '-' and '.'"
    )]
    Label { label: String },
    /// Shuffled texts score better than the image alone allows.
    #[error(
        "leak: row {shuffled:?} has mPCK {mpck:.2}, above {image_only:?} with its interval {interval}: texts of other points must not help"
    )]
    Leak { shuffled: String, image_only: String, mpck: f64, interval: Interval },
    /// A malformed line of a point log.
    #[error("line {line} is not a point row: {problem}")]
    Line { line: usize, problem: String },
    /// JSON that is not a report.
    #[error("this is not an evaluation report: {problem}")]
    Report { problem: String },
}
