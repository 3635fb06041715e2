//! Reference implementation of the int8 product, in operators that every backend has.

use burn::backend::{
    Backend, TensorMetadata,
    tensor::{FloatTensor, IntTensor},
};

pub(super) fn int8_product<B: Backend>(
    x: FloatTensor<B>,
    steps: IntTensor<B>,
    scales: FloatTensor<B>,
) -> FloatTensor<B> {
    let dtype = x.dtype().into();
    let weight = B::float_swap_dims(B::int_into_float(steps, dtype), 0, 1); // [in, out]
    let out = scales.shape()[0];
    let scales = B::float_reshape(B::float_cast(scales, dtype), [1, out].into());
    B::float_mul(B::float_matmul(x, weight), scales)
}
