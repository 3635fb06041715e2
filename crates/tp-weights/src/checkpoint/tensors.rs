//! Tensors by name, and where their numbers are.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{folding::Folded, joining::TensorSlice};
use crate::{
    TensorEntry, WeightsError, bare_tensor::BareTensor, safetensors_file::SafetensorsFile,
    safetensors_header::Placed,
};

/// The tensors of one or more files; their numbers are read when asked for.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    pub(super) path: PathBuf,
    pub(super) tensors: Vec<Stored>,
    /// Names → places in `tensors`.
    pub(super) by_name: HashMap<String, usize>,
    /// Names of tensors that live on as parts of others.
    pub(super) joined_away: HashSet<String>,
}

/// A tensor and where its numbers are.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) entry: TensorEntry,
    pub(super) file: PathBuf,
    pub(super) source: Source,
}

#[derive(Clone, Debug)]
pub(super) enum Source {
    Safetensors(SafetensorsSource),
    #[cfg(feature = "pytorch")]
    Pytorch(pytorch_reader::Tensor),
    Bare(BareTensor),
    Joined(Vec<TensorSlice>),
    Folded(Folded),
}

/// One tensor of an open file.
#[derive(Clone, Debug)]
pub(super) struct SafetensorsSource {
    pub(super) file: Arc<SafetensorsFile>,
    pub(super) placed: Placed,
}

impl Checkpoint {
    /// Adds the tensors of another file, index or folder.
    ///
    /// # Errors
    ///
    /// As [`Checkpoint::open`], and [`WeightsError::Duplicate`] if both hold a tensor of one name.
    pub fn and(mut self, other: Self) -> Result<Self, WeightsError> {
        self.joined_away.extend(other.joined_away);
        other.tensors.into_iter().try_for_each(|stored| self.add(stored))?;
        Ok(self)
    }

    /// What is said of one tensor.
    ///
    /// # Errors
    ///
    /// [`WeightsError::NoSuchTensor`] if there is none of this name.
    pub fn entry(&self, name: &str) -> Result<&TensorEntry, WeightsError> {
        Ok(&self.stored(name)?.entry)
    }

    /// Whether there is a tensor of this name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// Where it was opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Every tensor, in the order of its file.
    pub fn entries(&self) -> impl Iterator<Item = &TensorEntry> {
        self.tensors
            .iter()
            .map(|stored| &stored.entry)
            .filter(|entry| !self.joined_away.contains(&entry.name))
    }

    /// The bytes of one tensor, little-endian.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] if there is none of this name, or its file cannot be read.
    pub fn read(&self, name: &str) -> Result<Vec<u8>, WeightsError> {
        self.read_stored(self.stored(name)?)
    }

    pub(super) fn read_stored(&self, stored: &Stored) -> Result<Vec<u8>, WeightsError> {
        match &stored.source {
            Source::Joined(pieces) => self.read_pieces(pieces),
            Source::Folded(folded) => self.read_folded(folded, &stored.entry),
            Source::Safetensors(SafetensorsSource { file, placed }) => file.read(placed),
            #[cfg(feature = "pytorch")]
            Source::Pytorch(tensor) => tensor
                .read()
                .map_err(|source| WeightsError::Read { path: stored.file.clone(), source }),
            Source::Bare(tensor) => tensor.read(),
        }
    }

    pub(super) fn stored(&self, name: &str) -> Result<&Stored, WeightsError> {
        Ok(&self.tensors[*self.by_name.get(name).ok_or_else(|| self.no_such(name))?])
    }

    pub(super) fn no_such(&self, name: &str) -> WeightsError {
        WeightsError::NoSuchTensor { path: self.path.clone(), tensor: name.to_owned() }
    }

    pub(super) fn add(&mut self, stored: Stored) -> Result<(), WeightsError> {
        if let Some(&first) = self.by_name.get(&stored.entry.name) {
            let first = self.tensors[first].file.clone();
            return Err(WeightsError::Duplicate {
                tensor: stored.entry.name,
                first,
                second: stored.file,
            });
        }
        self.by_name.insert(stored.entry.name.clone(), self.tensors.len());
        self.tensors.push(stored);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{checkpoint::small_files::entry, write_safetensors};

    #[test]
    fn one_name_in_two_files_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        write_safetensors(folder.path(), &[entry("a", 1)], u64::MAX, |_| Ok(vec![1])).unwrap();
        let open = || Checkpoint::open(folder.path()).unwrap();
        assert!(matches!(open().and(open()), Err(WeightsError::Duplicate { .. })));
    }
}
