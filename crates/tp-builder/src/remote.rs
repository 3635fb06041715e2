//! Shared storage of a distributed build.

use crate::BuildError;

/// The interface to the shared storage. A bucket implements it if the feature `bucket` is enabled.
pub(crate) trait Remote {
    /// Downloads new results of other processes.
    fn fetch(&self) -> Result<(), BuildError>;

    /// Uploads the finished data set. Returns `false` if the run was stopped.
    fn publish(&self) -> Result<bool, BuildError>;
}

/// No shared storage: the build uses its folder only.
pub(crate) struct Nowhere;

impl Remote for Nowhere {
    fn fetch(&self) -> Result<(), BuildError> {
        Ok(())
    }

    fn publish(&self) -> Result<bool, BuildError> {
        Ok(true)
    }
}
