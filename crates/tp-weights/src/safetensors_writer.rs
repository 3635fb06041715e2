//! Writes safetensors files tensor by tensor.

use std::{
    io::{self, Write},
    path::Path,
};

use serde_json::{Map, Value, json};
use tp_core::write_atomically;

use crate::{TensorEntry, WeightsError, safetensors_header::name_of};

/// Writes `model.safetensors`, or, if the tensors have more than `max_shard_bytes` in all, numbered
/// shards and their index.
///
/// `bytes` is asked for one tensor at a time, in order; nothing else is held in memory. Each file
/// appears whole or not at all. Returns the number of bytes of all tensors.
///
/// # Errors
///
/// [`WeightsError`] if a file cannot be written, `bytes` fails, or gives another number of bytes
/// than its entry has.
///
/// # Panics
///
/// If an entry has a type that the format does not know, or a size that is no number of this
/// machine.
pub fn write_safetensors(
    folder: &Path,
    entries: &[TensorEntry],
    max_shard_bytes: u64,
    mut bytes: impl FnMut(&TensorEntry) -> Result<Vec<u8>, WeightsError>,
) -> Result<u64, WeightsError> {
    make(folder)?;
    let shards = shards_of(entries, max_shard_bytes);
    let mut total = 0;
    let mut weight_map = Map::new();
    for (number, shard) in shards.iter().enumerate() {
        let name = match shards.len() {
            1 => "model.safetensors".to_owned(),
            n => format!("model-{:05}-of-{n:05}.safetensors", number + 1),
        };
        total += write_file(&folder.join(&name), shard, &mut bytes)?;
        weight_map
            .extend(shard.iter().map(|entry| (entry.name.clone(), Value::from(name.as_str()))));
    }
    if shards.len() > 1 {
        let path = folder.join("model.safetensors.index.json");
        let index = json!({ "metadata": { "total_size": total }, "weight_map": weight_map });
        write_atomically(&path, |out| writeln!(out, "{index:#}"))
            .map_err(|source| WeightsError::Write { path, source })?;
    }
    Ok(total)
}

/// The same for one file of any name; the folder is made if it is missing.
///
/// # Errors
///
/// As [`write_safetensors`].
///
/// # Panics
///
/// As [`write_safetensors`].
pub fn write_safetensors_file(
    path: &Path,
    entries: &[TensorEntry],
    mut bytes: impl FnMut(&TensorEntry) -> Result<Vec<u8>, WeightsError>,
) -> Result<u64, WeightsError> {
    path.parent().map_or(Ok(()), make)?;
    write_file(path, entries, &mut bytes)
}

fn make(folder: &Path) -> Result<(), WeightsError> {
    std::fs::create_dir_all(folder)
        .map_err(|source| WeightsError::Write { path: folder.to_owned(), source })
}

fn write_file(
    path: &Path,
    entries: &[TensorEntry],
    bytes: &mut impl FnMut(&TensorEntry) -> Result<Vec<u8>, WeightsError>,
) -> Result<u64, WeightsError> {
    // The reason of a tensor that cannot be had is kept: the writer itself knows errors of files
    // alone.
    let mut failure = None;
    let result = write_atomically(path, |out| {
        write_header(out, entries)?;
        for entry in entries {
            let tensor = bytes(entry).and_then(|bytes| {
                if bytes.len() == size(entry) { Ok(bytes) } else { Err(wrong_size(path, entry)) }
            });
            match tensor {
                Ok(tensor) => out.write_all(&tensor)?,
                Err(error) => {
                    failure = Some(error);
                    return Err(io::Error::other("a tensor could not be had"));
                }
            }
        }
        Ok(())
    });
    if let Some(error) = failure {
        return Err(error);
    }
    result.map_err(|source| WeightsError::Write { path: path.to_owned(), source })?;
    Ok(entries.iter().map(|entry| size(entry) as u64).sum())
}

/// Consecutive tensors, as many as fit into a shard, at least one.
fn shards_of(entries: &[TensorEntry], max_shard_bytes: u64) -> Vec<&[TensorEntry]> {
    let (mut shards, mut start, mut filled) = (Vec::new(), 0, 0_u64);
    for (at, entry) in entries.iter().enumerate() {
        let added = size(entry) as u64;
        if at > start && filled.saturating_add(added) > max_shard_bytes {
            shards.push(&entries[start..at]);
            (start, filled) = (at, 0);
        }
        filled += added;
    }
    shards.push(&entries[start..]);
    shards
}

fn write_header(out: &mut impl Write, entries: &[TensorEntry]) -> io::Result<()> {
    let (mut header, mut start) = (Map::new(), 0);
    header.insert("__metadata__".to_owned(), json!({ "format": "pt" }));
    for entry in entries {
        let end = start + size(entry);
        let dtype = name_of(entry.dtype).expect("the caller gives types that the format knows");
        header.insert(
            entry.name.clone(),
            json!({ "dtype": dtype, "shape": entry.shape, "data_offsets": [start, end] }),
        );
        start = end;
    }
    let mut header = serde_json::to_vec(&header)?;
    // Data that starts at a multiple of eight can be read in place by those who map files.
    header.resize(header.len().next_multiple_of(8), b' ');
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)
}

fn size(entry: &TensorEntry) -> usize {
    entry.n_bytes().expect("the caller gives sizes of this machine")
}

fn wrong_size(path: &Path, entry: &TensorEntry) -> WeightsError {
    WeightsError::Unsound {
        path: path.to_owned(),
        reason: format!("tensor {} was given with another size than it has", entry.name),
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::DType;

    use super::*;
    use crate::Checkpoint;

    fn entry(name: &str, dtype: DType, shape: &[usize]) -> TensorEntry {
        TensorEntry { name: name.into(), dtype, shape: shape.to_vec() }
    }

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let entries = [
            entry("half", DType::BF16, &[2, 1]),
            entry("one", DType::F32, &[]),
            entry("none", DType::F32, &[0, 3]),
        ];
        let bytes =
            |entry: &TensorEntry| Ok((0..entry.n_bytes().unwrap()).map(|i| i as u8 + 1).collect());
        assert_eq!(write_safetensors(folder.path(), &entries, u64::MAX, bytes).unwrap(), 8);
        let checkpoint = Checkpoint::open(folder.path()).unwrap();
        let mut read: Vec<_> = checkpoint.entries().cloned().collect();
        read.sort_by_key(|entry| entries.iter().position(|written| written == entry));
        assert_eq!(read, entries);
        assert_eq!(checkpoint.read("one").unwrap(), [1, 2, 3, 4]);
        assert!(checkpoint.read("none").unwrap().is_empty());
    }

    #[test]
    fn failure_leaves_no_file_behind() {
        let folder = tempfile::tempdir().unwrap();
        let entries = [entry("a", DType::U8, &[2]), entry("b", DType::U8, &[2])];
        let error = write_safetensors(folder.path(), &entries, u64::MAX, |entry| {
            Ok(vec![0; if entry.name == "a" { 2 } else { 3 }])
        });
        assert!(error.unwrap_err().to_string().contains("tensor b"));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
