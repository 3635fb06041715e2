//! Norms over channels-last maps.

use burn::{
    module::{Initializer, Module, Param},
    tensor::{Device, Tensor},
};

/// Layer norm over the channels of each cell or token.
#[derive(Module, Debug)]
pub(crate) struct ChannelNorm {
    weight: Param<Tensor<1>>, // [channels]
    bias: Param<Tensor<1>>,
    eps: f64,
}

impl ChannelNorm {
    pub(crate) fn init(channels: usize, eps: f64, device: &Device) -> Self {
        Self { weight: Initializer::Ones.init([channels], device), bias: Initializer::Zeros.init([channels], device), eps }
    }

    pub(crate) fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        tp_kernels::layer_norm(x, self.weight.val(), self.bias.val(), self.eps)
    }
}

/// Group norm over the cells of a map and the channels of a group.
#[derive(Module, Debug)]
pub(crate) struct GroupNorm {
    weight: Param<Tensor<1>>, // [channels]
    bias: Param<Tensor<1>>,
    groups: usize,
    eps: f64,
}

impl GroupNorm {
    pub(crate) fn init(channels: usize, groups: usize, eps: f64, device: &Device) -> Self {
        Self { weight: Initializer::Ones.init([channels], device), bias: Initializer::Zeros.init([channels], device), groups, eps }
    }

    /// `[batch, height, width, channels]`, the same shape.
    pub(crate) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [batch, height, width, channels] = x.dims();
        let group = channels / self.groups;
        // Sums over cells first: they stay small after one pass over the map.
        let cells = x.clone().reshape([batch, height * width, channels]);
        let n = (height * width * group) as f64;
        let per_group = |sums: Tensor<3>| sums.reshape([batch, self.groups, group]).sum_dim(2).div_scalar(n); // [batch, groups, 1]
        let mean = per_group(cells.clone().sum_dim(1));
        let mean_square = per_group(cells.clone().square().sum_dim(1));
        let scale = (mean_square - mean.clone().square()).clamp_min(0.0).add_scalar(self.eps).sqrt().recip();
        let spread = |t: Tensor<3>| t.expand([batch, self.groups, group]).reshape([batch, 1, channels]);
        let scale = spread(scale) * self.weight.val().reshape([1, 1, channels]);
        let shift = self.bias.val().reshape([1, 1, channels]) - spread(mean) * scale.clone();
        (cells * scale + shift).reshape([batch, height, width, channels])
    }
}
