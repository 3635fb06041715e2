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
    /// A file that is no image that can be used.
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
        "{dataset} shows no object of the family `{family}` on the sides of its split that are needed; categories and families are listed by inspect_dataset"
    )]
    NoFamily { dataset: String, family: String },
    /// A line that is no triplet.
    #[error("{}, line {line}: {problem}; every line must be one triplet in JSON", path.display())]
    TripletLine { path: PathBuf, line: usize, problem: String },
    /// A file in which every line is blank, or there is none.
    #[error("{} holds no triplets: one JSON line a triplet is expected", path.display())]
    NoTriplets { path: PathBuf },
    /// Shares that are no split.
    #[error("the shares train {train}, val {val}, test {test} are no split: each must be in [0, 1] and their sum 1")]
    SplitFractions { train: f64, val: f64, test: f64 },
    /// Options under which no scene can be drawn.
    #[error("scene options: {problem}")]
    SceneOptions { problem: String },
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
    /// A configuration that cannot be understood.
    #[cfg(feature = "builder")]
    #[error("{}: {problem}", path.display())]
    Config { path: PathBuf, problem: String },
    /// A recipe that makes no data set.
    #[cfg(feature = "builder")]
    #[error("recipe: {problem}")]
    Recipe { problem: String },
    /// Images and annotations of which no triplet can be made.
    #[cfg(feature = "builder")]
    #[error("no point can be described, so there is no data set to write: {why}")]
    NoTriplet { why: String },
    /// A folder that holds a build already.
    #[cfg(feature = "builder")]
    #[error("{} holds a build already; resume it (--resume), or take another folder", folder.display())]
    Begun { folder: PathBuf },
    /// A folder in which another process is at work.
    #[cfg(feature = "builder")]
    #[error("another process is building in {}; wait for its end, or take another folder", folder.display())]
    InUse { folder: PathBuf },
    /// What is no part of a job.
    #[cfg(feature = "builder")]
    #[error("`{text}` is no shard; write i/n with i from 1 to n and n up to 9999, as in 3/16")]
    Shard { text: String },
    /// A line of a journal that another version wrote, or that changed while it was open.
    #[cfg(feature = "builder")]
    #[error("{}: the line at byte {start} is not what it was when the journal was opened; build in another folder", path.display())]
    Journal { path: PathBuf, start: u64 },
    /// A teacher that cannot be asked at all.
    #[cfg(feature = "builder")]
    #[error("the teacher cannot be asked")]
    Teacher { source: crate::TeacherError },
    /// Teachers that have gone away.
    #[cfg(feature = "builder")]
    #[error("the teachers failed {failures} times in a row; run again when they are there, what was answered is kept")]
    TeachersDown { failures: usize, source: crate::TeacherError },
    /// A part of a job that is missing when the parts are put together.
    #[cfg(feature = "builder")]
    #[error("not complete: {what}")]
    Incomplete { what: String },
    /// An image that is not the one that was surveyed.
    #[cfg(feature = "builder")]
    #[error("{} has changed since its points were chosen; run again", path.display())]
    Changed { path: PathBuf },
    /// What names no bucket. It is not repeated: somebody may have put a key into it.
    #[cfg(feature = "bucket")]
    #[error(
        "no bucket; write s3://name/prefix, where the name has letters, digits, dots, hyphens and underscores, or file:///absolute/path"
    )]
    BucketAddress,
    /// A bucket that cannot be used, or an object in it.
    #[cfg(feature = "bucket")]
    #[error("{url}: {problem}")]
    Bucket { url: String, problem: String },
    /// A part of a build in a bucket at which another process is at work.
    #[cfg(feature = "bucket")]
    #[error(
        "{what} is held by another process in {url}; wait for its end, or, if it was killed, {for_secs} s, after which its hold runs out"
    )]
    Held { url: String, what: String, for_secs: u64 },
    /// A part of a build that another process took over.
    #[cfg(feature = "bucket")]
    #[error("another process took over {what} in {url}; nothing is lost, let only one of them run")]
    TakenOver { url: String, what: String },
    /// A Parquet file that cannot be read or written.
    #[cfg(feature = "builder")]
    #[error("{}: {problem}", path.display())]
    Parquet { path: PathBuf, problem: String },
    /// A Localizer that fails.
    #[cfg(feature = "builder")]
    #[error("the localizer failed at {image}: {problem}")]
    Localizer { image: String, problem: String },
}
