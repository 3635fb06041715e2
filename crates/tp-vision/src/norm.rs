//! Normalization layers for channels-last maps.

use burn::{
    module::{Module, Param},
    nn::Initializer,
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
        Self {
            weight: Initializer::Ones.init([channels], device),
            bias: Initializer::Zeros.init([channels], device),
            eps,
        }
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
        Self {
            weight: Initializer::Ones.init([channels], device),
            bias: Initializer::Zeros.init([channels], device),
            groups,
            eps,
        }
    }

    /// `[batch, height, width, channels]`, the same shape.
    pub(crate) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [batch, height, width, channels] = x.dims();
        let group = channels / self.groups;
        let cells = x.reshape([batch, height * width, channels]);
        // First over cells, then over the channels of a group, when only one row remains.
        let n = (height * width * group) as f64;
        let per_group =
            |sums: Tensor<3>| sums.reshape([batch, self.groups, group]).sum_dim(2).div_scalar(n); // [batch, groups, 1]
        let per_channel =
            |t: Tensor<3>| t.expand([batch, self.groups, group]).reshape([batch, 1, channels]);
        let mean = per_channel(per_group(cells.clone().sum_dim(1)));
        // Centered before squaring, because a mean far from zero would cancel the digits of the
        // variance.
        let centred = cells - mean;
        let variance = per_group(centred.clone().square().sum_dim(1));
        let scale = per_channel(variance.add_scalar(self.eps).sqrt().recip())
            * self.weight.val().reshape([1, 1, channels]);
        (centred * scale + self.bias.val().reshape([1, 1, channels]))
            .reshape([batch, height, width, channels])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layer_norm_of_a_constant_is_the_bias() {
        let device = Device::flex();
        let norm = ChannelNorm::init(4, 1e-6, &device);
        let y = norm.forward(Tensor::<2>::full([1, 4], 7.0, &device));
        assert!(y.into_data().iter::<f32>().all(|v| v.abs() < 1e-6));
    }

    #[test]
    fn group_norm_shares_statistics_within_a_group_alone() {
        // Two groups of one channel: (0, 2) has mean 1 and deviation 1; (1000, 1004) has mean 1002
        // and deviation 2.
        let device = Device::flex();
        let norm = GroupNorm::init(2, 2, 0.0, &device);
        let x = Tensor::<4>::from_data([[[[0.0, 1000.0], [2.0, 1004.0]]]], &device);
        let y: Vec<f32> = norm.forward(x).into_data().iter::<f32>().collect();
        assert_eq!(y, [-1.0, -1.0, 1.0, 1.0]);
    }
}
