//! What the language model is told of an image: one token for each coarse cell, a separator, one for each object.
//!
//! Source: OMG-LLaVA's projector.

use burn::{
    module::{Module, Param},
    nn::{Initializer, Linear, LinearConfig},
    tensor::{Device, Int, Tensor, TensorData},
};
use tp_kernels::{gelu, linear};

use crate::{
    QueryOutput, VisionConfig,
    perception_prior::{claims, kept_queries, prior},
};

/// The visual tokens of a batch of images.
#[derive(Clone, Debug)]
pub struct VisualTokens {
    /// `[image, token, hidden]`, right-padded: pixel tokens row by row, separator, object tokens. What pads a row means nothing.
    pub embeddings: Tensor<3>,
    /// The true number of tokens of each image.
    pub lengths: Vec<usize>,
}

/// Eyes → language model.
#[derive(Module, Debug)]
pub struct VisualProjector {
    query_proj: Linear,
    model: Vec<Linear>,
    model_feat: Vec<Linear>,
    separator: Param<Tensor<2>>, // [1, hidden]
    unshuffle: usize,
    prior_smooth: f64,
}

impl VisualProjector {
    pub(crate) fn init(config: &VisionConfig, device: &Device) -> Self {
        let d_pixel = config.backbone_dims[3] * config.unshuffle * config.unshuffle;
        let (d_query, hidden) = (config.prior_dim(), config.hidden_size);
        let linear = |from, to| LinearConfig::new(from, to).init(device);
        let path = |from| (0..config.projector_depth).map(|depth| linear(if depth == 0 { from } else { hidden }, hidden)).collect();
        Self {
            query_proj: linear(d_query, d_pixel),
            model: path(d_pixel),
            model_feat: path(d_pixel + d_query),
            separator: Initializer::Normal { mean: 0.0, std: 0.02 }.init([1, hidden], device),
            unshuffle: config.unshuffle,
            prior_smooth: config.prior_smooth,
        }
    }

    /// Query vectors (content and position joined), `[…, 2 · feat]` → tokens `[…, hidden]`.
    #[must_use]
    pub fn object_tokens<const D: usize>(&self, vectors: Tensor<D>) -> Tensor<D> {
        // No activation after the first: the published weights have none.
        through(&self.model, linear(&self.query_proj, vectors))
    }

    /// All visual tokens of a batch of images.
    ///
    /// - `coarse`: C5, `[batch, height, width, channels]`
    #[must_use]
    pub fn forward(&self, coarse: Tensor<4>, queries: &QueryOutput) -> VisualTokens {
        let device = coarse.device();
        let cells = unshuffled(coarse, self.unshuffle);
        let [batch, rows, columns, d_pixel] = cells.dims();
        let n_cells = rows * columns;
        let [_, n_queries, feat] = queries.query_features.dims();
        let positions = queries.query_positions.clone().unsqueeze::<3>().expand([batch, n_queries, feat]);
        let vectors = Tensor::cat(vec![queries.query_features.clone(), positions], 2); // [batch, query, 2 · feat]

        let claims = claims(queries, [rows, columns], self.prior_smooth);
        // Whom to keep is a decision: made on the host, without gradient.
        let kept = kept_queries(&claims);
        let prior = prior(claims, vectors.clone());
        let pixels = Tensor::cat(vec![cells.reshape([batch, n_cells, d_pixel]), prior], 2);
        let pixels = through(&self.model_feat, pixels); // [batch, cell, hidden]
        let hidden = pixels.dims()[2];
        let separator = self.separator.val().unsqueeze::<3>().expand([batch, 1, hidden]);

        let most = kept.iter().map(Vec::len).max().unwrap_or(0);
        let chosen: Vec<i64> = kept
            .iter()
            .enumerate()
            .flat_map(|(image, kept)| {
                let padding = std::iter::repeat(&0);
                kept.iter().chain(padding).take(most).map(move |query| (image * n_queries + query) as i64)
            })
            .collect();
        let chosen = Tensor::<1, Int>::from_data(TensorData::new(chosen, [batch * most]), &device);
        let objects = vectors.reshape([batch * n_queries, 2 * feat]).select(0, chosen);
        let objects = self.object_tokens(objects).reshape([batch, most, hidden]);
        VisualTokens {
            embeddings: Tensor::cat(vec![pixels, separator, objects], 1),
            lengths: kept.iter().map(|kept| n_cells + 1 + kept.len()).collect(),
        }
    }

    /// The device of the weights.
    pub(crate) fn device(&self) -> Device {
        self.separator.val().device()
    }

    /// Side of the block of coarse cells that becomes one token.
    pub(crate) fn unshuffle(&self) -> usize {
        self.unshuffle
    }
}

/// Linear layers with GELUs between.
fn through<const D: usize>(layers: &[Linear], x: Tensor<D>) -> Tensor<D> {
    layers.iter().enumerate().fold(x, |x, (depth, layer)| linear(layer, if depth == 0 { x } else { gelu(x) }))
}

/// Blocks of `factor`² cells become channels, the place in the block major: `[b, h, w, c]` → `[b, h / f, w / f, f · f · c]`.
fn unshuffled(x: Tensor<4>, factor: usize) -> Tensor<4> {
    if factor == 1 {
        return x;
    }
    let [batch, height, width, channels] = x.dims();
    let (rows, columns) = (height / factor, width / factor);
    let blocks = x.reshape([batch, rows, factor, columns, factor, channels]).permute([0, 1, 3, 2, 4, 5]);
    blocks.reshape([batch, rows, columns, factor * factor * channels])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unshuffled_channels_are_row_column_channel() {
        // Cell (y, x) of channel c holds c + 100 y + 10 x; three channels.
        let values: Vec<f32> = (0..4).flat_map(|y| (0..2).flat_map(move |x| (0..3).map(move |c| (c + 100 * y + 10 * x) as f32))).collect();
        let x = Tensor::<4>::from_data(TensorData::new(values, [1, 4, 2, 3]), &Device::flex());
        let y: Vec<f32> = unshuffled(x, 2).into_data().iter::<f32>().collect();
        assert_eq!(y[..12], [0.0, 1.0, 2.0, 10.0, 11.0, 12.0, 100.0, 101.0, 102.0, 110.0, 111.0, 112.0]);
        assert_eq!(y[12], 200.0);
    }
}
