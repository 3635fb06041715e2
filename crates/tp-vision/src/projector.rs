//! The visual tokens of the language model: one per stride-32 cell or block of cells, a separator,
//! and one per object.
//!
//! Source: OMG-LLaVA's projector.

use burn::{
    module::{Module, Param},
    nn::{Initializer, Linear, LinearConfig},
    tensor::{Device, Tensor},
};
use tp_kernels::{gelu, linear};

use crate::{PerceptionPrior, QueryOutput, VisionConfig};

/// The visual tokens of a batch of images.
#[derive(Clone, Debug)]
pub struct VisualTokens {
    /// `[image, token, hidden]`, right-padded: pixel tokens row by row, separator, object tokens.
    /// Padding has arbitrary values.
    pub embeddings: Tensor<3>,
    /// The number of tokens of each image, without padding.
    pub lengths: Vec<usize>,
}

/// The projection from the vision encoder to the language model.
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
        let path = |from| {
            (0..config.projector_depth)
                .map(|depth| linear(if depth == 0 { from } else { hidden }, hidden))
                .collect()
        };
        Self {
            query_proj: linear(d_query, d_pixel),
            model: path(d_pixel),
            model_feat: path(d_pixel + d_query),
            separator: Initializer::Normal { mean: 0.0, std: 0.02 }.init([1, hidden], device),
            unshuffle: config.unshuffle,
            prior_smooth: config.prior_smooth,
        }
    }

    /// Projects query vectors (content and position concatenated), `[…, 2 · feat]`, to tokens `[…,
    /// hidden]`.
    #[must_use]
    pub fn object_tokens<const D: usize>(&self, vectors: Tensor<D>) -> Tensor<D> {
        // No activation after the first layer, because the published weights have none.
        through(&self.model, linear(&self.query_proj, vectors))
    }

    /// All visual tokens of a batch of images.
    ///
    /// - `coarse`: C5, `[batch, height, width, channels]`
    #[must_use]
    pub fn forward(&self, coarse: Tensor<4>, queries: &QueryOutput) -> VisualTokens {
        let [_, height, width, _] = coarse.dims();
        let grid = [height / self.unshuffle, width / self.unshuffle];
        let prior = PerceptionPrior::new(queries, grid, self.prior_smooth);
        let pixels = self.pixel_tokens(coarse, prior.mixture.clone());
        let n_cells = pixels.dims()[1];
        VisualTokens {
            embeddings: self.sequence(pixels, self.object_tokens(prior.kept_vectors())),
            lengths: prior.kept.iter().map(|kept| n_cells + 1 + kept.len()).collect(),
        }
    }

    /// One token per block of coarse cells, row by row, `[batch, cell, hidden]`, from C5
    /// concatenated with the mixture of the [`PerceptionPrior`].
    #[must_use]
    pub fn pixel_tokens(&self, coarse: Tensor<4>, mixture: Tensor<3>) -> Tensor<3> {
        let cells = unshuffled(coarse, self.unshuffle);
        let [batch, rows, columns, d_pixel] = cells.dims();
        let cells = cells.reshape([batch, rows * columns, d_pixel]);
        through(&self.model_feat, Tensor::cat(vec![cells, mixture], 2))
    }

    /// Pixel tokens, the separator, object tokens.
    #[must_use]
    pub fn sequence(&self, pixels: Tensor<3>, objects: Tensor<3>) -> Tensor<3> {
        let [batch, _, hidden] = pixels.dims();
        let separator = self.separator.val().unsqueeze::<3>().expand([batch, 1, hidden]);
        Tensor::cat(vec![pixels, separator, objects], 1)
    }

    /// The device of the weights.
    pub(crate) fn device(&self) -> Device {
        self.separator.val().device()
    }

    /// Side length of the block of coarse cells that becomes one token.
    pub(crate) fn unshuffle(&self) -> usize {
        self.unshuffle
    }
}

/// Linear layers with GELU in between.
fn through<const D: usize>(layers: &[Linear], x: Tensor<D>) -> Tensor<D> {
    layers
        .iter()
        .enumerate()
        .fold(x, |x, (depth, layer)| linear(layer, if depth == 0 { x } else { gelu(x) }))
}

/// Blocks of `factor`² cells become channels, the place in the block major: `[b, h, w, c]` → `[b, h
/// / f, w / f, f · f · c]`.
fn unshuffled(x: Tensor<4>, factor: usize) -> Tensor<4> {
    if factor == 1 {
        return x;
    }
    let [batch, height, width, channels] = x.dims();
    let (rows, columns) = (height / factor, width / factor);
    let blocks =
        x.reshape([batch, rows, factor, columns, factor, channels]).permute([0, 1, 3, 2, 4, 5]);
    blocks.reshape([batch, rows, columns, factor * factor * channels])
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;

    use super::*;

    #[test]
    fn unshuffled_channels_are_row_column_channel() {
        // Cell (y, x) of channel c has the value c + 100 y + 10 x; three channels.
        let values: Vec<f32> = (0..4)
            .flat_map(|y| {
                (0..2).flat_map(move |x| (0..3).map(move |c| (c + 100 * y + 10 * x) as f32))
            })
            .collect();
        let x = Tensor::<4>::from_data(TensorData::new(values, [1, 4, 2, 3]), &Device::flex());
        let y: Vec<f32> = unshuffled(x, 2).into_data().iter::<f32>().collect();
        assert_eq!(
            y[..12],
            [0.0, 1.0, 2.0, 10.0, 11.0, 12.0, 100.0, 101.0, 102.0, 110.0, 111.0, 112.0]
        );
        assert_eq!(y[12], 200.0);
    }
}
