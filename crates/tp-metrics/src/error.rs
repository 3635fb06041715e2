//! Everything that makes a number meaningless before it is computed.

use crate::{Interval, MetricId, Normaliser};

/// Why rows cannot be scored, merged or compared.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages name the fields")]
#[non_exhaustive]
pub enum MetricsError {
    /// A threshold at which nothing can be counted.
    #[error(
        "threshold {value} cannot be used: it must lie from 1e-6 to 1e6, have at most 15 significant digits, and stand once"
    )]
    Threshold { value: f64 },
    /// No thresholds, or too many.
    #[error("{n} thresholds cannot be used: give from 1 to {max}")]
    ThresholdCount { n: usize, max: usize },
    /// A range of thresholds with no area.
    #[error(
        "the area under PCK cannot end at threshold {value}: it must lie from 1e-6 to 1e6 and have at most 15 significant digits"
    )]
    AucLimit { value: f64 },
    /// Settings with which no interval can be had.
    #[error(
        "a bootstrap of {resamples} resamples at level {level} cannot be used: give from 1 to {max} resamples and a level between 0 and 1 of at most 15 digits"
    )]
    Bootstrap { resamples: u32, level: f64, max: u32 },
    /// A row that lacks the length by which its error is divided.
    #[error("point {point} has no {normaliser} length: give it, or choose another normaliser")]
    MissingLength { point: String, normaliser: Normaliser },
    /// A length by which nothing can be divided.
    #[error(
        "point {point} has a {normaliser} length of {length} pixels: it must be a finite number above 0"
    )]
    BadLength { point: String, normaliser: Normaliser, length: f64 },
    /// Two rows of one name.
    #[error("point {point} stands twice: every row of a system needs a point id of its own")]
    DuplicatePoint { point: String },
    /// Two systems that did not answer the same points.
    #[error(
        "the two systems did not answer the same points: {only_a} stand only in the first, {only_b} only in the second, e.g. {example}"
    )]
    PointsDiffer { only_a: usize, only_b: usize, example: String },
    /// One point id that means two things.
    #[error("point {point} is not the same question in both systems: its {what} differs")]
    QuestionDiffers { point: String, what: &'static str },
    /// Numbers that measure different things.
    #[error("{left} and {right} are different measures: only equal ones can be merged or compared")]
    Unlike { left: MetricId, right: MetricId },
    /// Numbers of different data.
    #[error(
        "the reports are of different sets, {left:?} and {right:?}: only reports of one set can be merged or compared"
    )]
    DifferentSets { left: String, right: String },
    /// A report whose identities are not those of its protocol.
    #[error(
        "the report calls itself {found} where its protocol makes {expected}: it was edited, or written by another version"
    )]
    Identity { found: String, expected: String },
    /// Two rows of one name in a report.
    #[error("row {name:?} stands twice in the report: give every system a name of its own")]
    RepeatedRow { name: String },
    /// A name that no row has.
    #[error("the report has no row {name:?}")]
    NoSuchRow { name: String },
    /// A label whose name would make an identity ambiguous.
    #[error(
        "label {label:?} cannot stand in a metric's identity: use letters, digits, '_', '-' and '.'"
    )]
    Label { label: String },
    /// Shuffled texts that score better than the image alone allows.
    #[error(
        "leak: row {shuffled:?} has mPCK {mpck:.2}, above {image_only:?} with its interval {interval}: texts of other points must not help"
    )]
    Leak { shuffled: String, image_only: String, mpck: f64, interval: Interval },
    /// A line that is no row.
    #[error("line {line} is no point row: {problem}")]
    Line { line: usize, problem: String },
    /// JSON that is no report.
    #[error("this is no evaluation report: {problem}")]
    Report { problem: String },
}
