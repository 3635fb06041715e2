//! What the depthwise convolution means: the grouped convolution that every backend has, between two permutations.

use burn::backend::{Backend, TensorMetadata, tensor::FloatTensor};
use burn::tensor::ops::ConvOptions;

fn options<B: Backend>(weight: &FloatTensor<B>) -> ConvOptions<2> {
    let shape = weight.shape();
    ConvOptions::new([1, 1], [shape[2] / 2, shape[3] / 2], [1, 1], shape[0])
}

fn channels_first<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    B::float_permute(x, &[0, 3, 1, 2])
}

fn channels_last<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    B::float_permute(x, &[0, 2, 3, 1])
}

pub(super) fn depthwise_conv2d<B: Backend>(x: FloatTensor<B>, weight: FloatTensor<B>, bias: FloatTensor<B>) -> FloatTensor<B> {
    let options = options::<B>(&weight);
    channels_last::<B>(B::conv2d(channels_first::<B>(x), weight, Some(bias), options))
}

pub(super) fn depthwise_conv2d_x_backward<B: Backend>(x: FloatTensor<B>, weight: FloatTensor<B>, dy: FloatTensor<B>) -> FloatTensor<B> {
    let options = options::<B>(&weight);
    channels_last::<B>(B::conv2d_x_backward(channels_first::<B>(x), weight, channels_first::<B>(dy), options))
}

pub(super) fn depthwise_conv2d_weight_backward<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    dy: FloatTensor<B>,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let options = options::<B>(&weight);
    let shape = dy.shape();
    let rows = B::float_reshape(dy.clone(), [shape[0] * shape[1] * shape[2], shape[3]].into());
    let dbias = B::float_reshape(B::float_sum_dim(rows, 0), [shape[3]].into());
    (B::conv2d_weight_backward(channels_first::<B>(x), weight, channels_first::<B>(dy), options), dbias)
}
