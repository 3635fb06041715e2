//! Ours, and the default: the projected state of `[SEG]` is compared with every cell of the finest features, and with
//! one learned "nowhere".
//!
//! Two numbers squeezed out of one token mostly learn to read; a state compared with places learns to look
//! (`docs/training.md`).

use burn::{
    config::Config,
    module::{Initializer, Module, Param},
    nn::{Linear, LinearConfig},
    tensor::{Device, Tensor},
};
use tp_kernels::linear;
use tp_vision::sine_code_of_grid;

/// Shape of the heat-map head.
#[derive(Config, Debug)]
pub struct HeatmapHeadConfig {
    /// Width of the projected `[SEG]` state, `2 · feat_channels`.
    pub d_state: usize,
    /// Width of the finest features.
    pub feat_channels: usize,
    /// Width in which state and cells are compared.
    pub d_match: usize,
}

impl HeatmapHeadConfig {
    /// A head to be trained.
    #[must_use]
    pub fn init(&self, device: &Device) -> HeatmapHead {
        HeatmapHead {
            cell: LinearConfig::new(2 * self.feat_channels, self.d_match).init(device),
            query: LinearConfig::new(self.d_state, self.d_match).init(device),
            nowhere: LinearConfig::new(self.d_state, 1).init(device),
            nowhere_bias: Initializer::Zeros.init([1], device),
        }
    }
}

/// State and features → a distribution over cells and "nowhere".
#[derive(Module, Debug)]
pub struct HeatmapHead {
    cell: Linear,
    query: Linear,
    nowhere: Linear,
    nowhere_bias: Param<Tensor<1>>,
}

impl HeatmapHead {
    /// Logits over the cells, row-major, then "nowhere".
    ///
    /// The logits of cells are densities: each is lowered by the log of the number of cells, so that "nowhere" means
    /// the same at every input size.
    ///
    /// # Shapes
    ///
    /// - `state`: `[image, text, d_state]`
    /// - `mask_features`: `[image, height, width, feat_channels]`
    /// - output: `[image, text, height · width + 1]`
    #[must_use]
    pub fn forward(&self, state: Tensor<3>, mask_features: Tensor<4>) -> Tensor<3> {
        let [n_images, height, width, channels] = mask_features.dims();
        // Without its place a cell cannot be "the left one": a convolution does not know where it is.
        let place = sine_code_of_grid(height, width, channels, &mask_features.device()).unsqueeze::<4>();
        let cells = Tensor::cat(vec![mask_features, place.expand([n_images, height, width, channels])], 3);
        let query = linear(&self.query, state.clone()); // [image, text, d_match]
        let d_match = query.dims()[2];
        let cells = linear(&self.cell, cells).reshape([n_images, height * width, d_match]); // [image, cell, d_match]
        let logits = query.matmul(cells.swap_dims(1, 2)).div_scalar((d_match as f64).sqrt()).sub_scalar(((height * width) as f64).ln());
        let nowhere = linear(&self.nowhere, state) + self.nowhere_bias.val().reshape([1, 1, 1]);
        Tensor::cat(vec![logits, nowhere], 2)
    }
}
