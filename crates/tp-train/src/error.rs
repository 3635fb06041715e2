//! Why a training run ended before its time.

use std::{io, path::PathBuf};

/// Why a training run ended before its time.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages name the fields")]
#[non_exhaustive]
pub enum TrainError {
    /// The loss or the gradient is not a number.
    #[error("step {step}: the {what} is {value}; samples of the step: {}", samples.join(", "))]
    NotFinite { step: u64, what: &'static str, value: f64, samples: Vec<String> },
    /// A setting that makes no sense.
    #[error("setting {name} is {value}; accepted is {accepted}")]
    Setting { name: &'static str, value: f64, accepted: &'static str },
    /// A group of parameters without parameters.
    #[error("no parameter has `{path}` in its path; paths look like {}", examples.join(", "))]
    Group { path: String, examples: Vec<String> },
    /// A file of the run cannot be read.
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// A file of the run cannot be written.
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: io::Error },
    /// Another process trains in the folder.
    #[error("another run is writing to {}; wait for it or choose another folder", folder.display())]
    InUse { folder: PathBuf },
    /// A new run would overwrite an earlier one.
    #[error("{} holds an earlier run; resume it, delete it or choose another folder", folder.display())]
    Occupied { folder: PathBuf },
    /// A checkpoint that is not whole.
    #[error("checkpoint {} cannot be used: {reason}; delete it to resume from the one before", path.display())]
    Checkpoint { path: PathBuf, reason: String },
    /// A checkpoint of another run.
    #[error("checkpoint {} belongs to a run with other settings ({difference}); choose another folder", path.display())]
    OtherRun { path: PathBuf, difference: String },
    /// The plot cannot be drawn.
    #[error("cannot draw {}: {reason}", path.display())]
    Plot { path: PathBuf, reason: String },
    /// Ctrl-C cannot be caught.
    #[error("cannot listen to Ctrl-C")]
    Interrupt { source: ctrlc::Error },
}
