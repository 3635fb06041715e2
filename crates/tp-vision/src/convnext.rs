//! ConvNeXt as in CLIP's image encoder; feature maps are channels-last.
//!
//! Source: OMG-LLaVA's frozen CLIP ConvNeXt-L; equal to timm's `convnext_large` without its head.

use burn::{
    module::{Module, Param},
    nn::{Initializer, Linear, LinearConfig},
    tensor::{Device, Tensor},
};
use tp_kernels::{affine, gelu, linear};

use crate::{
    VisionConfig,
    convolution::{Convolution, Depthwise},
    norm::ChannelNorm,
};

/// PyTorch's default initialization of convolutions: uniform up to `1 / √fan_in`.
const FAN_IN: Initializer =
    Initializer::KaimingUniform { gain: 0.577_350_269_189_625_8, fan_out_only: false };

/// Four stages at strides 4, 8, 16 and 32.
#[derive(Module, Debug)]
pub struct ConvNext {
    stem: Stem,
    stages: Vec<Stage>,
}

impl ConvNext {
    pub(crate) fn init(config: &VisionConfig, device: &Device) -> Self {
        let (dims, eps) = (config.backbone_dims, config.backbone_ln_eps);
        let downsample = |index: usize| Downsample {
            norm: ChannelNorm::init(dims[index - 1], eps, device),
            conv: Convolution::init([dims[index], dims[index - 1], 2], &FAN_IN, device),
        };
        let stage = |index: usize| Stage {
            downsample: (index > 0).then(|| downsample(index)),
            blocks: (0..config.backbone_depths[index])
                .map(|_| Block::init(dims[index], config, device))
                .collect(),
        };
        Self {
            stem: Stem {
                conv: Convolution::init([dims[0], 3, 4], &FAN_IN, device),
                norm: ChannelNorm::init(dims[0], eps, device),
            },
            stages: (0..4).map(stage).collect(),
        }
    }

    /// `[batch, 3, height, width]` → C2 … C5, each `[batch, height / stride, width / stride,
    /// channels]`.
    #[must_use]
    pub fn forward(&self, images: Tensor<4>) -> [Tensor<4>; 4] {
        let mut x = self.stem.norm.forward(self.stem.conv.patches_of_image(images));
        // The unnormalized output of a stage is the feature map, as in the published network.
        let maps: Vec<Tensor<4>> = self
            .stages
            .iter()
            .map(|stage| {
                x = stage.forward(x.clone());
                x.clone()
            })
            .collect();
        maps.try_into().expect("there are four stages")
    }
}

#[derive(Module, Debug)]
struct Stem {
    conv: Convolution,
    norm: ChannelNorm,
}

#[derive(Module, Debug)]
struct Stage {
    downsample: Option<Downsample>,
    blocks: Vec<Block>,
}

impl Stage {
    fn forward(&self, mut x: Tensor<4>) -> Tensor<4> {
        if let Some(downsample) = &self.downsample {
            x = downsample.conv.patches(downsample.norm.forward(x));
        }
        self.blocks.iter().fold(x, |x, block| block.forward(x))
    }
}

#[derive(Module, Debug)]
struct Downsample {
    norm: ChannelNorm,
    conv: Convolution,
}

/// `x + γ ⊙ fc2(GELU(fc1(LN(dwconv7×7(x)))))`.
#[derive(Module, Debug)]
struct Block {
    conv_dw: Depthwise,
    norm: ChannelNorm,
    fc1: Linear,
    fc2: Linear,
    gamma: Param<Tensor<1>>, // [channels]
}

impl Block {
    fn init(channels: usize, config: &VisionConfig, device: &Device) -> Self {
        Self {
            conv_dw: Depthwise::init(channels, 7, &FAN_IN, device),
            norm: ChannelNorm::init(channels, config.backbone_ln_eps, device),
            fc1: LinearConfig::new(channels, 4 * channels).init(device),
            fc2: LinearConfig::new(4 * channels, channels).init(device),
            gamma: Initializer::Constant { value: config.layer_scale }.init([channels], device),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let y = linear(&self.fc1, self.norm.forward(self.conv_dw.forward(x.clone())));
        // γ is applied to the weights, which are far fewer numbers than the outputs.
        let gamma = self.gamma.val();
        let bias = self.fc2.bias.as_ref().map(|bias| bias.val() * gamma.clone());
        // It may be kept in half precision.
        let weight = self.fc2.weight.val().cast(gamma.dtype()) * gamma.unsqueeze();
        x + affine(gelu(y), weight, bias)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Distribution, Tolerance};

    use super::*;

    #[test]
    fn layer_scale_folded_into_the_weights_is_the_published_block() {
        let device = Device::flex();
        let config = VisionConfig::tiny();
        let mut block = Block::init(8, &config, &device);
        block.gamma =
            block.gamma.map(|_| Tensor::random([8], Distribution::Normal(0.0, 1.0), &device));
        let x = Tensor::<4>::random([1, 9, 8, 8], Distribution::Default, &device);
        let hidden = tp_kernels::gelu(
            block.fc1.forward(block.norm.forward(block.conv_dw.forward(x.clone()))),
        );
        let expected =
            x.clone() + block.fc2.forward(hidden) * block.gamma.val().reshape([1, 1, 1, 8]);
        block
            .forward(x)
            .into_data()
            .assert_approx_eq::<f32>(&expected.into_data(), Tolerance::absolute(1e-5));
    }

    #[test]
    fn maps_have_strides_4_to_32_and_no_norm_at_the_end() {
        let config = VisionConfig {
            backbone_dims: [4, 8, 12, 16],
            backbone_depths: [1; 4],
            ..VisionConfig::tiny()
        };
        let device = Device::flex();
        let images = Tensor::random([2, 3, 64, 96], Distribution::Default, &device);
        let maps = ConvNext::init(&config, &device).forward(images);
        assert_eq!(
            maps.each_ref().map(|map| map.dims()),
            [[2, 16, 24, 4], [2, 8, 12, 8], [2, 4, 6, 12], [2, 2, 3, 16]]
        );
        let mean: Vec<f32> = maps[3].clone().mean_dim(3).into_data().iter::<f32>().collect();
        assert!(mean.iter().any(|mean| mean.abs() > 1e-3), "{mean:?}");
    }
}
