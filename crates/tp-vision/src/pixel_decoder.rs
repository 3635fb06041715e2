//! The pixel decoder: deformable attention over three levels, then upsampling to stride 4.
//!
//! Source: Mask2Former's multi-scale deformable pixel decoder, as OMG-Seg configures it.

use burn::{
    module::{Module, Param},
    nn::Initializer,
    tensor::{Device, Tensor, activation::relu},
};

use crate::{
    VisionConfig,
    convolution::Convolution,
    deformable_encoder::{EncoderLayer, Pyramid},
    norm::GroupNorm,
    position_encoding::SineCode,
    resize::resized,
};

/// Computes mask features and three memories from C2 … C5.
#[derive(Module, Debug)]
pub struct PixelDecoder {
    input_convs: Vec<Projection>,     // of C5, C4, C3
    level_encoding: Param<Tensor<2>>, // [level, feat]
    encoder: Vec<EncoderLayer>,
    lateral: Projection, // of C2
    output: Projection,
    mask_feature: Convolution,
    heads: usize,
    points: usize,
    #[module(skip)]
    code: SineCode,
}

/// A convolution and a group norm.
#[derive(Module, Debug)]
struct Projection {
    conv: Convolution,
    gn: GroupNorm,
}

impl PixelDecoder {
    pub(crate) fn init(config: &VisionConfig, device: &Device) -> Self {
        let [c2, c3, c4, c5] = config.backbone_dims;
        let feat = config.feat_channels;
        let projection = |conv: Convolution| Projection {
            conv,
            gn: GroupNorm::init(feat, config.gn_groups, config.norm_eps, device),
        };
        let xavier = Initializer::XavierUniform { gain: 1.0 };
        // The "Caffe2 Xavier" initialization of the original: uniform with variance 1 / fan_in.
        let caffe = Initializer::KaimingUniform { gain: 1.0, fan_out_only: false };
        Self {
            input_convs: [c5, c4, c3]
                .map(|from| projection(Convolution::init([feat, from, 1], &xavier, device)))
                .into(),
            level_encoding: Initializer::Normal { mean: 0.0, std: 1.0 }
                .init([config.encoder_levels, feat], device),
            encoder: (0..config.encoder_layers)
                .map(|_| EncoderLayer::init(config, device))
                .collect(),
            lateral: projection(Convolution::init([feat, c2, 1], &caffe, device).without_bias()),
            output: projection(Convolution::init([feat, feat, 3], &caffe, device).without_bias()),
            mask_feature: Convolution::init([feat, feat, 1], &caffe, device),
            heads: config.encoder_heads,
            points: config.encoder_points,
            code: SineCode::of(config),
        }
    }

    /// Mask features `[batch, height / 4, width / 4, feat]`, and the memories of strides 32, 16 and
    /// 8.
    #[must_use]
    pub fn forward(&self, [c2, c3, c4, c5]: [Tensor<4>; 4]) -> (Tensor<4>, [Tensor<4>; 3]) {
        let memories = self.memories([c5, c4, c3]);
        let [_, height, width, _] = c2.dims();
        let finest = self.lateral.gn.forward(self.lateral.conv.pointwise(c2))
            + resized(memories[2].clone(), [height, width]);
        let finest = relu(self.output.gn.forward(self.output.conv.same_3x3(finest)));
        (self.mask_feature.pointwise(finest), memories)
    }

    /// The deformable encoder over three maps, coarsest first.
    fn memories(&self, maps: [Tensor<4>; 3]) -> [Tensor<4>; 3] {
        let device = maps[0].device();
        let maps: Vec<Tensor<4>> = maps
            .into_iter()
            .zip(&self.input_convs)
            .map(|(map, input)| input.gn.forward(input.conv.pointwise(map)))
            .collect();
        let shapes: Vec<[usize; 2]> =
            maps.iter().map(|map| [map.dims()[1], map.dims()[2]]).collect();
        let [batch, _, _, feat] = maps[0].dims();
        let flat = |map: Tensor<4>| {
            let [batch, h, w, feat] = map.dims();
            map.reshape([batch, h * w, feat])
        };
        let position = shapes.iter().enumerate().map(|(level, &[h, w])| {
            let code = self.code.grid(h, w, feat, &device).reshape([1, h * w, feat]);
            code + self.level_encoding.val().narrow(0, level, 1).unsqueeze::<3>()
        });
        let pyramid = Pyramid::new(
            shapes.clone(),
            Tensor::cat(position.collect(), 1),
            [self.heads, self.points],
        );
        let tokens = Tensor::cat(maps.into_iter().map(flat).collect(), 1); // [batch, token, feat]
        let tokens =
            self.encoder.iter().fold(tokens, |tokens, layer| layer.forward(tokens, &pyramid));
        let mut start = 0;
        let memories: Vec<Tensor<4>> = shapes
            .iter()
            .map(|&[h, w]| {
                let memory = tokens.clone().narrow(1, start, h * w).reshape([batch, h, w, feat]);
                start += h * w;
                memory
            })
            .collect();
        memories.try_into().expect("there are three levels")
    }
}
