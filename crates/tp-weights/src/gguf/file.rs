//! A GGUF file that is read tensor by tensor.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use super::{
    GgufType, GgufValue,
    cursor::Fault,
    header::{Header, read_header},
};
use crate::{WeightsError, refuse_lfs_pointer};

/// What a GGUF file says of one tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GgufTensor {
    /// As the file has it, e.g. `blk.0.attn_q.weight`.
    pub name: String,
    /// How its numbers are stored.
    pub kind: GgufType,
    /// The fastest dimension last, as elsewhere: a matrix of a layer is `[out, in]`. (The file has
    /// it the other way round.)
    pub shape: Vec<usize>,
    /// Its size in the file.
    pub n_bytes: usize,
    /// From where the tensors begin.
    pub(super) offset: u64,
}

/// An open file whose header is valid.
#[derive(Clone, Debug)]
pub struct GgufFile {
    path: PathBuf,
    metadata: BTreeMap<String, GgufValue>,
    tensors: BTreeMap<String, GgufTensor>,
    data: u64,
}

impl GgufFile {
    /// Reads the header; no tensor is read.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] if the file cannot be read, or its header contradicts itself or the file's
    /// size; the message names the setting or the tensor.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, WeightsError> {
        let path = path.as_ref();
        let read = |source| WeightsError::Read { path: path.to_owned(), source };
        refuse_lfs_pointer(path)?;
        let file = File::open(path).map_err(read)?;
        let size = file.metadata().map_err(read)?.len();
        match read_header(BufReader::new(file), size) {
            Ok(Header { metadata, tensors, data }) => {
                let tensors =
                    tensors.into_iter().map(|tensor| (tensor.name.clone(), tensor)).collect();
                Ok(Self { path: path.to_owned(), metadata, tensors, data })
            }
            Err(Fault::Io(source)) => Err(read(source)),
            Err(Fault::Unsound(reason)) => {
                Err(WeightsError::Unsound { path: path.to_owned(), reason })
            }
        }
    }

    /// Where it was opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A setting, if the file has it.
    #[must_use]
    pub fn setting(&self, key: &str) -> Option<&GgufValue> {
        self.metadata.get(key)
    }

    /// All settings by name.
    pub fn settings(&self) -> impl Iterator<Item = (&str, &GgufValue)> {
        self.metadata.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// A tensor, if the file has it.
    #[must_use]
    pub fn tensor(&self, name: &str) -> Option<&GgufTensor> {
        self.tensors.get(name)
    }

    /// All tensors by name.
    pub fn tensors(&self) -> impl Iterator<Item = &GgufTensor> {
        self.tensors.values()
    }

    /// The bytes of one tensor, as they are stored.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] if there is none of this name, or the file cannot be read.
    pub fn read(&self, name: &str) -> Result<Vec<u8>, WeightsError> {
        let tensor = self.tensor(name).ok_or_else(|| WeightsError::NoSuchTensor {
            path: self.path.clone(),
            tensor: name.to_owned(),
        })?;
        // No more than the file has; the header was checked.
        let mut bytes = vec![0; tensor.n_bytes];
        File::open(&self.path)
            .and_then(|mut file| {
                file.seek(SeekFrom::Start(self.data + tensor.offset))?;
                file.read_exact(&mut bytes)
            })
            .map_err(|source| WeightsError::Read { path: self.path.clone(), source })?;
        Ok(bytes)
    }
}
