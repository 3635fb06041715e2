//! Products with matrices whose numbers are stored in blocks: half to an eighth of the memory, and
//! of the time that is spent reading it.
//!
//! The blocks are multiplied as they are. A row's numbers are widened in registers, right where
//! they are needed; inputs and sums stay in single precision. So the result is that of the matrix
//! that the blocks stand for, up to the order of sums.

mod fast;
mod format;
mod gradient;
mod quantize;
mod reference;

use std::{fmt, sync::Arc};

use burn::backend::{Backend, Dispatch, backend_extension, tensor::FloatTensor};
use burn::tensor::{Device, Tensor, TensorData};

pub use format::BlockFormat;
pub use quantize::QuantizedFormat;

/// The product with blocks as a backend operator. The default body is the meaning; a backend
/// overrides what it can do faster.
#[backend_extension(Flex, LibTorch: cfg(feature = "libtorch"), Cube: cfg(feature = "cuda"), Autodiff)]
pub trait BlockProductOps: Backend {
    /// `x · matrixᵀ`, `[rows, in]` and `[out, in]` → `[rows, out]`.
    fn fused_block_product(x: FloatTensor<Self>, blocks: Arc<Blocks>) -> FloatTensor<Self> {
        reference::block_product::<Self>(x, &blocks)
    }

    /// The gradient with respect to `x`: `dy · matrix`, `[rows, out]` and `[out, in]` →
    /// `[rows, in]`.
    fn fused_block_product_backward(
        dy: FloatTensor<Self>,
        blocks: Arc<Blocks>,
    ) -> FloatTensor<Self> {
        reference::block_product_backward::<Self>(dy, &blocks)
    }
}

/// Rows of a matrix, one after the other, that are stored alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockRows {
    /// How their numbers are stored.
    pub format: BlockFormat,
    /// How many there are.
    pub rows: usize,
}

/// The content of a [`BlockMatrix`].
pub struct Blocks {
    bytes: Vec<u8>,
    bands: Vec<BlockRows>,
    width: usize,
    outputs: usize,
}

impl fmt::Debug for Blocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blocks")
            .field("bands", &self.bands)
            .field("width", &self.width)
            .finish_non_exhaustive()
    }
}

/// A matrix `[out, in]` of numbers in blocks, in the memory of the host; a clone shares it.
///
/// Every output's numbers are a row of whole blocks, so that rows can be stored in different ways,
/// as files mix them.
#[derive(Clone, Debug)]
pub struct BlockMatrix {
    blocks: Arc<Blocks>,
}

impl BlockMatrix {
    /// A matrix of rows of `width` numbers, as files hold them.
    ///
    /// # Panics
    ///
    /// If `width` is no whole number of blocks, or the bytes are not those of the rows.
    #[must_use]
    pub fn new(width: usize, bands: Vec<BlockRows>, bytes: Vec<u8>) -> Self {
        let band_bytes = |band: &BlockRows| {
            band.format.row_bytes(width).and_then(|row| row.checked_mul(band.rows))
        };
        let expected = bands.iter().map(band_bytes).sum::<Option<usize>>();
        assert_eq!(expected, Some(bytes.len()), "bytes of {bands:?}, {width} wide");
        let outputs = bands.iter().map(|band| band.rows).sum();
        Self { blocks: Arc::new(Blocks { bytes, bands, width, outputs }) }
    }

    /// The nearest matrix of blocks to `weight`, `[in, out]`; `None` if its inputs are no whole
    /// number of blocks.
    #[must_use]
    pub fn nearest(weight: &Tensor<2>, format: QuantizedFormat) -> Option<Self> {
        let [width, rows] = weight.dims();
        if !format.fits(width) {
            return None;
        }
        let weight = weight.clone();
        let weight = if weight.is_autodiff() { weight.inner() } else { weight };
        let numbers = weight.transpose().into_data().convert::<f32>(); // [out, in]
        let numbers = numbers.as_slice::<f32>().expect("the data was converted to f32");
        let band = BlockRows { format: format.into(), rows };
        Some(Self::new(width, vec![band], format.blocks(numbers)))
    }

    /// The nearest matrix of fewer bits; `None` if its inputs are no whole number of blocks, or it
    /// has numbers of eight bits or fewer already.
    ///
    /// Numbers are widened a few rows at a time: beside both matrices no memory is needed.
    #[must_use]
    pub fn quantized(&self, format: QuantizedFormat) -> Option<Self> {
        let Blocks { width, outputs: rows, .. } = *self.blocks;
        let is_wide = |band: &BlockRows| band.format.block().0 == 1;
        if !format.fits(width) || !self.blocks.bands.iter().all(is_wide) {
            return None;
        }
        let bytes = self.blocks.quantized(format);
        Some(Self::new(width, vec![BlockRows { format: format.into(), rows }], bytes))
    }

    /// The same matrix with further outputs, whose numbers `[further, in]` are in single precision.
    ///
    /// # Panics
    ///
    /// If the numbers are no whole number of rows.
    #[must_use]
    pub fn with_outputs(&self, numbers: &[f32]) -> Self {
        let Blocks { bytes, bands, width, .. } = &*self.blocks;
        let band = BlockRows { format: BlockFormat::F32, rows: numbers.len() / (*width).max(1) };
        let further = numbers.iter().flat_map(|number| number.to_le_bytes());
        Self::new(
            *width,
            bands.iter().copied().chain([band]).collect(),
            bytes.iter().copied().chain(further).collect(),
        )
    }

    /// What the blocks stand for, `[in, out]`.
    #[must_use]
    pub fn to_weight(&self, device: &Device) -> Tensor<2> {
        let Blocks { width, outputs, .. } = *self.blocks;
        let data = TensorData::new(self.blocks.widened(), [outputs, width]);
        Tensor::<2>::from_data(data, device).transpose()
    }

    /// What some rows stand for, `[rows.len(), in]`: how a table of embeddings is read.
    ///
    /// # Panics
    ///
    /// If there is no such row.
    #[must_use]
    pub fn rows(&self, rows: &[usize], device: &Device) -> Tensor<2> {
        let width = self.blocks.width;
        let mut numbers = vec![0.0; rows.len() * width];
        for (numbers, &row) in numbers.chunks_exact_mut(width.max(1)).zip(rows) {
            self.blocks.widen_rows(row..row + 1, numbers);
        }
        Tensor::from_data(TensorData::new(numbers, [rows.len(), width]), device)
    }

    /// Number of inputs.
    #[must_use]
    pub fn n_inputs(&self) -> usize {
        self.blocks.width
    }

    /// Number of outputs.
    #[must_use]
    pub fn n_outputs(&self) -> usize {
        self.blocks.outputs
    }

    /// Bytes of memory.
    #[must_use]
    pub fn n_bytes(&self) -> usize {
        self.blocks.bytes.len()
    }
}

/// `x · matrix`. A gradient reaches `x`, for adapters on a frozen base; blocks themselves cannot
/// learn.
///
/// # Shapes
///
/// - `x`: `[.., in]`
/// - output: `[.., out]`
///
/// # Panics
///
/// If `x` is not as wide as the matrix' input.
pub fn block_product<const D: usize>(x: Tensor<D>, matrix: &BlockMatrix) -> Tensor<D> {
    let mut shape = x.dims();
    let Blocks { width, outputs, .. } = *matrix.blocks;
    assert_eq!(shape[D - 1], width, "block_product: width of the input");
    let folded: Tensor<2> = x.reshape([shape[..D - 1].iter().product::<usize>(), width]);
    shape[D - 1] = outputs;
    Tensor::<2>::from_dispatch(Dispatch::fused_block_product(
        folded.into_dispatch(),
        matrix.blocks.clone(),
    ))
    .reshape(shape)
}

#[cfg(test)]
mod tests;
