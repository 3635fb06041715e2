//! What the product means, in operators that every backend has. The blocks stay with the host: each
//! product widens them and brings them to the device.

use burn::backend::{Backend, TensorMetadata, tensor::FloatTensor};
use burn::tensor::TensorData;

use super::Blocks;

pub(super) fn block_product<B: Backend>(x: FloatTensor<B>, blocks: &Blocks) -> FloatTensor<B> {
    let weight = weight_like::<B>(&x, blocks);
    B::float_matmul(x, B::float_swap_dims(weight, 0, 1))
}

pub(super) fn block_product_backward<B: Backend>(
    dy: FloatTensor<B>,
    blocks: &Blocks,
) -> FloatTensor<B> {
    let weight = weight_like::<B>(&dy, blocks);
    B::float_matmul(dy, weight)
}

/// The matrix on the device and in the number format of a tensor, `[out, in]`.
fn weight_like<B: Backend>(x: &FloatTensor<B>, blocks: &Blocks) -> FloatTensor<B> {
    let weight = TensorData::new(blocks.widened(), [blocks.outputs, blocks.width]);
    B::float_from_data(weight.convert_dtype(x.dtype()), &x.device())
}
