//! Opens weight files by their endings, and folders of them.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

use tp_core::is_lfs_pointer;

use super::{
    Checkpoint,
    tensors::{SafetensorsSource, Source, Stored},
};
use crate::{WeightsError, bare_tensor::BareTensor, safetensors_file::SafetensorsFile};

/// Endings of indexes of shards.
const INDEXES: [&str; 2] = [".safetensors.index.json", ".bin.index.json"];

/// What the weights of a folder are called, the first that is there.
const USUAL: [&str; 4] = [
    "model.safetensors.index.json",
    "model.safetensors",
    "pytorch_model.bin.index.json",
    "pytorch_model.bin",
];

/// Endings of PyTorch files.
const PYTORCH: [&str; 3] = ["pth", "pt", "bin"];

impl Checkpoint {
    /// Opens a file, an index of shards, or a folder with one of them.
    ///
    /// Headers are read and checked; no tensor is.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] if there are no weights, a file is missing or unsound, or a name stands in
    /// two files.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, WeightsError> {
        let path = path.as_ref();
        if !path.exists() {
            let source = std::io::Error::from(std::io::ErrorKind::NotFound);
            return Err(WeightsError::Read { path: path.to_owned(), source });
        }
        let mut checkpoint = Self {
            path: path.to_owned(),
            tensors: Vec::new(),
            by_name: HashMap::new(),
            joined_away: HashSet::new(),
        };
        if path.is_dir() {
            checkpoint.add_file(&file_of(path)?)?;
        } else {
            checkpoint.add_file(path)?;
        }
        Ok(checkpoint)
    }

    fn add_file(&mut self, path: &Path) -> Result<(), WeightsError> {
        // A name may hold what is no UTF-8; its ending is told all the same.
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let ending = path.extension().and_then(|ending| ending.to_str());
        refuse_lfs_pointer(path)?;
        match ending {
            _ if INDEXES.iter().any(|index| name.ends_with(index)) => self.add_shards(path),
            Some("safetensors") => self.add_safetensors(path),
            Some(ending) if PYTORCH.contains(&ending) => self.add_pytorch(path),
            _ => Err(WeightsError::NoWeights { path: path.to_owned() }),
        }
    }

    pub(super) fn add_safetensors(&mut self, path: &Path) -> Result<(), WeightsError> {
        let file = Arc::new(SafetensorsFile::open(path)?);
        file.tensors.iter().try_for_each(|placed| {
            let source = Source::Safetensors(SafetensorsSource {
                file: file.clone(),
                placed: placed.clone(),
            });
            self.add(Stored { entry: placed.entry.clone(), file: path.to_owned(), source })
        })
    }

    /// All tensors of a file of names, or the one tensor of a file of numbers alone, whose name is
    /// empty.
    pub(super) fn add_pytorch(&mut self, path: &Path) -> Result<(), WeightsError> {
        match BareTensor::open(path)? {
            Some(tensor) => self.add(Stored {
                entry: tensor.entry.clone(),
                file: path.to_owned(),
                source: Source::Bare(tensor),
            }),
            None => self.add_state_dict(path),
        }
    }

    #[cfg(feature = "pytorch")]
    fn add_state_dict(&mut self, path: &Path) -> Result<(), WeightsError> {
        crate::pytorch_file::open(path)?.into_iter().try_for_each(|(entry, tensor)| {
            self.add(Stored { entry, file: path.to_owned(), source: Source::Pytorch(tensor) })
        })
    }

    #[cfg(not(feature = "pytorch"))]
    #[expect(clippy::unused_self, reason = "the other build needs it")]
    fn add_state_dict(&mut self, path: &Path) -> Result<(), WeightsError> {
        Err(WeightsError::PytorchNotBuilt { path: path.to_owned() })
    }
}

/// Refuses what Git leaves in the place of a large file, whatever reads it next.
///
/// # Errors
///
/// [`WeightsError::LfsPointer`] if it is that, [`WeightsError::Read`] if it cannot be read.
pub fn refuse_lfs_pointer(path: &Path) -> Result<(), WeightsError> {
    let mut start = Vec::new();
    let read = |source| WeightsError::Read { path: path.to_owned(), source };
    File::open(path).map_err(read)?.take(64).read_to_end(&mut start).map_err(read)?;
    if is_lfs_pointer(&start) {
        Err(WeightsError::LfsPointer { path: path.to_owned() })
    } else {
        Ok(())
    }
}

/// The file of a folder that holds its weights: an index or a file under a usual name, or the only
/// weight file.
fn file_of(folder: &Path) -> Result<PathBuf, WeightsError> {
    for usual in USUAL {
        let path = folder.join(usual);
        if path.is_file() {
            return Ok(path);
        }
    }
    let read = |source| WeightsError::Read { path: folder.to_owned(), source };
    let mut found = Vec::new();
    for item in std::fs::read_dir(folder).map_err(read)? {
        let path = item.map_err(read)?.path();
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        if path.is_file() && (ending == "safetensors" || PYTORCH.contains(&ending)) {
            found.push(path);
        }
    }
    match found.pop() {
        Some(only) if found.is_empty() => Ok(only),
        _ => Err(WeightsError::NoWeights { path: folder.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::small_files::shards;

    #[test]
    fn git_lfs_pointers_are_named_whatever_their_ending() {
        let folder = tempfile::tempdir().unwrap();
        let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";
        for name in ["a.safetensors", "b.bin", "c.pth", "d.safetensors.index.json"] {
            let path = folder.path().join(name);
            std::fs::write(&path, pointer).unwrap();
            let message = Checkpoint::open(&path).unwrap_err().to_string();
            assert_eq!(
                message,
                format!(
                    "{} is a Git LFS pointer, not the file: run `git lfs pull`",
                    path.display()
                )
            );
        }
        let model = tempfile::tempdir().unwrap();
        shards(model.path());
        let shard = model.path().join("model-00002-of-00002.safetensors");
        std::fs::write(&shard, pointer).unwrap();
        assert!(
            Checkpoint::open(model.path())
                .unwrap_err()
                .to_string()
                .contains("model-00002-of-00002.safetensors is a Git LFS pointer")
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn names_that_are_no_utf8_are_opened() {
        use std::os::unix::ffi::OsStrExt;
        let folder = tempfile::tempdir().unwrap();
        shards(folder.path());
        let index =
            folder.path().join(std::ffi::OsStr::from_bytes(b"m\xff.safetensors.index.json"));
        std::fs::rename(folder.path().join("model.safetensors.index.json"), &index).unwrap();
        assert_eq!(Checkpoint::open(&index).unwrap().read("b").unwrap(), b"bbbb");
    }

    #[test]
    fn what_holds_no_weights_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(Checkpoint::open(folder.path()), Err(WeightsError::NoWeights { .. })));
        assert!(matches!(
            Checkpoint::open(folder.path().join("none")),
            Err(WeightsError::Read { .. })
        ));
        let text = folder.path().join("notes.txt");
        std::fs::write(&text, "weights").unwrap();
        assert!(matches!(Checkpoint::open(&text), Err(WeightsError::NoWeights { .. })));
        let weights = folder.path().join("short.safetensors");
        std::fs::write(&weights, [9, 0, 0]).unwrap();
        assert!(matches!(Checkpoint::open(&weights), Err(WeightsError::Unsound { .. })));
    }
}
