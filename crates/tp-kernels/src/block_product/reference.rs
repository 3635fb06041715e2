//! What the product means, in operators that every backend has. The blocks stay with the host: each
//! product widens them and brings them to the device.

use burn::backend::{Backend, TensorMetadata, tensor::FloatTensor};
use burn::tensor::TensorData;

use super::Blocks;

pub(super) fn block_product<B: Backend>(x: FloatTensor<B>, blocks: &Blocks) -> FloatTensor<B> {
    let (device, dtype) = (x.device(), x.dtype());
    let weight = TensorData::new(blocks.widened(), [blocks.outputs, blocks.width]);
    let weight = B::float_from_data(weight.convert_dtype(dtype), &device); // [out, in]
    B::float_matmul(x, B::float_swap_dims(weight, 0, 1))
}
