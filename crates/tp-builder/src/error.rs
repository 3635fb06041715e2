//! Errors of building a data set.

use std::path::PathBuf;

use tp_data::DataError;

use crate::TeacherError;

/// Why a data set could not be built.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages name the fields")]
#[non_exhaustive]
pub enum BuildError {
    /// An invalid image or annotation.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A file of the build cannot be read.
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    /// A file cannot be written.
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: std::io::Error },
    /// A file does not contain the expected JSON; the problem states line and column.
    #[error("{}: {problem}", path.display())]
    Json { path: PathBuf, problem: String },
    /// An invalid configuration file.
    #[error("{}: {problem}", path.display())]
    Config { path: PathBuf, problem: String },
    /// Invalid settings of a configuration.
    #[error("recipe: {problem}")]
    BuildConfig { problem: String },
    /// No triplet can be made from the images and annotations.
    #[error("no point can be described, so there is no data set to write: {why}")]
    NoTriplet { why: String },
    /// The folder already contains a build.
    #[error("{} already contains a build; resume it (--resume), or use another folder", folder.display())]
    Begun { folder: PathBuf },
    /// Another process is building in the folder.
    #[error("another process is building in {}; wait for it to finish, or use another folder", folder.display())]
    InUse { folder: PathBuf },
    /// An invalid shard.
    #[error("`{text}` is not a shard; write i/n with i from 1 to n and n up to 9999, as in 3/16")]
    Shard { text: String },
    /// A journal line that was written by another version, or that changed while it was open.
    #[error("{}: the line at byte {start} has another format, or changed after the journal was opened; build in another folder", path.display())]
    Journal { path: PathBuf, start: u64 },
    /// A teacher that cannot be used.
    #[error("the teacher cannot be asked")]
    Teacher { source: TeacherError },
    /// Teachers that are unreachable.
    #[error(
        "the teachers failed {failures} times in a row; run again when they are available; all answers are kept"
    )]
    TeachersDown { failures: usize, source: TeacherError },
    /// A missing part of the build.
    #[error("not complete: {what}")]
    Incomplete { what: String },
    /// An image has changed since it was surveyed.
    #[error("{} has changed since its points were chosen; run again", path.display())]
    Changed { path: PathBuf },
    /// An invalid bucket address. It is not repeated in the message, because it may contain a key.
    #[error(
        "invalid bucket address; write s3://name/prefix, where the name has letters, digits, dots, hyphens and underscores, or file:///absolute/path"
    )]
    BucketAddress,
    /// A bucket, or an object in it, that cannot be used.
    #[error("{url}: {problem}")]
    Bucket { url: String, problem: String },
    /// Another process holds the lease on a part of the build.
    #[error(
        "{what} is held by another process in {url}; wait for it to finish, or, if it was killed, {for_secs} s until its lease expires"
    )]
    Held { url: String, what: String, for_secs: u64 },
    /// Another process has acquired the lease on a part of the build.
    #[error(
        "another process took over {what} in {url}; nothing is lost, but only one of them may run"
    )]
    TakenOver { url: String, what: String },
    /// A Parquet file that cannot be read or written.
    #[error("{}: {problem}", path.display())]
    Parquet { path: PathBuf, problem: String },
    /// The Localizer returned an error.
    #[error("the localizer failed at {image}: {problem}")]
    Localizer { image: String, problem: String },
}
