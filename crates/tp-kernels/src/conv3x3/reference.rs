//! Reference implementation of the convolution: that of the backend, between two permutations.

use burn::backend::{Backend, tensor::FloatTensor};
use burn::tensor::ops::ConvOptions;

fn options() -> ConvOptions<2> {
    ConvOptions::new([1, 1], [1, 1], [1, 1], 1)
}

fn channels_first<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    B::float_permute(x, &[0, 3, 1, 2])
}

pub(super) fn conv3x3<B: Backend>(x: FloatTensor<B>, weight: FloatTensor<B>) -> FloatTensor<B> {
    B::float_permute(B::conv2d(channels_first::<B>(x), weight, None, options()), &[0, 2, 3, 1])
}

pub(super) fn conv3x3_weight_backward<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    dy: FloatTensor<B>,
) -> FloatTensor<B> {
    B::conv2d_weight_backward(channels_first::<B>(x), weight, channels_first::<B>(dy), options())
}
