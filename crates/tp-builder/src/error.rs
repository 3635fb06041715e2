//! Everything that can go wrong between images with annotations and a data set of triplets.

use std::path::PathBuf;

use tp_data::DataError;

use crate::TeacherError;

/// Why a data set could not be made.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages name the fields")]
#[non_exhaustive]
pub enum BuildError {
    /// An image or an annotation that cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A file of the build that is missing or cannot be read.
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    /// A file that cannot be written.
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: std::io::Error },
    /// A file that is not the JSON that was expected; the problem names line and column.
    #[error("{}: {problem}", path.display())]
    Json { path: PathBuf, problem: String },
    /// A configuration that cannot be understood.
    #[error("{}: {problem}", path.display())]
    Config { path: PathBuf, problem: String },
    /// A recipe that makes no data set.
    #[error("recipe: {problem}")]
    BuildConfig { problem: String },
    /// Images and annotations of which no triplet can be made.
    #[error("no point can be described, so there is no data set to write: {why}")]
    NoTriplet { why: String },
    /// A folder that holds a build already.
    #[error("{} holds a build already; resume it (--resume), or take another folder", folder.display())]
    Begun { folder: PathBuf },
    /// A folder in which another process is at work.
    #[error("another process is building in {}; wait for its end, or take another folder", folder.display())]
    InUse { folder: PathBuf },
    /// What is no part of a job.
    #[error("`{text}` is no shard; write i/n with i from 1 to n and n up to 9999, as in 3/16")]
    Shard { text: String },
    /// A line of a journal that another version wrote, or that changed while it was open.
    #[error("{}: the line at byte {start} is not what it was when the journal was opened; build in another folder", path.display())]
    Journal { path: PathBuf, start: u64 },
    /// A teacher that cannot be asked at all.
    #[error("the teacher cannot be asked")]
    Teacher { source: TeacherError },
    /// Teachers that have gone away.
    #[error(
        "the teachers failed {failures} times in a row; run again when they are there, what was answered is kept"
    )]
    TeachersDown { failures: usize, source: TeacherError },
    /// A part of a job that is missing when the parts are put together.
    #[error("not complete: {what}")]
    Incomplete { what: String },
    /// An image that is not the one that was surveyed.
    #[error("{} has changed since its points were chosen; run again", path.display())]
    Changed { path: PathBuf },
    /// What names no bucket. It is not repeated: somebody may have put a key into it.
    #[error(
        "no bucket; write s3://name/prefix, where the name has letters, digits, dots, hyphens and underscores, or file:///absolute/path"
    )]
    BucketAddress,
    /// A bucket that cannot be used, or an object in it.
    #[error("{url}: {problem}")]
    Bucket { url: String, problem: String },
    /// A part of a build in a bucket at which another process is at work.
    #[error(
        "{what} is held by another process in {url}; wait for its end, or, if it was killed, {for_secs} s, after which its hold runs out"
    )]
    Held { url: String, what: String, for_secs: u64 },
    /// A part of a build that another process took over.
    #[error("another process took over {what} in {url}; nothing is lost, let only one of them run")]
    TakenOver { url: String, what: String },
    /// A Parquet file that cannot be read or written.
    #[error("{}: {problem}", path.display())]
    Parquet { path: PathBuf, problem: String },
    /// A Localizer that fails.
    #[error("the localizer failed at {image}: {problem}")]
    Localizer { image: String, problem: String },
}
