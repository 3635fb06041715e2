//! Reference implementation of the inverted bottleneck: its three layers in sequence.

use burn::backend::{TensorMetadata, tensor::FloatTensor};

use super::{BottleneckForm, InvertedBottleneckOps};

/// See [`BottleneckWeights`](super::BottleneckWeights).
pub(super) struct Weights<B: InvertedBottleneckOps> {
    pub(super) expand_weight: FloatTensor<B>,
    pub(super) expand_bias: FloatTensor<B>,
    pub(super) depthwise_weight: FloatTensor<B>,
    pub(super) depthwise_bias: FloatTensor<B>,
    pub(super) project_weight: FloatTensor<B>,
    pub(super) project_bias: FloatTensor<B>,
}

pub(super) fn inverted_bottleneck<B: InvertedBottleneckOps>(
    x: FloatTensor<B>,
    weights: Weights<B>,
    BottleneckForm { stride, adds_input }: BottleneckForm,
) -> FloatTensor<B> {
    let shape = x.shape();
    let rows = |x: FloatTensor<B>| {
        let shape = x.shape();
        B::float_reshape(x, [shape[0] * shape[1] * shape[2], shape[3]].into())
    };
    let inside = weights.expand_bias.shape()[0];
    let expanded = B::affine_relu6_product(
        rows(x.clone()),
        B::float_transpose(weights.expand_weight),
        weights.expand_bias,
    );
    let expanded = B::float_reshape(expanded, [shape[0], shape[1], shape[2], inside].into());
    let filtered = B::fused_depthwise_conv2d_relu6(
        expanded,
        weights.depthwise_weight,
        weights.depthwise_bias,
        stride,
    );
    let (made, to) = (filtered.shape(), weights.project_bias.shape()[0]);
    let y = B::affine_product(
        rows(filtered),
        B::float_transpose(weights.project_weight),
        weights.project_bias,
    );
    let y = B::float_reshape(y, [made[0], made[1], made[2], to].into());
    if adds_input { B::float_add(x, y) } else { y }
}
