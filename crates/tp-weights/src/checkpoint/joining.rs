//! A tensor that is put together from parts of others.

use std::{collections::BTreeMap, ops::Range};

use super::{
    Checkpoint,
    tensors::{Source, Stored},
};
use crate::{TensorEntry, WeightsError};

/// Some bytes of a tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorSlice {
    /// The name of the source tensor.
    pub tensor: String,
    /// Which: rows of a matrix lie one after the other.
    pub bytes: Range<usize>,
}

impl Checkpoint {
    /// Replaces tensors by one that is put together from them: `pieces`, one after the other, are
    /// its bytes. The pieces' tensors are no longer listed.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] if a tensor is missing or has fewer bytes, or the pieces do not make up the
    /// new one.
    pub fn joined(
        mut self,
        entry: TensorEntry,
        pieces: Vec<TensorSlice>,
    ) -> Result<Self, WeightsError> {
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

    /// Each tensor is read once, however many pieces it gives.
    pub(super) fn read_pieces(&self, pieces: &[TensorSlice]) -> Result<Vec<u8>, WeightsError> {
        let mut read: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
        for TensorSlice { tensor, .. } in pieces {
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::small_files::{entry, shards};

    #[test]
    fn tensors_can_be_joined_piece_by_piece() {
        let folder = tempfile::tempdir().unwrap();
        shards(folder.path());
        let open = || Checkpoint::open(folder.path()).unwrap();
        let piece = |tensor: &str, bytes| TensorSlice { tensor: tensor.into(), bytes };
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
}
