//! Matrices of a checkpoint, brought into blocks one by one as they are read.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
};

use burn::{
    store::ModuleSnapshot,
    tensor::{DType, Device},
};
use tp_kernels::{BlockFormat, BlockMatrix, BlockRows, QuantizedFormat};
use tp_weights::{Checkpoint, Claim, KeyMap, LoadReport, TensorFloat, claims, load_module_as};

use crate::{
    Decoder, LanguageError, LoraPair, adapter_folder::AdapterReader, projection::Projection,
};

/// Numbers that are changed by an update at a time, about: 16 MiB of them.
const UPDATED: usize = 4 << 20;

/// Reads a decoder whose matrices and embedding table are in blocks.
///
/// Each matrix is brought into blocks as it is read: beside the blocks there is one tensor in
/// memory, in the format that its file has. A matrix whose inputs are no multiple of 32 stays in
/// single precision, like everything else:
///
/// 1. [`read`](Self::read) fills the matrices that blocks can hold;
/// 2. [`load_rest`](Self::load_rest) fills the other parameters, of the decoder or of a module that
///    contains it;
/// 3. [`finish`](Self::finish) adds the adapter, if there is one, to the other matrices.
pub struct BlockReader<'a> {
    checkpoint: &'a Checkpoint,
    keys: &'a KeyMap,
    claims: HashMap<String, Vec<Claim<'a>>>,
    prefix: &'a str,
    format: QuantizedFormat,
    adapter: Option<AdapterReader>,
    device: &'a Device,
    in_blocks: HashSet<String>,
}

impl<'a> BlockReader<'a> {
    /// Of a checkpoint in which a decoder's parameters stand behind `prefix`, e.g. `decoder.`, once
    /// `keys` have given them our names.
    #[must_use]
    pub fn new(
        checkpoint: &'a Checkpoint,
        keys: &'a KeyMap,
        prefix: &'a str,
        format: QuantizedFormat,
        device: &'a Device,
    ) -> Self {
        Self {
            checkpoint,
            keys,
            claims: claims(checkpoint, keys),
            prefix,
            format,
            adapter: None,
            device,
            in_blocks: HashSet::new(),
        }
    }

    /// Adds the updates of an adapter's folder to the matrices before they are rounded, one at a
    /// time.
    ///
    /// # Errors
    ///
    /// As [`load_adapter`](crate::load_adapter), for the settings of the folder and for files that
    /// cannot be opened; unsound tensors are found by [`read`](Self::read).
    pub fn with_adapter(mut self, folder: &Path, decoder: &Decoder) -> Result<Self, LanguageError> {
        self.adapter = Some(AdapterReader::open(folder, decoder.config(), self.device)?);
        Ok(self)
    }

    /// Reads the matrices that blocks can hold, the tables first: they are the largest. What is
    /// missing, misshapen or of another type is left to whoever loads the rest.
    ///
    /// # Errors
    ///
    /// [`LanguageError`] if a tensor cannot be read, or an update does not fit its matrix.
    pub fn read(&mut self, decoder: &mut Decoder) -> Result<(), LanguageError> {
        let table = format!("{}embed_tokens.weight", self.prefix);
        let shape = [decoder.config().vocab_size, decoder.config().hidden_size];
        // A table is `[token, hidden]` under all names.
        if let Some(&[Claim { entry, .. }]) = self.claims.get(&table).map(Vec::as_slice)
            && entry.shape == shape
            && let Some(stored) = self.readable(entry.dtype, shape[1])
        {
            let band = BlockRows { format: stored, rows: shape[0] };
            let wide = BlockMatrix::new(shape[1], vec![band], self.checkpoint.read(&entry.name)?);
            if let Some(blocks) = wide.quantized(self.format) {
                decoder.keep_table_in_blocks(blocks, self.device);
                self.in_blocks.insert(table);
            }
        }
        for (path, projection) in decoder.named_projections_mut() {
            let parameter = format!("{}{path}.weight", self.prefix);
            let [width, rows] = projection.weight.lazy_shape().dims();
            let Some(wide) = self.wide(&parameter, [rows, width])? else { continue };
            let update = match &self.adapter {
                Some(adapter) => adapter.update_of(&path, None)?,
                None => None,
            };
            let blocks = match update {
                Some(pair) => Some(updated(&wide, &pair, self.format, self.device)),
                None => wide.quantized(self.format),
            };
            if let Some(blocks) = blocks {
                *projection = Projection::of_blocks(blocks, projection.bias.take(), self.device);
                self.in_blocks.insert(parameter);
            }
        }
        Ok(())
    }

    /// Fills every other parameter of a module, in which the decoder stands behind the prefix, in
    /// the number type that `float` chooses; see [`load_module_as`].
    pub fn load_rest<M: ModuleSnapshot>(
        &self,
        module: &mut M,
        float: impl Fn(&str, DType) -> TensorFloat,
    ) -> LoadReport {
        let is_read = |path: &str| self.in_blocks.contains(path);
        let mut report = load_module_as(module, self.checkpoint, self.keys, |path, stored| {
            (!is_read(path)).then(|| float(path, stored))
        });
        report.missing.retain(|path| !is_read(path));
        report
    }

    /// Adds the adapter to the matrices that stayed in single precision.
    ///
    /// # Errors
    ///
    /// [`LanguageError`] if the adapter changes what the decoder has not, or a tied output layer.
    pub fn finish(self, decoder: &mut Decoder) -> Result<(), LanguageError> {
        let Some(adapter) = &self.adapter else { return Ok(()) };
        for (path, projection) in decoder.named_projections_mut() {
            if projection.is_in_blocks() {
                continue;
            }
            if let Some(pair) = adapter.update_of(&path, None)? {
                *projection = projection.merged(&pair);
            }
        }
        // An update of a tied output layer has no matrix of its own, and is left here.
        adapter.everything_was_taken()
    }

    /// The format of a file's numbers, if rows of so many can be brought into blocks.
    fn readable(&self, dtype: DType, width: usize) -> Option<BlockFormat> {
        let stored = match dtype {
            DType::F32 => BlockFormat::F32,
            DType::F16 => BlockFormat::F16,
            DType::BF16 => BlockFormat::BF16,
            _ => return None,
        };
        self.format.fits(width).then_some(stored)
    }

    /// The matrix of a layer as its file has it, `[out, in]`, if blocks can hold it.
    fn wide(
        &self,
        parameter: &str,
        [rows, width]: [usize; 2],
    ) -> Result<Option<BlockMatrix>, LanguageError> {
        let Some(&[claim]) = self.claims.get(parameter).map(Vec::as_slice) else {
            return Ok(None);
        };
        let Some(format) = self.readable(claim.entry.dtype, width) else { return Ok(None) };
        if claim.published_shape() != Some([rows, width]) {
            return Ok(None);
        }
        let bytes = claim.read_published(self.checkpoint)?;
        Ok(Some(BlockMatrix::new(width, vec![BlockRows { format, rows }], bytes)))
    }
}

/// The blocks of a matrix with an update, some rows at a time.
fn updated(
    wide: &BlockMatrix,
    pair: &LoraPair,
    format: QuantizedFormat,
    device: &Device,
) -> BlockMatrix {
    let (rows, width) = (wide.n_outputs(), wide.n_inputs());
    let (of_block, block) = BlockFormat::from(format).block();
    // Without room to grow: it would stay.
    let mut bytes = Vec::with_capacity(rows * (width / of_block) * block);
    let at_a_time = (UPDATED / width).max(1);
    for first in (0..rows).step_by(at_a_time) {
        let some: Vec<usize> = (first..rows.min(first + at_a_time)).collect();
        let update = pair.update_of_outputs(first..first + some.len());
        let numbers = (wide.rows(&some, device) + update).into_data(); // [some, in]
        let numbers = numbers.as_slice::<f32>().expect("both terms are in single precision");
        bytes.extend(format.blocks(numbers));
    }
    BlockMatrix::new(width, vec![BlockRows { format: format.into(), rows }], bytes)
}
