//! Errors of reading data.

use std::path::PathBuf;

use tp_core::{IS_LFS_POINTER, ImageHw};

use crate::{DatasetFormat, Entry, ImageProblem, LexiconProblem, Refusal};

/// Why an image, an annotation or a description cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages name the fields")]
#[non_exhaustive]
pub enum DataError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    /// A file cannot be written.
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: std::io::Error },
    /// A file is not a usable image.
    #[error("{name}: {problem}")]
    Image { name: String, problem: ImageProblem },
    /// A Git LFS pointer instead of the file.
    #[error("{} {IS_LFS_POINTER}", path.display())]
    LfsPointer { path: PathBuf },
    /// A text file exceeds the size limit.
    #[error("{}: longer than the accepted maximum of {max} bytes", path.display())]
    FileTooLong { path: PathBuf, max: u64 },
    /// A file does not contain the expected JSON; the problem states line and column.
    #[error("{}: {problem}", path.display())]
    Json { path: PathBuf, problem: String },
    /// A line is not the expected record.
    #[error("{}, line {line}: {problem}; every line must be one record of this format in JSON", path.display())]
    JsonLine { path: PathBuf, line: u64, problem: String },
    /// An invalid entry of an annotation file.
    #[error("{}: {entry} {id}: {refusal}", path.display())]
    Annotation { path: PathBuf, entry: Entry, id: u64, refusal: Refusal },
    /// A file of a data set is invalid, or its image or annotation is missing.
    #[error("{}: {refusal}", path.display())]
    AnnotationFile { path: PathBuf, refusal: Refusal },
    /// The name of a file is not valid UTF-8, so no record can contain it.
    #[error("{}: its name is not UTF-8, so no record can contain it; rename it", path.display())]
    FileName { path: PathBuf },
    /// A folder does not have the layout of its format.
    #[error("{}: not a {format} data set: expected {expected}", root.display())]
    Layout { root: PathBuf, format: DatasetFormat, expected: &'static str },
    /// An unknown format.
    #[error("unknown format `{name}`; accepted are {}", DatasetFormat::NAMES.join(", "))]
    UnknownFormat { name: String },
    /// The data set has no object of the family.
    #[error(
        "{dataset} shows no object of the family `{family}` in the required splits; categories and families are listed by `talking-points data inspect`"
    )]
    NoFamily { dataset: String, family: String },
    /// A line is not a valid triplet.
    #[error("{}, line {line}: {problem}; every line must be one triplet in JSON", path.display())]
    TripletLine { path: PathBuf, line: usize, problem: String },
    /// A file without triplets.
    #[error("{} contains no triplets: one JSON line per triplet is expected", path.display())]
    NoTriplets { path: PathBuf },
    /// Invalid split fractions.
    #[error(
        "the shares train {train}, val {val}, test {test} are invalid: each must be in [0, 1] and their sum 1"
    )]
    SplitFractions { train: f64, val: f64, test: f64 },
    /// Invalid options of the SIFT detector.
    #[error("sift options: {problem}")]
    SiftOptions { problem: String },
    /// The image is too large for the SIFT scale space.
    #[error("an image of {} by {} pixels is too large for sift, at most {max} pixels in all are accepted; scale it down", size.width(), size.height())]
    TooManyPixels { size: ImageHw, max: usize },
    /// A file that does not have the format of a lexicon.
    #[error("{}: {problem}; a lexicon has the arrays `object` and `part`", path.display())]
    LexiconFile { path: PathBuf, problem: String },
    /// An invalid entry of a lexicon.
    #[error("{}, entry `{entry}`: {problem}", path.display())]
    LexiconEntry { path: PathBuf, entry: String, problem: LexiconProblem },
}
