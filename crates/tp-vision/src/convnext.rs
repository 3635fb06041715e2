//! The backbone: ConvNeXt, as CLIP's image tower has it; feature maps stay channels-last.
//!
//! Source: OMG-LLaVA's frozen CLIP ConvNeXt-L; equal to timm's `convnext_large` without its head.

use burn::{
    module::{Initializer, Module, Param},
    nn::{Linear, LinearConfig},
    tensor::{Device, Tensor},
};

use crate::{VisionConfig, convolution::Patchify, norm::ChannelNorm};

/// Four stages at strides 4, 8, 16 and 32.
#[derive(Module, Debug)]
pub struct ConvNext {
    stem: Patchify,
    stem_norm: ChannelNorm,
    stages: Vec<Stage>,
}

impl ConvNext {
    pub(crate) fn init(config: &VisionConfig, device: &Device) -> Self {
        let dims = config.backbone_dims;
        let eps = config.backbone_ln_eps;
        let stages = (0..4)
            .map(|index| Stage {
                downsample: (index > 0).then(|| Downsample {
                    norm: ChannelNorm::init(dims[index - 1], eps, device),
                    conv: Patchify::init(dims[index - 1], dims[index], 2, device),
                }),
                blocks: (0..config.backbone_depths[index]).map(|_| Block::init(dims[index], config, device)).collect(),
            })
            .collect();
        Self { stem: Patchify::init(3, dims[0], 4, device), stem_norm: ChannelNorm::init(dims[0], eps, device), stages }
    }

    /// `[batch, 3, height, width]` → C2 … C5, each `[batch, height / stride, width / stride, channels]`.
    pub fn forward(&self, images: Tensor<4>) -> [Tensor<4>; 4] {
        let mut x = self.stem_norm.forward(self.stem.forward(images.permute([0, 2, 3, 1])));
        let mut maps = Vec::with_capacity(4);
        for stage in &self.stages {
            x = stage.forward(x);
            maps.push(x.clone());
        }
        maps.try_into().expect("there are four stages")
    }
}

#[derive(Module, Debug)]
struct Stage {
    downsample: Option<Downsample>,
    blocks: Vec<Block>,
}

impl Stage {
    fn forward(&self, mut x: Tensor<4>) -> Tensor<4> {
        if let Some(downsample) = &self.downsample {
            x = downsample.conv.forward(downsample.norm.forward(x));
        }
        self.blocks.iter().fold(x, |x, block| block.forward(x))
    }
}

#[derive(Module, Debug)]
struct Downsample {
    norm: ChannelNorm,
    conv: Patchify,
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
        let small = Initializer::Normal { mean: 0.0, std: 0.02 };
        Self {
            conv_dw: Depthwise {
                weight: Initializer::Normal { mean: 0.0, std: 0.05 }.init([channels, 1, 7, 7], device),
                bias: Initializer::Zeros.init([channels], device),
            },
            norm: ChannelNorm::init(channels, config.backbone_ln_eps, device),
            fc1: LinearConfig::new(channels, 4 * channels).with_initializer(Initializer::KaimingUniform { gain: 0.577, fan_out_only: false }).init(device),
            fc2: LinearConfig::new(4 * channels, channels).with_initializer(small).init(device),
            gamma: Initializer::Constant { value: config.layer_scale }.init([channels], device),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let y = tp_kernels::depthwise_conv2d(x.clone(), self.conv_dw.weight.val(), self.conv_dw.bias.val());
        let y = self.fc1.forward(self.norm.forward(y));
        let y = self.fc2.forward(tp_kernels::gelu(y));
        x + y * self.gamma.val().unsqueeze::<4>()
    }
}

#[derive(Module, Debug)]
struct Depthwise {
    weight: Param<Tensor<4>>, // [channels, 1, 7, 7]
    bias: Param<Tensor<1>>,
}
