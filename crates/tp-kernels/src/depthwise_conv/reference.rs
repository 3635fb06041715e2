//! Reference implementation of the depthwise convolution: the backend's grouped convolution,
//! between two permutations.

use burn::backend::{Backend, TensorMetadata, tensor::FloatTensor};
use burn::tensor::{
    Slice,
    ops::{ConvOptions, PadMode},
};

use crate::same_padding::SamePadding;

/// The padding along both sides of a map `[batch, height, width, channels]`.
fn padding<B: Backend>(
    x: &FloatTensor<B>,
    weight: &FloatTensor<B>,
    stride: usize,
) -> [SamePadding; 2] {
    let shape = x.shape();
    SamePadding::of_map([shape[1], shape[2]], weight.shape()[2], stride)
}

/// The padding that is equal on both ends of a side; [`prepared`] adds the rest explicitly.
fn options<B: Backend>(
    weight: &FloatTensor<B>,
    stride: usize,
    padding: [SamePadding; 2],
) -> ConvOptions<2> {
    ConvOptions::new([stride; 2], padding.map(|side| side.before), [1, 1], weight.shape()[0])
}

/// The map in channels-first layout, with the additional zeros after each side.
fn prepared<B: Backend>(x: FloatTensor<B>, padding: [SamePadding; 2]) -> FloatTensor<B> {
    let x = channels_first::<B>(x);
    let behind = padding.map(|side| side.behind - side.before);
    if behind == [0, 0] {
        return x;
    }
    B::float_pad(x, &[(0, 0), (0, 0), (0, behind[0]), (0, behind[1])], PadMode::Constant(0.0))
}

fn channels_first<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    B::float_permute(x, &[0, 3, 1, 2])
}

fn channels_last<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    B::float_permute(x, &[0, 2, 3, 1])
}

pub(super) fn depthwise_conv2d<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
    stride: usize,
) -> FloatTensor<B> {
    let padding = padding::<B>(&x, &weight, stride);
    let options = options::<B>(&weight, stride, padding);
    channels_last::<B>(B::conv2d(prepared::<B>(x, padding), weight, Some(bias), options))
}

pub(super) fn depthwise_conv2d_x_backward<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    dy: FloatTensor<B>,
    stride: usize,
) -> FloatTensor<B> {
    let padding = padding::<B>(&x, &weight, stride);
    let options = options::<B>(&weight, stride, padding);
    let dx =
        B::conv2d_x_backward(prepared::<B>(x, padding), weight, channels_first::<B>(dy), options);
    let [height, width] = padding.map(|side| Slice::from(0..side.input));
    channels_last::<B>(B::float_slice(dx, &[Slice::full(), Slice::full(), height, width]))
}

pub(super) fn depthwise_conv2d_weight_backward<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    dy: FloatTensor<B>,
    stride: usize,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let padding = padding::<B>(&x, &weight, stride);
    let options = options::<B>(&weight, stride, padding);
    let shape = dy.shape();
    let rows = B::float_reshape(dy.clone(), [shape[0] * shape[1] * shape[2], shape[3]].into());
    let dbias = B::float_reshape(B::float_sum_dim(rows, 0), [shape[3]].into());
    (
        B::conv2d_weight_backward(
            prepared::<B>(x, padding),
            weight,
            channels_first::<B>(dy),
            options,
        ),
        dbias,
    )
}
