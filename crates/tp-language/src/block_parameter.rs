//! The parameters of a decoder whose numbers are in blocks.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor};
use tp_kernels::BlockMatrix;

use crate::Decoder;

/// A matrix of a decoder, or its embedding table, in blocks; the parameter itself is empty.
#[derive(Clone, Debug)]
pub struct BlockParameter {
    matrix: BlockMatrix,
    /// Rows of a table are tokens; a matrix has its outputs as rows, and as columns of the
    /// parameter.
    is_table: bool,
}

impl BlockParameter {
    /// The shape of the parameter for which the blocks stand: `[in, out]`, of a table
    /// `[vocab, hidden]`.
    #[must_use]
    pub fn shape(&self) -> [usize; 2] {
        let (width, rows) = (self.matrix.n_inputs(), self.matrix.n_outputs());
        if self.is_table { [rows, width] } else { [width, rows] }
    }

    /// Bytes of the blocks.
    #[must_use]
    pub fn n_bytes(&self) -> usize {
        self.matrix.n_bytes()
    }

    /// The numbers for which the blocks stand, of [`shape`](Self::shape), in single precision.
    #[must_use]
    pub fn widened(&self, device: &Device) -> Tensor<2> {
        let weight = self.matrix.to_weight(device);
        if self.is_table { weight.transpose() } else { weight }
    }
}

impl Decoder {
    /// Everything that is in blocks, by the path of its parameter in this module.
    #[must_use]
    pub fn block_parameters(&self) -> BTreeMap<String, BlockParameter> {
        let table = self.table.iter().map(|matrix| {
            let matrix = matrix.clone();
            ("embed_tokens.weight".to_owned(), BlockParameter { matrix, is_table: true })
        });
        let matrices = self.named_projections().filter_map(|(name, projection)| {
            let matrix = projection.blocks()?.clone();
            Some((format!("{name}.weight"), BlockParameter { matrix, is_table: false }))
        });
        table.chain(matrices).collect()
    }
}
