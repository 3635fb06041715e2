//! Indexes of shards.

use std::{
    collections::{BTreeMap, HashSet},
    fs::File,
    io::Read,
    path::Path,
};

use serde::Deserialize;

use super::{Checkpoint, refuse_lfs_pointer};
use crate::WeightsError;

/// An index of shards is a list of names; more is not one.
const MAX_INDEX_BYTES: u64 = 64 << 20;

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl Checkpoint {
    pub(super) fn add_shards(&mut self, index: &Path) -> Result<(), WeightsError> {
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
            .map_err(|error| unsound(format!("it is not an index of shards ({error})")))?;
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        checkpoint::small_files::{entry, shards},
        write_safetensors,
    };

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
}
