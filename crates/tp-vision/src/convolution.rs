//! The three convolutions of the eyes, on channels-last maps: each is one matrix product.

use burn::{
    nn::{Linear, LinearConfig},
    module::{Initializer, Module},
    tensor::{Device, Tensor},
};

/// A convolution whose stride is its size: every output cell reads its own block.
#[derive(Module, Debug)]
pub(crate) struct Patchify {
    weight: Linear, // [row · column · from, to]
    side: usize,
}

impl Patchify {
    pub(crate) fn init(from: usize, to: usize, side: usize, device: &Device) -> Self {
        Self { weight: LinearConfig::new(from * side * side, to).with_initializer(Initializer::XavierUniform { gain: 1.0 }).init(device), side }
    }

    /// `[batch, height, width, from]` → `[batch, height / side, width / side, to]`.
    pub(crate) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let ([batch, height, width, channels], side) = (x.dims(), self.side);
        let (rows, columns) = (height / side, width / side);
        let blocks = x.reshape([batch, rows, side, columns, side, channels]).permute([0, 1, 3, 2, 4, 5]);
        self.weight.forward(blocks.reshape([batch, rows, columns, side * side * channels]))
    }
}

/// A 3×3 convolution without bias, padded with zeros.
#[derive(Module, Debug)]
pub(crate) struct Conv3x3 {
    weight: Linear, // [row · column · from, to]
}

impl Conv3x3 {
    pub(crate) fn init(from: usize, to: usize, device: &Device) -> Self {
        Self { weight: LinearConfig::new(9 * from, to).with_bias(false).with_initializer(Initializer::XavierUniform { gain: 1.0 }).init(device) }
    }

    /// `[batch, height, width, from]` → `[batch, height, width, to]`.
    pub(crate) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [batch, height, width, channels] = x.dims();
        let device = x.device();
        let row = || Tensor::zeros([batch, 1, width, channels], &device);
        let column = || Tensor::zeros([batch, height + 2, 1, channels], &device);
        let padded = Tensor::cat(vec![row(), x, row()], 1);
        let padded = Tensor::cat(vec![column(), padded, column()], 2);
        let shifted = (0..9).map(|at| padded.clone().narrow(1, at / 3, height).narrow(2, at % 3, width)).collect();
        self.weight.forward(Tensor::cat(shifted, 3))
    }
}

/// Bilinear, half-pixel centres, edges repeated: each output is ¾ of the near and ¼ of the far neighbour along both axes.
pub(crate) fn upsampled_twice(x: Tensor<4>) -> Tensor<4> {
    doubled(doubled(x, 1), 2)
}

fn doubled(x: Tensor<4>, axis: usize) -> Tensor<4> {
    let mut dims = x.dims();
    let n = dims[axis];
    let edge = |from| x.clone().narrow(axis, from, 1);
    let before = Tensor::cat(vec![edge(0), x.clone().narrow(axis, 0, n - 1)], axis);
    let after = Tensor::cat(vec![x.clone().narrow(axis, 1, n - 1), edge(n - 1)], axis);
    let near = x.clone().mul_scalar(0.75);
    let low = near.clone() + before.mul_scalar(0.25);
    let high = near + after.mul_scalar(0.25);
    let pair: Tensor<5> = Tensor::stack(vec![low, high], axis + 1);
    dims[axis] = 2 * n;
    pair.reshape(dims)
}
