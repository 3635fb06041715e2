//! Why the server cannot run.

use std::io;

/// Why the server cannot run.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages name the fields")]
#[non_exhaustive]
pub enum ServeError {
    /// An address that is taken, not allowed or not of this machine.
    #[error(
        "cannot listen on {address}; choose another --host or --port (port 0 takes a free one)"
    )]
    Listen { address: String, source: io::Error },
    /// The system refused threads, sockets or signals.
    #[error("the system refuses what a server needs")]
    System(#[from] io::Error),
    /// There is nothing to serve.
    #[error("a server needs a model")]
    NoModel,
    /// Two models have one name, by which requests choose.
    #[error("two models are called `{name}`: give each a name of its own, as in --model NAME=DIR")]
    SameName { name: String },
    /// Requests were still under way when the time for ending was over.
    #[error(
        "{connections} connections were cut off, because their requests took longer than the time for ending (--shutdown-time)"
    )]
    CutOff { connections: usize },
}
