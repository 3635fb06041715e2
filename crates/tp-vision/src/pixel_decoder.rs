//! The pixel decoder: deformable attention among three levels, then one step up to stride 4.
//!
//! Source: Mask2Former's multi-scale deformable pixel decoder, as OMG-Seg configures it.

use burn::{
    module::{Initializer, Module, Param},
    nn::{Linear, LinearConfig},
    tensor::{Device, Tensor, TensorData, activation::relu},
};

use crate::{
    VisionConfig,
    convolution::{Conv3x3, upsampled_twice},
    norm::{ChannelNorm, GroupNorm},
    position_encoding::sine_code_of_grid,
};

/// C2 … C5 → mask features and three memories.
#[derive(Module, Debug)]
pub struct PixelDecoder {
    input_convs: Vec<Projection>,
    level_encoding: Param<Tensor<2>>, // [3, feat]
    encoder: Vec<EncoderLayer>,
    lateral: Projection,
    output: Conv3x3,
    output_norm: GroupNorm,
    mask_feature: Linear,
}

/// A 1×1 convolution and a group norm.
#[derive(Module, Debug)]
struct Projection {
    conv: Linear,
    gn: GroupNorm,
}

impl Projection {
    fn init(from: usize, bias: bool, config: &VisionConfig, device: &Device) -> Self {
        Self {
            conv: LinearConfig::new(from, config.feat_channels)
                .with_bias(bias)
                .with_initializer(Initializer::XavierUniform { gain: 1.0 })
                .init(device),
            gn: GroupNorm::init(config.feat_channels, config.gn_groups, config.norm_eps, device),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.gn.forward(self.conv.forward(x))
    }
}

impl PixelDecoder {
    pub(crate) fn init(config: &VisionConfig, device: &Device) -> Self {
        let [c2, c3, c4, c5] = config.backbone_dims;
        let feat = config.feat_channels;
        Self {
            input_convs: [c5, c4, c3].map(|from| Projection::init(from, true, config, device)).into(),
            level_encoding: Initializer::Normal { mean: 0.0, std: 1.0 }.init([3, feat], device),
            encoder: (0..config.encoder_layers).map(|_| EncoderLayer::init(config, device)).collect(),
            lateral: Projection::init(c2, false, config, device),
            output: Conv3x3::init(feat, feat, device),
            output_norm: GroupNorm::init(feat, config.gn_groups, config.norm_eps, device),
            mask_feature: LinearConfig::new(feat, feat).init(device),
        }
    }

    /// Mask features `[batch, height / 4, width / 4, feat]`, and the memories of strides 32, 16 and 8.
    pub fn forward(&self, [c2, c3, c4, c5]: [Tensor<4>; 4]) -> (Tensor<4>, [Tensor<4>; 3]) {
        let device = c2.device();
        let maps: Vec<Tensor<4>> = [c5, c4, c3].into_iter().zip(&self.input_convs).map(|(map, conv)| conv.forward(map)).collect();
        let shapes: Vec<[usize; 2]> = maps.iter().map(|map| [map.dims()[1], map.dims()[2]]).collect();
        let [batch, _, _, feat] = maps[0].dims();

        let tokens = |map: Tensor<4>| {
            let [b, h, w, c] = map.dims();
            map.reshape([b, h * w, c])
        };
        let mut x = Tensor::cat(maps.into_iter().map(tokens).collect(), 1); // [batch, token, feat]
        let position: Vec<Tensor<3>> = shapes
            .iter()
            .enumerate()
            .map(|(level, &[h, w])| {
                let code = sine_code_of_grid(h, w, feat, &device).reshape([1, h * w, feat]);
                code + self.level_encoding.val().narrow(0, level, 1).unsqueeze::<3>()
            })
            .collect();
        let position = Tensor::cat(position, 1); // [1, token, feat]
        let reference = reference_points(&shapes, &device);
        for layer in &self.encoder {
            x = layer.forward(x, &position, &reference, &shapes);
        }

        let mut start = 0;
        let memories: Vec<Tensor<4>> = shapes
            .iter()
            .map(|&[h, w]| {
                let memory = x.clone().narrow(1, start, h * w).reshape([batch, h, w, feat]);
                start += h * w;
                memory
            })
            .collect();
        let memories: [Tensor<4>; 3] = memories.try_into().expect("there are three levels");
        let finest = self.lateral.forward(c2) + upsampled_twice(memories[2].clone());
        let finest = relu(self.output_norm.forward(self.output.forward(finest)));
        (self.mask_feature.forward(finest), memories)
    }
}

/// The cell centres of every level, `[1, token, 1, 1, 1, 2]`, (x, y) in [0, 1].
fn reference_points(shapes: &[[usize; 2]], device: &Device) -> Tensor<6> {
    let points: Vec<f32> = shapes
        .iter()
        .flat_map(|&[h, w]| {
            (0..h * w).flat_map(move |cell| [((cell % w) as f32 + 0.5) / w as f32, ((cell / w) as f32 + 0.5) / h as f32])
        })
        .collect();
    let n = points.len() / 2;
    Tensor::from_data(TensorData::new(points, [1, n, 1, 1, 1, 2]), device)
}

/// Deformable self-attention, then a feed-forward network, both post-norm.
#[derive(Module, Debug)]
struct EncoderLayer {
    sampling_offsets: Linear,
    attention_weights: Linear,
    value_proj: Linear,
    output_proj: Linear,
    attention_norm: ChannelNorm,
    fc1: Linear,
    fc2: Linear,
    ffn_norm: ChannelNorm,
    heads: usize,
    points: usize,
}

impl EncoderLayer {
    fn init(config: &VisionConfig, device: &Device) -> Self {
        let (feat, heads, points) = (config.feat_channels, config.encoder_heads, config.encoder_points);
        let samples = heads * 3 * points;
        let xavier = Initializer::XavierUniform { gain: 1.0 };
        let mut sampling_offsets = LinearConfig::new(feat, samples * 2).with_initializer(Initializer::Zeros).init(device);
        sampling_offsets.bias = Some(Param::from_tensor(initial_offsets(heads, points, device)));
        Self {
            sampling_offsets,
            attention_weights: LinearConfig::new(feat, samples).with_initializer(Initializer::Zeros).init(device),
            value_proj: LinearConfig::new(feat, feat).with_initializer(xavier.clone()).init(device),
            output_proj: LinearConfig::new(feat, feat).with_initializer(xavier.clone()).init(device),
            attention_norm: ChannelNorm::init(feat, config.norm_eps, device),
            fc1: LinearConfig::new(feat, config.encoder_ffn).with_initializer(xavier.clone()).init(device),
            fc2: LinearConfig::new(config.encoder_ffn, feat).with_initializer(xavier).init(device),
            ffn_norm: ChannelNorm::init(feat, config.norm_eps, device),
            heads,
            points,
        }
    }

    fn forward(&self, x: Tensor<3>, position: &Tensor<3>, reference: &Tensor<6>, shapes: &[[usize; 2]]) -> Tensor<3> {
        let [batch, tokens, feat] = x.dims();
        let (heads, points) = (self.heads, self.points);
        let query = x.clone() + position.clone();
        let value = self.value_proj.forward(x.clone()).reshape([batch, tokens, heads, feat / heads]);
        let offsets = self.sampling_offsets.forward(query.clone()).reshape([batch, tokens, heads, 3, points, 2]);
        // Offsets count pixels of the sampled level; the normaliser's order is (width, height).
        let sizes: Vec<f32> = shapes.iter().flat_map(|&[h, w]| [1.0 / w as f32, 1.0 / h as f32]).collect();
        let sizes = Tensor::<6>::from_data(TensorData::new(sizes, [1, 1, 1, 3, 1, 2]), &x.device());
        let locations = offsets * sizes + reference.clone();
        let weights = self.attention_weights.forward(query).reshape([batch, tokens, heads, 3 * points]);
        let weights = tp_kernels::softmax(weights).reshape([batch, tokens, heads, 3, points]); // jointly over levels and points
        let read = tp_kernels::deformable_attention(value, shapes, locations, weights);
        let x = self.attention_norm.forward(x + self.output_proj.forward(read));
        let y = self.fc2.forward(relu(self.fc1.forward(x.clone())));
        self.ffn_norm.forward(x + y)
    }
}

/// One direction for each head, the n-th point n times as far.
fn initial_offsets(heads: usize, points: usize, device: &Device) -> Tensor<1> {
    let mut offsets = Vec::with_capacity(heads * 3 * points * 2);
    for head in 0..heads {
        let angle = std::f64::consts::TAU * head as f64 / heads as f64;
        let (sin, cos) = angle.sin_cos();
        let longest = sin.abs().max(cos.abs());
        for _level in 0..3 {
            for point in 1..=points {
                offsets.extend([cos, sin].map(|v| (v / longest * point as f64) as f32));
            }
        }
    }
    let n = offsets.len();
    Tensor::from_data(TensorData::new(offsets, [n]), device)
}
