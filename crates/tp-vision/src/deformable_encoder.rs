//! Deformable self-attention over the cells of three levels.
//!
//! Source: Mask2Former's pixel decoder (multi-scale deformable attention, post-norm, without a
//! final norm).

use burn::{
    module::{Module, Param},
    nn::{Initializer, Linear, LinearConfig},
    tensor::{Device, Tensor, TensorData, activation::relu},
};
use tp_kernels::{affine, deformable_attention, linear, softmax};

use crate::{VisionConfig, norm::ChannelNorm};

/// The geometry of the cells of all levels, which every layer needs besides the features.
pub(crate) struct Pyramid {
    /// `[height, width]` of each level, coarse first.
    shapes: Vec<[usize; 2]>,
    /// Position code of every cell plus the level embedding, `[1, token, feat]`.
    position: Tensor<3>,
    /// The center of every cell, repeated for all of its samples: `[1, token, head · level · point
    /// · 2]`.
    reference: Tensor<3>,
    /// The reciprocal of (width, height) of the sampled level, `[1, head · level · point · 2]`.
    inverse_size: Tensor<2>,
}

impl Pyramid {
    pub(crate) fn new(shapes: Vec<[usize; 2]>, position: Tensor<3>, config: [usize; 2]) -> Self {
        let [heads, points] = config;
        let device = position.device();
        let samples = heads * shapes.len() * points;
        let reference: Vec<f32> = reference_points(&shapes)
            .flat_map(|xy| std::iter::repeat_n(xy, samples))
            .flatten()
            .collect();
        let tokens = reference.len() / (2 * samples);
        let of_level =
            |&[h, w]: &[usize; 2]| std::iter::repeat_n([1.0 / w as f32, 1.0 / h as f32], points);
        let inverse_size: Vec<f32> = std::iter::repeat_n(shapes.iter().flat_map(of_level), heads)
            .flatten()
            .flatten()
            .collect();
        Self {
            shapes,
            position,
            reference: Tensor::from_data(
                TensorData::new(reference, [1, tokens, 2 * samples]),
                &device,
            ),
            inverse_size: Tensor::from_data(
                TensorData::new(inverse_size, [1, 2 * samples]),
                &device,
            ),
        }
    }
}

/// The cell centers of every level, (x, y) in [0, 1].
fn reference_points(shapes: &[[usize; 2]]) -> impl Iterator<Item = [f32; 2]> {
    shapes.iter().flat_map(|&[h, w]| {
        (0..h * w).map(move |cell| {
            [((cell % w) as f32 + 0.5) / w as f32, ((cell / w) as f32 + 0.5) / h as f32]
        })
    })
}

/// Deformable self-attention, then a feed-forward network, both post-norm.
#[derive(Module, Debug)]
pub(crate) struct EncoderLayer {
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
    pub(crate) fn init(config: &VisionConfig, device: &Device) -> Self {
        let (feat, heads, levels, points) = (
            config.feat_channels,
            config.encoder_heads,
            config.encoder_levels,
            config.encoder_points,
        );
        let samples = heads * levels * points;
        let matrix = |from, to, initializer| {
            let mut linear = LinearConfig::new(from, to).with_initializer(initializer).init(device);
            linear.bias = Some(Initializer::Zeros.init([to], device));
            linear
        };
        let xavier = Initializer::XavierNormal { gain: 1.0 };
        let mut sampling_offsets = matrix(feat, 2 * samples, Initializer::Zeros);
        sampling_offsets.bias = Some(Param::from_data(
            TensorData::new(initial_offsets(heads, levels, points), [2 * samples]),
            device,
        ));
        Self {
            sampling_offsets,
            attention_weights: matrix(feat, samples, Initializer::Zeros),
            value_proj: matrix(feat, feat, xavier.clone()),
            output_proj: matrix(feat, feat, xavier.clone()),
            attention_norm: ChannelNorm::init(feat, config.norm_eps, device),
            fc1: matrix(feat, config.encoder_ffn, xavier.clone()),
            fc2: matrix(config.encoder_ffn, feat, xavier),
            ffn_norm: ChannelNorm::init(feat, config.norm_eps, device),
            heads,
            points,
        }
    }

    /// `[batch, token, feat]`, the same shape.
    pub(crate) fn forward(&self, x: Tensor<3>, pyramid: &Pyramid) -> Tensor<3> {
        let [batch, tokens, feat] = x.dims();
        let (heads, points, levels) = (self.heads, self.points, pyramid.shapes.len());
        let query = x.clone() + pyramid.position.clone();
        // Positions determine where to sample but are not part of the values.
        let value =
            linear(&self.value_proj, x.clone()).reshape([batch, tokens, heads, feat / heads]);
        let locations = self
            .locations(query.clone(), pyramid)
            .reshape([batch, tokens, heads, levels, points, 2]);
        let weights =
            linear(&self.attention_weights, query).reshape([batch, tokens, heads, levels * points]);
        let weights = softmax(weights).reshape([batch, tokens, heads, levels, points]); // jointly over levels and points
        let read = deformable_attention(value, &pyramid.shapes, locations, weights);
        let x = self.attention_norm.forward(x + linear(&self.output_proj, read));
        let y = linear(&self.fc2, relu(linear(&self.fc1, x.clone())));
        self.ffn_norm.forward(x + y)
    }

    /// `[batch, token, head · level · point · 2]` in [0, 1]. Offsets are in cells of the sampled
    /// level; dividing the weights by its size is cheaper than dividing the offsets.
    fn locations(&self, query: Tensor<3>, pyramid: &Pyramid) -> Tensor<3> {
        let weight = self.sampling_offsets.weight.val() * pyramid.inverse_size.clone();
        let bias = self
            .sampling_offsets
            .bias
            .as_ref()
            .map(|bias| bias.val() * pyramid.inverse_size.clone().squeeze_dim(0));
        affine(query, weight, bias) + pyramid.reference.clone()
    }
}

/// One direction per head, with the n-th point n times as far: `[head, level, point, (x, y)]`.
fn initial_offsets(heads: usize, levels: usize, points: usize) -> Vec<f32> {
    let direction = |head: usize| {
        let (sin, cos) = (std::f64::consts::TAU * head as f64 / heads as f64).sin_cos();
        let longest = sin.abs().max(cos.abs());
        [cos / longest, sin / longest]
    };
    let ray = |head| {
        (1..=points).flat_map(move |point| direction(head).map(|v| (v * point as f64) as f32))
    };
    (0..heads).flat_map(|head| (0..levels).flat_map(move |_| ray(head))).collect()
}

#[cfg(test)]
mod tests {
    use burn::tensor::Distribution;

    use super::*;

    #[test]
    fn reference_points_are_cell_centres_x_first() {
        let points: Vec<[f32; 2]> = reference_points(&[[32, 32], [2, 4]]).collect();
        assert_eq!(points[0], [1.0 / 64.0, 1.0 / 64.0]);
        assert_eq!(points[1024 + 1], [0.375, 0.25]); // the second cell of two rows of four
    }

    #[test]
    fn offsets_are_divided_by_width_then_height() {
        // Head 0 samples along x: its first point is one cell to the right of the center, at every
        // level.
        let device = Device::flex();
        let config = VisionConfig {
            feat_channels: 8,
            encoder_heads: 4,
            encoder_points: 1,
            ..VisionConfig::tiny()
        };
        let layer = EncoderLayer::init(&config, &device);
        let shapes = vec![[2, 4], [4, 8], [8, 16]];
        let tokens = 8 + 32 + 128;
        let pyramid = Pyramid::new(shapes, Tensor::zeros([1, tokens, 8], &device), [4, 1]);
        let locations: Vec<f32> = layer
            .locations(Tensor::zeros([1, tokens, 8], &device), &pyramid)
            .into_data()
            .iter::<f32>()
            .collect();
        // Token 0 is at (1/8, 1/4); heads by levels by (x, y).
        let expected = [0.125 + 0.25, 0.25, 0.125 + 0.125, 0.25, 0.125 + 0.0625, 0.25];
        for (actual, expected) in locations.iter().zip(expected) {
            assert!((actual - expected).abs() < 1e-6, "{actual} differs from {expected}");
        }
        // Head 1 of four samples along y.
        assert!((locations[6] - 0.125).abs() < 1e-6 && (locations[7] - 0.75).abs() < 1e-6);
    }

    #[test]
    fn levels_are_not_interchangeable() {
        let device = Device::flex();
        let config = VisionConfig { feat_channels: 8, encoder_heads: 2, ..VisionConfig::tiny() };
        let layer = EncoderLayer::init(&config, &device);
        let pyramid = |shapes| Pyramid::new(shapes, Tensor::zeros([1, 3 * 8, 8], &device), [2, 4]);
        let x = Tensor::<3>::random([1, 3 * 8, 8], Distribution::Default, &device);
        let a = layer.forward(x.clone(), &pyramid(vec![[2, 4], [4, 2], [1, 8]]));
        let b = layer.forward(x, &pyramid(vec![[4, 2], [2, 4], [1, 8]]));
        assert_ne!(a.into_data(), b.into_data());
    }
}
