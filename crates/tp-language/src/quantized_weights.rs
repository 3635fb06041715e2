//! Matrices of a checkpoint, brought into blocks one by one as they are read.

use std::collections::HashMap;

use burn::tensor::{DType, Device};
use tp_kernels::{BlockFormat, BlockMatrix, BlockRows, QuantizedFormat};
use tp_weights::{Checkpoint, TensorEntry};

use crate::{Decoder, LanguageError, decoder_keys, projection::Projection};

/// Reads the matrices that blocks can hold, the tables first, and gives their parameters' paths;
/// what is missing, misshapen or of another type is left to whoever loads the rest.
pub(crate) fn read_in_blocks(
    decoder: &mut Decoder,
    checkpoint: &Checkpoint,
    format: QuantizedFormat,
    device: &Device,
) -> Result<Vec<String>, LanguageError> {
    let keys = decoder_keys();
    let mut entries: HashMap<String, Vec<&TensorEntry>> = HashMap::new();
    for entry in checkpoint.entries() {
        if let Some(path) = keys.ours(&entry.name) {
            entries.entry(path).or_default().push(entry);
        }
    }
    let read = |path: &str, shape: [usize; 2]| -> Result<Option<BlockMatrix>, LanguageError> {
        let Some(&[entry]) = entries.get(path).map(Vec::as_slice) else { return Ok(None) };
        let stored = match entry.dtype {
            DType::F32 => BlockFormat::F32,
            DType::F16 => BlockFormat::F16,
            DType::BF16 => BlockFormat::BF16,
            _ => return Ok(None),
        };
        if entry.shape != shape || !format.fits(shape[1]) {
            return Ok(None);
        }
        let band = BlockRows { format: stored, rows: shape[0] };
        let wide = BlockMatrix::new(shape[1], vec![band], checkpoint.read(&entry.name)?);
        Ok(wide.quantized(format))
    };

    let mut taken = Vec::new();
    let [vocab, hidden] = [decoder.config().vocab_size, decoder.config().hidden_size];
    const TABLE: &str = "embed_tokens.weight";
    if let Some(table) = read(TABLE, [vocab, hidden])? {
        decoder.keep_table_in_blocks(table, device);
        taken.push(TABLE.to_owned());
    }
    for (path, projection) in decoder.named_projections_mut() {
        let path = format!("{path}.weight");
        let [width, rows] = projection.weight.lazy_shape().dims();
        if let Some(matrix) = read(&path, [rows, width])? {
            *projection = Projection::of_blocks(matrix, projection.bias.take(), device);
            taken.push(path);
        }
    }
    Ok(taken)
}
