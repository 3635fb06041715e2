//! Which tensors of a checkpoint are for which parameter.

use std::collections::HashMap;

use burn::tensor::{DType, Shape, TensorData};

use crate::{Checkpoint, KeyMap, Layout, TensorEntry, WeightsError};

/// A tensor that is for a parameter, by its name.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// What is said of it.
    pub entry: &'a TensorEntry,
    /// How it lies in its file.
    pub layout: Layout,
}

/// The tensors of a checkpoint by the parameter that they are for, under published names or our
/// own; more than one for a parameter is a fault of the checkpoint.
#[must_use]
pub fn claims<'a>(checkpoint: &'a Checkpoint, keys: &KeyMap) -> HashMap<String, Vec<Claim<'a>>> {
    let mut claims: HashMap<String, Vec<Claim<'a>>> = HashMap::new();
    for entry in checkpoint.entries() {
        let (path, layout) = keys
            .ours(&entry.name)
            .map_or_else(|| (entry.name.clone(), Layout::Ours), |path| (path, Layout::Published));
        claims.entry(path).or_default().push(Claim { entry, layout });
    }
    claims
}

impl Claim<'_> {
    /// Rows and columns of the matrix of a layer as it is published, `[out, in]`; `None` if it is
    /// no matrix.
    #[must_use]
    pub fn published_shape(&self) -> Option<[usize; 2]> {
        match (&self.entry.shape[..], self.layout) {
            (&[out, width], Layout::Published) | (&[width, out], Layout::Ours) => {
                Some([out, width])
            }
            _ => None,
        }
    }

    /// The bytes of the matrix of a layer as it is published, `[out, in]`, little-endian.
    ///
    /// # Errors
    ///
    /// As [`Checkpoint::read`].
    pub fn read_published(&self, checkpoint: &Checkpoint) -> Result<Vec<u8>, WeightsError> {
        let bytes = checkpoint.read(&self.entry.name)?;
        Ok(match (self.layout, &self.entry.shape[..]) {
            (Layout::Ours, &[width, out]) => {
                transposed(&bytes, [width, out], self.entry.dtype.size())
            }
            _ => bytes,
        })
    }
}

/// `[rows, columns]` → `[columns, rows]`, whatever the numbers are.
pub(crate) fn transposed_data(data: &TensorData) -> TensorData {
    let [rows, columns] = data.shape().dims();
    let (dtype, size): (DType, usize) = (data.dtype(), data.dtype().size());
    let bytes = transposed(data.as_bytes(), [rows, columns], size);
    TensorData::from_bytes_vec(bytes, Shape::from([columns, rows]), dtype)
}

fn transposed(from: &[u8], [rows, columns]: [usize; 2], size: usize) -> Vec<u8> {
    /// Side of the squares in which a matrix is turned: both of them fit into the first-level
    /// cache.
    const TILE: usize = 32;
    let mut to = vec![0; from.len()];
    for (top, left) in (0..rows)
        .step_by(TILE)
        .flat_map(|top| (0..columns).step_by(TILE).map(move |left| (top, left)))
    {
        for row in top..rows.min(top + TILE) {
            for column in left..columns.min(left + TILE) {
                let (source, target) =
                    ((row * columns + column) * size, (column * rows + row) * size);
                to[target..target + size].copy_from_slice(&from[source..source + size]);
            }
        }
    }
    to
}
