//! All tensors of a checkpoint, in however many files.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs::File,
    io::Read,
    ops::Range,
    path::{Path, PathBuf},
};

use burn::tensor::{DType, TensorData};
use serde::Deserialize;
use tp_core::is_lfs_pointer;

use crate::{
    TensorEntry, WeightsError, bare_tensor::BareTensor, batch_norm::BatchNorm,
    safetensors_file::SafetensorsFile, safetensors_header::Placed,
};

/// An index of shards is a list of names; more is not one.
const MAX_INDEX_BYTES: u64 = 64 << 20;
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

/// The tensors of one or more files; their numbers are read when asked for.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    path: PathBuf,
    tensors: Vec<Stored>,
    /// Names → places in `tensors`.
    by_name: HashMap<String, usize>,
    /// Names of tensors that live on as parts of others.
    joined_away: HashSet<String>,
}

/// A tensor and where its numbers are.
#[derive(Clone, Debug)]
struct Stored {
    entry: TensorEntry,
    file: PathBuf,
    source: Source,
}

#[derive(Clone, Debug)]
enum Source {
    Safetensors(SafetensorsSource),
    #[cfg(feature = "pytorch")]
    Pytorch(pytorch_reader::Tensor),
    Bare(BareTensor),
    Joined(Vec<Piece>),
    Folded(Folded),
}

/// A parameter of a convolution that has taken in the batch norm behind it.
#[derive(Clone, Debug)]
struct Folded {
    /// The name of the norm.
    norm: String,
    eps: f64,
    /// Where the convolution's own weight is; `None` for the bias, which it did not have.
    weight: Option<Box<Stored>>,
}

/// Some bytes of a tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The name of the source tensor.
    pub tensor: String,
    /// Which: rows of a matrix lie one after the other.
    pub bytes: Range<usize>,
}

/// One tensor of an open file.
#[derive(Clone, Debug)]
struct SafetensorsSource {
    file: std::sync::Arc<SafetensorsFile>,
    placed: Placed,
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

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

    /// Replaces tensors by one that is put together from them: `pieces`, one after the other, are
    /// its bytes. The pieces' tensors are no longer listed.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] if a tensor is missing or has fewer bytes, or the pieces do not make up the
    /// new one.
    pub fn joined(mut self, entry: TensorEntry, pieces: Vec<Piece>) -> Result<Self, WeightsError> {
        let unsound = |reason: String| WeightsError::Unsound { path: self.path.clone(), reason };
        for piece in &pieces {
            let n_bytes = self.entry(&piece.tensor)?.n_bytes().unwrap_or(0);
            if piece.bytes.start > piece.bytes.end || piece.bytes.end > n_bytes {
                return Err(unsound(format!(
                    "tensor {} has no bytes {:?}",
                    piece.tensor, piece.bytes
                )));
            }
        }
        if entry.n_bytes() != Some(pieces.iter().map(|piece| piece.bytes.len()).sum()) {
            return Err(unsound(format!("the parts of {} do not make it up", entry.name)));
        }
        for piece in &pieces {
            self.joined_away.insert(piece.tensor.clone());
        }
        let file = self.path.clone();
        self.add(Stored { entry, file, source: Source::Joined(pieces) })?;
        Ok(self)
    }

    /// Folds the batch norm `norm` into the convolution `convolution` before it, with the norm's
    /// statistics as they are: the convolution's weight changes and it gets a bias, both in single
    /// precision; the norm's tensors are no longer listed.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] if a tensor is missing, or does not have one number for each channel that
    /// the convolution makes. A non-finite or negative variance is found when the tensor is read.
    pub fn folded(mut self, convolution: &str, norm: &str, eps: f64) -> Result<Self, WeightsError> {
        let names = [format!("{convolution}.weight"), format!("{convolution}.bias")];
        let at = *self.by_name.get(&names[0]).ok_or_else(|| self.no_such(&names[0]))?;
        let weight = self.tensors[at].clone();
        let channels = weight.entry.shape.first().copied().unwrap_or(0);
        for vector in BatchNorm::VECTORS.map(|vector| format!("{norm}.{vector}")) {
            let found = self.entry(&vector)?;
            if !found.dtype.is_float() || found.shape != [channels] {
                let reason =
                    format!("{vector} is no vector of the {channels} channels of {convolution}");
                return Err(WeightsError::Unsound { path: self.path.clone(), reason });
            }
        }
        if !weight.entry.dtype.is_float() {
            return Err(WeightsError::Unsound {
                path: self.path.clone(),
                reason: format!("{} holds no real numbers", names[0]),
            });
        }
        let [made, bias] =
            names.map(|name| TensorEntry { name, dtype: DType::F32, shape: vec![channels] });
        let folded = |weight| Source::Folded(Folded { norm: norm.to_owned(), eps, weight });
        self.add(Stored { entry: bias, file: weight.file.clone(), source: folded(None) })?;
        let entry = TensorEntry { shape: weight.entry.shape.clone(), ..made };
        self.tensors[at] =
            Stored { entry, file: weight.file.clone(), source: folded(Some(Box::new(weight))) };
        let tensors = BatchNorm::VECTORS.into_iter().chain([BatchNorm::COUNTER]);
        self.joined_away.extend(tensors.map(|tensor| format!("{norm}.{tensor}")));
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

    fn read_stored(&self, stored: &Stored) -> Result<Vec<u8>, WeightsError> {
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

    /// Each tensor is read once, however many pieces it gives.
    fn read_pieces(&self, pieces: &[Piece]) -> Result<Vec<u8>, WeightsError> {
        let mut read: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
        for Piece { tensor, .. } in pieces {
            if !read.contains_key(tensor.as_str()) {
                read.insert(tensor, self.read(tensor)?);
            }
        }
        Ok(pieces
            .iter()
            .flat_map(|piece| &read[piece.tensor.as_str()][piece.bytes.clone()])
            .copied()
            .collect())
    }

    fn read_folded(
        &self,
        Folded { norm, eps, weight }: &Folded,
        entry: &TensorEntry,
    ) -> Result<Vec<u8>, WeightsError> {
        let vector = |name: &str| self.read_numbers(self.stored(&format!("{norm}.{name}"))?);
        let [gamma, beta, mean, variance] = BatchNorm::VECTORS;
        let norm = BatchNorm {
            weight: vector(gamma)?,
            bias: vector(beta)?,
            mean: vector(mean)?,
            variance: vector(variance)?,
            eps: *eps,
        };
        let numbers = match weight {
            Some(weight) => norm.folded_weight(&self.read_numbers(weight)?),
            None => norm.folded_bias(),
        };
        let unsound = |reason| WeightsError::Unsound {
            path: self.path.clone(),
            reason: format!("{}: {reason}", entry.name),
        };
        Ok(numbers
            .map_err(unsound)?
            .iter()
            .flat_map(|&number| (number as f32).to_le_bytes())
            .collect())
    }

    fn read_numbers(&self, stored: &Stored) -> Result<Vec<f64>, WeightsError> {
        let bytes = self.read_stored(stored)?;
        Ok(TensorData::from_bytes_vec(bytes, stored.entry.shape.clone(), stored.entry.dtype)
            .iter::<f64>()
            .collect())
    }

    fn stored(&self, name: &str) -> Result<&Stored, WeightsError> {
        Ok(&self.tensors[*self.by_name.get(name).ok_or_else(|| self.no_such(name))?])
    }

    fn no_such(&self, name: &str) -> WeightsError {
        WeightsError::NoSuchTensor { path: self.path.clone(), tensor: name.to_owned() }
    }

    fn add(&mut self, stored: Stored) -> Result<(), WeightsError> {
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

    fn add_safetensors(&mut self, path: &Path) -> Result<(), WeightsError> {
        let file = std::sync::Arc::new(SafetensorsFile::open(path)?);
        file.tensors.iter().try_for_each(|placed| {
            let source = Source::Safetensors(SafetensorsSource {
                file: file.clone(),
                placed: placed.clone(),
            });
            self.add(Stored { entry: placed.entry.clone(), file: path.to_owned(), source })
        })
    }

    fn add_shards(&mut self, index: &Path) -> Result<(), WeightsError> {
        let unsound = |reason: String| WeightsError::Unsound { path: index.to_owned(), reason };
        let mut text = Vec::new();
        let read = |source| WeightsError::Read { path: index.to_owned(), source };
        File::open(index)
            .map_err(read)?
            .take(MAX_INDEX_BYTES + 1)
            .read_to_end(&mut text)
            .map_err(read)?;
        if text.len() as u64 > MAX_INDEX_BYTES {
            return Err(unsound(format!("an index has at most {MAX_INDEX_BYTES} bytes")));
        }
        let Index { weight_map } = serde_json::from_slice(&text)
            .map_err(|error| unsound(format!("it is no index ({error})")))?;
        let mut shards: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (tensor, shard) in &weight_map {
            shards.entry(shard).or_default().push(tensor);
        }
        for (shard, tensors) in shards {
            // An index names files beside it, and no others.
            let beside = Path::new(shard).file_name().is_some_and(|name| name == shard);
            let path = index.with_file_name(shard);
            if !beside || !path.is_file() {
                let (index, tensor) = (index.to_owned(), tensors[0].to_owned());
                return Err(WeightsError::MissingShard { index, tensor, shard: shard.to_owned() });
            }
            refuse_lfs_pointer(&path)?;
            let n_before = self.tensors.len();
            if path.extension().is_some_and(|ending| ending == "bin") {
                self.add_pytorch(&path)?;
            } else {
                self.add_safetensors(&path)?;
            }
            let there: HashSet<&str> =
                self.tensors[n_before..].iter().map(|stored| stored.entry.name.as_str()).collect();
            if let Some(&lacking) = tensors.iter().find(|&tensor| !there.contains(tensor)) {
                let tensor = lacking.to_owned();
                return Err(WeightsError::NoSuchTensor { path, tensor });
            }
        }
        Ok(())
    }

    /// All tensors of a file of names, or the one tensor of a file of numbers alone, whose name is
    /// empty.
    fn add_pytorch(&mut self, path: &Path) -> Result<(), WeightsError> {
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
    use crate::write_safetensors;

    fn entry(name: &str, n: usize) -> TensorEntry {
        TensorEntry { name: name.into(), dtype: DType::U8, shape: vec![n] }
    }

    /// Three tensors in shards of at most five bytes.
    fn shards(folder: &Path) {
        let entries = [entry("a", 3), entry("b", 4), entry("c", 1)];
        write_safetensors(folder, &entries, 5, |entry| {
            Ok(entry.name.repeat(entry.shape[0]).into_bytes())
        })
        .unwrap();
    }

    #[test]
    fn shards_are_one_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        shards(folder.path());
        let checkpoint = Checkpoint::open(folder.path()).unwrap();
        assert_eq!(
            checkpoint.entries().map(|entry| entry.name.as_str()).collect::<Vec<_>>(),
            ["a", "b", "c"]
        );
        assert_eq!(checkpoint.read("b").unwrap(), b"bbbb");
        assert!(checkpoint.read("d").unwrap_err().to_string().contains("no tensor d"));
    }

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
    fn tensors_can_be_joined_piece_by_piece() {
        let folder = tempfile::tempdir().unwrap();
        shards(folder.path());
        let open = || Checkpoint::open(folder.path()).unwrap();
        let piece = |tensor: &str, bytes| Piece { tensor: tensor.into(), bytes };
        let joined = open()
            .joined(
                entry("abab", 4),
                vec![piece("a", 0..1), piece("b", 0..1), piece("a", 1..2), piece("b", 3..4)],
            )
            .unwrap();
        assert_eq!(joined.read("abab").unwrap(), b"abab");
        assert_eq!(
            joined.entries().map(|entry| entry.name.as_str()).collect::<Vec<_>>(),
            ["c", "abab"]
        );
        for (pieces, reason) in [
            (vec![piece("a", 2..4)], "no bytes 2..4"),
            (vec![piece("a", 0..1)], "do not make it up"),
        ] {
            let message = open().joined(entry("x", 2), pieces).unwrap_err().to_string();
            assert!(message.contains(reason), "{message}");
        }
    }

    /// A convolution from one channel to two, and a batch norm behind it.
    fn convolution_and_norm(folder: &Path) -> Checkpoint {
        let vector = |name: &str, values: [f32; 2]| (name.to_owned(), vec![2], values.to_vec());
        let tensors = [
            ("conv.weight".to_owned(), vec![2, 1, 1, 2], vec![1.0, 2.0, 3.0, 4.0]),
            vector("norm.weight", [6.0, -3.0]),
            vector("norm.bias", [1.0, 2.0]),
            vector("norm.running_mean", [10.0, 100.0]),
            vector("norm.running_var", [4.0, 4.0]),
            ("norm.num_batches_tracked".to_owned(), vec![], vec![7.0]),
            vector("other.weight", [0.0, 0.0]),
        ];
        let entries: Vec<TensorEntry> = tensors
            .iter()
            .map(|(name, shape, _)| TensorEntry {
                name: name.clone(),
                dtype: DType::F32,
                shape: shape.clone(),
            })
            .collect();
        write_safetensors(folder, &entries, u64::MAX, |entry| {
            let values = &tensors.iter().find(|(name, ..)| *name == entry.name).unwrap().2;
            Ok(values.iter().flat_map(|value| value.to_le_bytes()).collect())
        })
        .unwrap();
        Checkpoint::open(folder).unwrap()
    }

    #[test]
    fn batch_norm_is_folded_into_its_convolution() {
        let folder = tempfile::tempdir().unwrap();
        let folded = convolution_and_norm(folder.path()).folded("conv", "norm", 5.0).unwrap();
        let mut names: Vec<_> = folded.entries().map(|entry| entry.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["conv.bias", "conv.weight", "other.weight"]);
        assert_eq!(
            (
                &folded.entry("conv.weight").unwrap().shape[..],
                &folded.entry("conv.bias").unwrap().shape[..]
            ),
            (&[2, 1, 1, 2][..], &[2][..])
        );
        let numbers = |name: &str| -> Vec<f32> {
            folded
                .read(name)
                .unwrap()
                .chunks_exact(4)
                .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
                .collect()
        };
        assert_eq!(numbers("conv.weight"), [2.0, 4.0, -3.0, -4.0]);
        assert_eq!(numbers("conv.bias"), [-19.0, 102.0]);
    }

    #[test]
    fn batch_norm_that_does_not_fit_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let message = |convolution: &str, norm: &str| {
            convolution_and_norm(folder.path())
                .folded(convolution, norm, 5.0)
                .unwrap_err()
                .to_string()
        };
        assert!(message("none", "norm").contains("no tensor none.weight"));
        assert!(message("conv", "other").contains("no tensor other.bias"));
        let negative = convolution_and_norm(folder.path()).folded("conv", "norm", -5.0).unwrap();
        assert!(
            negative
                .read("conv.bias")
                .unwrap_err()
                .to_string()
                .contains("conv.bias: a channel of scale 6 and variance 4")
        );
    }

    #[test]
    fn shard_that_is_not_there_is_named() {
        let folder = tempfile::tempdir().unwrap();
        shards(folder.path());
        std::fs::remove_file(folder.path().join("model-00002-of-00002.safetensors")).unwrap();
        let message = Checkpoint::open(folder.path()).unwrap_err().to_string();
        assert!(
            message.contains("says that b is in model-00002-of-00002.safetensors"),
            "{message}"
        );
    }

    #[test]
    fn index_may_not_lead_out_of_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let outside = folder.path().join("model.safetensors");
        write_safetensors(folder.path(), &[entry("a", 1)], u64::MAX, |_| Ok(vec![1])).unwrap();
        let inner = folder.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        for shard in ["../model.safetensors", outside.to_str().unwrap(), ".."] {
            let index = inner.join("model.safetensors.index.json");
            std::fs::write(&index, serde_json::json!({"weight_map": {"a": shard}}).to_string())
                .unwrap();
            assert!(
                matches!(Checkpoint::open(&inner), Err(WeightsError::MissingShard { .. })),
                "{shard}"
            );
        }
    }

    #[test]
    fn index_that_promises_too_much_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        write_safetensors(folder.path(), &[entry("a", 1)], u64::MAX, |_| Ok(vec![1])).unwrap();
        let index = folder.path().join("model.safetensors.index.json");
        std::fs::write(
            &index,
            serde_json::json!({"weight_map": {"b": "model.safetensors"}}).to_string(),
        )
        .unwrap();
        assert!(Checkpoint::open(&index).unwrap_err().to_string().contains("no tensor b"));
    }

    #[test]
    fn one_name_in_two_files_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        write_safetensors(folder.path(), &[entry("a", 1)], u64::MAX, |_| Ok(vec![1])).unwrap();
        let open = || Checkpoint::open(folder.path()).unwrap();
        assert!(matches!(open().and(open()), Err(WeightsError::Duplicate { .. })));
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
