//! Ours, and the default: the projected state of `[SEG]` is compared with every cell of the finest
//! features, and with one learned "nowhere".
//!
//! Two numbers squeezed out of one token mostly learn to read; a state compared with places learns
//! to look (`docs/training.md`).

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
    /// How many maps of the text's nouns and colours take part,
    /// [`MENTION_CHANNELS`](tp_vision::MENTION_CHANNELS) of a model that names points; none where
    /// there are none.
    pub mention_channels: Option<usize>,
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
            mentions: self.mention_channels.map(|channels| MentionWeights::new(channels, device)),
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
    mentions: Option<MentionWeights>,
}

/// What the maps of a text's nouns count.
#[derive(Module, Debug)]
struct MentionWeights {
    cells: Param<Tensor<1>>,   // [channel]
    nowhere: Param<Tensor<1>>, // [channel]
}

impl MentionWeights {
    /// The first object, part and colour count most: others are those of what the thing stands
    /// beside.
    fn new(channels: usize, device: &Device) -> Self {
        let weights =
            |values: Vec<f32>| Param::from_tensor(Tensor::<1>::from_floats(&values[..], device));
        let first = [0.7, 0.2, 0.1, 0.4, 0.1, 0.4, 0.1];
        let cells =
            (0..channels).map(|channel| first.get(channel).copied().unwrap_or(0.0)).collect();
        Self { cells: weights(cells), nowhere: weights(vec![0.0; channels]) }
    }
}

impl HeatmapHead {
    /// Logits over the cells, row-major, then "nowhere".
    ///
    /// The logits of cells are densities: each is lowered by the log of the number of cells, so
    /// that "nowhere" means the same at every input size.
    ///
    /// # Shapes
    ///
    /// - `state`: `[image, text, d_state]`
    /// - `mask_features`: `[image, height, width, feat_channels]`
    /// - `mention_maps`: of [`Namer::mention_maps`](tp_vision::Namer::mention_maps), for a head
    ///   that has weights for them
    /// - output: `[image, text, height · width + 1]`
    #[must_use]
    pub fn forward(
        &self,
        state: Tensor<3>,
        mask_features: Tensor<4>,
        mention_maps: Option<Tensor<4>>,
    ) -> Tensor<3> {
        let [n_images, height, width, channels] = mask_features.dims();
        // Without its place a cell cannot be "the left one": a convolution does not know where it
        // is.
        let place =
            sine_code_of_grid(height, width, channels, &mask_features.device()).unsqueeze::<4>();
        let cells =
            Tensor::cat(vec![mask_features, place.expand([n_images, height, width, channels])], 3);
        let query = linear(&self.query, state.clone()); // [image, text, d_match]
        let d_match = query.dims()[2];
        let cells = linear(&self.cell, cells).reshape([n_images, height * width, d_match]); // [image, cell, d_match]
        let mut logits = query
            .matmul(cells.swap_dims(1, 2))
            .div_scalar((d_match as f64).sqrt())
            .sub_scalar(((height * width) as f64).ln());
        let mut nowhere = linear(&self.nowhere, state) + self.nowhere_bias.val().reshape([1, 1, 1]);
        if let (Some(weights), Some(maps)) = (&self.mentions, mention_maps) {
            let [n_images, n_texts, n_cells, channels] = maps.dims();
            let counted = |weights: &Param<Tensor<1>>| weights.val().reshape([1, channels, 1]);
            let nearest = maps.clone().max_dim(2).reshape([n_images, n_texts, channels]); // the best place of every noun
            logits = logits
                + maps
                    .reshape([n_images, n_texts * n_cells, channels])
                    .matmul(counted(&weights.cells))
                    .reshape([n_images, n_texts, n_cells]);
            nowhere = nowhere + nearest.matmul(counted(&weights.nowhere));
        }
        Tensor::cat(vec![logits, nowhere], 2)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Distribution, Tolerance};

    use super::*;

    #[test]
    fn maps_of_mentions_raise_the_cells_where_the_nouns_are() {
        let device = Device::flex();
        let head = HeatmapHeadConfig::new(6, 4, 5).with_mention_channels(Some(5)).init(&device);
        let state = Tensor::<3>::random([2, 3, 6], Distribution::Normal(0.0, 1.0), &device);
        let features = Tensor::<4>::random([2, 4, 2, 4], Distribution::Normal(0.0, 1.0), &device);
        let plain = head.forward(state.clone(), features.clone(), None);
        assert_eq!(plain.dims(), [2, 3, 9]);
        let silent = head.forward(
            state.clone(),
            features.clone(),
            Some(Tensor::zeros([2, 3, 8, 5], &device)),
        );
        silent
            .into_data()
            .assert_approx_eq::<f32>(&plain.clone().into_data(), Tolerance::absolute(1e-6));
        // The second text's first object is likelier in cell 6 by one nat, its first part in cell
        // 1.
        let mut maps = vec![0.0_f32; 2 * 3 * 8 * 5];
        maps[(8 + 6) * 5] = 1.0;
        maps[(8 + 1) * 5 + 3] = 1.0;
        let maps = Tensor::<1>::from_floats(&maps[..], &device).reshape([2, 3, 8, 5]);
        let risen: Vec<f32> =
            (head.forward(state, features, Some(maps)) - plain).into_data().iter::<f32>().collect();
        let mut expected = vec![0.0; 2 * 3 * 9];
        expected[9 + 6] = 0.7;
        expected[9 + 1] = 0.4;
        assert!(risen.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-5), "{risen:?}");
    }
}
