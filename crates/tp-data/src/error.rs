//! Everything that can go wrong between a file and a triplet.

use std::path::PathBuf;

use tp_core::{IS_LFS_POINTER, ImageHw};

use crate::{DatasetFormat, Entry, ImageProblem, LexiconProblem, Refusal};

/// Why an image, an annotation or a description could not be had.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages name the fields")]
#[non_exhaustive]
pub enum DataError {
    /// A file that is missing or cannot be read.
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    /// A file that cannot be written.
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: std::io::Error },
    /// A file that is not a usable image.
    #[error("{name}: {problem}")]
    Image { name: String, problem: ImageProblem },
    /// What Git leaves where large files were not fetched.
    #[error("{} {IS_LFS_POINTER}", path.display())]
    LfsPointer { path: PathBuf },
    /// A text file that is too long to be read into memory.
    #[error("{}: longer than the {max} bytes that are accepted", path.display())]
    FileTooLong { path: PathBuf, max: u64 },
    /// A file that is not the JSON that was expected; the problem names line and column.
    #[error("{}: {problem}", path.display())]
    Json { path: PathBuf, problem: String },
    /// A line that is not the record that was expected.
    #[error("{}, line {line}: {problem}; every line must be one record of this format in JSON", path.display())]
    JsonLine { path: PathBuf, line: u64, problem: String },
    /// A bad entry of an annotation file.
    #[error("{}: {entry} {id}: {refusal}", path.display())]
    Annotation { path: PathBuf, entry: Entry, id: u64, refusal: Refusal },
    /// A file of a data set that cannot be used, or that lacks its other half.
    #[error("{}: {refusal}", path.display())]
    AnnotationFile { path: PathBuf, refusal: Refusal },
    /// A file of a data set whose name no record could hold.
    #[error("{}: its name is not UTF-8, and no record could name it; rename it", path.display())]
    FileName { path: PathBuf },
    /// A folder that is not laid out as its format is.
    #[error("{}: no {format} data set: expected {expected}", root.display())]
    Layout { root: PathBuf, format: DatasetFormat, expected: &'static str },
    /// A name of no format.
    #[error("unknown format `{name}`; accepted are {}", DatasetFormat::NAMES.join(", "))]
    UnknownFormat { name: String },
    /// A family that no object of a data set is of.
    #[error(
        "{dataset} shows no object of the family `{family}` on the sides of its split that are needed; categories and families are listed by `talking-points data inspect`"
    )]
    NoFamily { dataset: String, family: String },
    /// A line that is no triplet.
    #[error("{}, line {line}: {problem}; every line must be one triplet in JSON", path.display())]
    TripletLine { path: PathBuf, line: usize, problem: String },
    /// A file in which every line is blank, or there is none.
    #[error("{} holds no triplets: one JSON line a triplet is expected", path.display())]
    NoTriplets { path: PathBuf },
    /// Shares that are no split.
    #[error(
        "the shares train {train}, val {val}, test {test} are no split: each must be in [0, 1] and their sum 1"
    )]
    SplitFractions { train: f64, val: f64, test: f64 },
    /// Options that describe no keypoint detector.
    #[error("sift options: {problem}")]
    SiftOptions { problem: String },
    /// An image whose scale space would take too much memory.
    #[error("an image of {} by {} pixels is too large for sift, at most {max} pixels in all are accepted; scale it down", size.width(), size.height())]
    TooManyPixels { size: ImageHw, max: usize },
    /// A file of nouns that is not in the form of a lexicon.
    #[error("{}: {problem}; a lexicon holds arrays `object` and `part`", path.display())]
    LexiconFile { path: PathBuf, problem: String },
    /// A bad entry of a lexicon.
    #[error("{}, entry `{entry}`: {problem}", path.display())]
    LexiconEntry { path: PathBuf, entry: String, problem: LexiconProblem },
}
