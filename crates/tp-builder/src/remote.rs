//! Where the processes of a build meet besides their folder.

use crate::BuildError;

/// What a run asks of that place. A bucket is one, behind the feature of that name.
pub(crate) trait Remote {
    /// Brings what others have filed since the last time.
    fn fetch(&self) -> Result<(), BuildError>;

    /// Takes the finished data set there. `false` if the run was asked to stop.
    fn publish(&self) -> Result<bool, BuildError>;
}

/// No such place: the folder is all that there is.
pub(crate) struct Nowhere;

impl Remote for Nowhere {
    fn fetch(&self) -> Result<(), BuildError> {
        Ok(())
    }

    fn publish(&self) -> Result<bool, BuildError> {
        Ok(true)
    }
}
