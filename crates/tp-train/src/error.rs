//! Errors of training.

use std::{io, path::PathBuf};

/// Why a training run failed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages name the fields")]
#[non_exhaustive]
pub enum TrainError {
    /// The loss or the gradient norm is not finite.
    #[error("step {step}: the {what} is {value}; samples of the step: {}", samples.join(", "))]
    NotFinite { step: u64, what: &'static str, value: f64, samples: Vec<String> },
    /// An invalid setting.
    #[error("setting {name} is {value}; accepted is {accepted}")]
    Setting { name: &'static str, value: f64, accepted: &'static str },
    /// A parameter group that matches no parameter.
    #[error("no parameter has `{path}` in its path; paths look like {}", examples.join(", "))]
    Group { path: String, examples: Vec<String> },
    /// A file of the run cannot be read.
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// A file of the run cannot be written.
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: io::Error },
    /// Another process is training in the folder.
    #[error("another run is writing to {}; wait for it or choose another folder", folder.display())]
    InUse { folder: PathBuf },
    /// A new run would overwrite an earlier one.
    #[error("{} holds an earlier run; resume it, delete it or choose another folder", folder.display())]
    Occupied { folder: PathBuf },
    /// A damaged or incomplete checkpoint.
    #[error("checkpoint {} cannot be used: {reason}; delete it to resume from the one before", path.display())]
    Checkpoint { path: PathBuf, reason: String },
    /// A checkpoint of another run.
    #[error("checkpoint {} belongs to a run with other settings ({difference}); choose another folder", path.display())]
    OtherRun { path: PathBuf, difference: String },
    /// The plot cannot be drawn.
    #[error("cannot draw {}: {reason}", path.display())]
    Plot { path: PathBuf, reason: String },
    /// The handler for Ctrl-C cannot be installed.
    #[error("cannot install a handler for Ctrl-C")]
    Interrupt { source: ctrlc::Error },
}
