//! Which feature cells the query of a point may read: the paper's core.
//!
//! Around the point `p`, in the unit square of the model's input, `g(c) = exp(−‖c − p‖² / 2σ²)` at every cell centre
//! `c = (i + ½) / n`. The paper turns `g` into a boolean mask, the same region in every decoder layer; σ and the
//! threshold are not published, so both are settings here.
//!
//! Source: Talking Points (arXiv 2510.14583), Point Descriptor.

use burn::{
    config::Config,
    tensor::{Device, Tensor, TensorData},
};
use serde::{Deserialize, Serialize};
use tp_core::ModelXy;
use tp_vision::PromptMask;

use crate::DescriptorError;

/// Added to the attention logit of a closed cell. Large enough that its probability is exactly zero in f32, small
/// enough that no arithmetic on it overflows, in f16 neither.
const CLOSED: f32 = -3e4;

/// How the Gaussian around a point becomes an attention mask.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaskRule {
    /// A cell is open if and only if `g ≥ threshold`: the paper's rule.
    Threshold(f64),
    /// `ln g` is added to the attention logits, cells with `g < floor` are closed: ours, soft inside the window.
    LogBias {
        /// In (0, 1).
        floor: f64,
    },
    /// The mask that the decoder predicts for the query, as the base model has it: the paper's ablation.
    Object,
    /// Every cell is open.
    Open,
}

/// The mask of the Point Descriptor.
#[derive(Config, Copy, Debug, PartialEq)]
pub struct GaussianMask {
    /// Standard deviation as a fraction of the model input's side.
    #[config(default = 0.03125)]
    pub sigma: f64,
    /// How the Gaussian becomes a mask; the default opens a disk of radius 2σ.
    #[config(default = "MaskRule::Threshold(0.135_335_283_236_612_7)")]
    pub rule: MaskRule,
}

impl GaussianMask {
    /// Refuses settings that describe no region.
    ///
    /// # Errors
    ///
    /// [`DescriptorError::InvalidMask`] unless `sigma > 0` and the threshold or floor lies in (0, 1).
    pub fn validate(&self) -> Result<(), DescriptorError> {
        let cut = match self.rule {
            MaskRule::Threshold(cut) | MaskRule::LogBias { floor: cut } => cut,
            MaskRule::Object | MaskRule::Open => 0.5,
        };
        if self.sigma > 0.0 && self.sigma.is_finite() && cut > 0.0 && cut < 1.0 {
            return Ok(());
        }
        Err(DescriptorError::InvalidMask { sigma: self.sigma, cut })
    }

    /// What is added to the attention logits of every cell of one level, `[height · width]` row-major: 0 or `ln g` for
    /// open cells, a large negative number for closed ones.
    ///
    /// The cell that holds the point is always open: a query that may read nothing would have no answer, and the base
    /// model's way out, opening every cell, would undo the method.
    #[must_use]
    pub fn level_bias(&self, point: ModelXy, [height, width]: [usize; 2]) -> Vec<f32> {
        let (cut, soft) = match self.rule {
            MaskRule::Threshold(cut) => (cut, false),
            MaskRule::LogBias { floor } => (floor, true),
            MaskRule::Object | MaskRule::Open => return vec![0.0; height * width],
        };
        let ln_cut = cut.ln();
        let own = cell_of(point, [height, width]);
        let ln_g = |row: usize, column: usize| {
            let dx = (column as f64 + 0.5) / width as f64 - point.x;
            let dy = (row as f64 + 0.5) / height as f64 - point.y;
            -(dx * dx + dy * dy) / (2.0 * self.sigma * self.sigma)
        };
        (0..height * width)
            .map(|cell| {
                let ln_g = ln_g(cell / width, cell % width);
                match (ln_g >= ln_cut || cell == own, soft) {
                    (false, _) => CLOSED,
                    (true, false) => 0.0,
                    // A tiny sigma must not close the own cell through its bias.
                    (true, true) => (ln_g as f32).max(CLOSED / 2.0),
                }
            })
            .collect()
    }

    /// How many cells of one level are open around a point.
    #[must_use]
    pub fn n_open(&self, point: ModelXy, size: [usize; 2]) -> usize {
        self.level_bias(point, size).iter().filter(|&&bias| bias > CLOSED).count()
    }

    /// The mask of many points over the levels of the query decoder, coarse first.
    ///
    /// `points` holds the points of each image, equally many for all; each level's bias is `[image, point, cell]`.
    ///
    /// # Panics
    ///
    /// If the images have different numbers of points.
    #[must_use]
    pub fn prompt_mask(&self, points: &[Vec<ModelXy>], levels: [[usize; 2]; 3], device: &Device) -> PromptMask {
        match self.rule {
            MaskRule::Object => PromptMask::Predicted,
            MaskRule::Open => PromptMask::Open,
            MaskRule::Threshold(_) | MaskRule::LogBias { .. } => PromptMask::Fixed(levels.map(|size| {
                let bias: Vec<f32> = points.iter().flatten().flat_map(|&point| self.level_bias(point, size)).collect();
                let shape = [points.len(), points.first().map_or(0, Vec::len), size[0] * size[1]];
                Tensor::from_data(TensorData::new(bias, shape), device) // [image, point, cell]
            })),
        }
    }
}

/// The cell, row-major, that holds a point; points on the far border belong to the last row and column.
fn cell_of(point: ModelXy, [height, width]: [usize; 2]) -> usize {
    let index = |v: f64, n: usize| ((v * n as f64).max(0.0) as usize).min(n - 1);
    index(point.y, height) * width + index(point.x, width)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn open(mask: &GaussianMask, x: f64, y: f64, size: [usize; 2]) -> Vec<bool> {
        mask.level_bias(ModelXy { x, y }, size).iter().map(|&bias| bias > CLOSED).collect()
    }

    #[test]
    fn threshold_opens_a_disk_of_two_sigma() {
        // 16 cells of 1/16; sigma 1/16 and e^-2: radius 2/16. Around the centre of cell (8, 8) the cells within two
        // steps are open: 1 + 4 (one step) + 4 (diagonal, 1.41) + 4 (two steps) = 13.
        let mask = GaussianMask::new().with_sigma(1.0 / 16.0).with_rule(MaskRule::Threshold((-2.0_f64).exp() - 1e-12));
        let (x, y) = (8.5 / 16.0, 8.5 / 16.0);
        assert_eq!(open(&mask, x, y, [16, 16]).iter().filter(|&&open| open).count(), 13);
    }

    #[test]
    fn log_bias_is_the_log_of_the_gaussian() {
        let mask = GaussianMask::new().with_sigma(0.1).with_rule(MaskRule::LogBias { floor: 1e-3 });
        let bias = mask.level_bias(ModelXy { x: 0.25, y: 0.5 }, [1, 4]); // centres at 0.125, 0.375, …
        assert!((bias[0] - (-0.125_f32.powi(2) / 0.02)).abs() < 1e-6, "{bias:?}");
        assert_eq!(bias[3], CLOSED); // (0.625)² / 0.02 = 19.5 > ln 1000
    }

    #[test]
    fn border_point_keeps_its_centre() {
        let mask = GaussianMask::new();
        let corner = open(&mask, 1.0, 1.0, [64, 64]);
        assert!(corner[64 * 64 - 1] && !corner[0]);
        // A quarter of the disk of radius 4 cells is left.
        let n = corner.iter().filter(|&&open| open).count();
        assert!((10..=20).contains(&n), "{n}");
    }

    #[test]
    fn settings_without_a_region_are_refused() {
        for mask in [
            GaussianMask::new().with_sigma(0.0),
            GaussianMask::new().with_sigma(f64::NAN),
            GaussianMask::new().with_rule(MaskRule::Threshold(1.0)),
            GaussianMask::new().with_rule(MaskRule::LogBias { floor: 0.0 }),
        ] {
            assert!(mask.validate().is_err(), "{mask:?}");
        }
        assert!(GaussianMask::new().validate().is_ok());
    }

    proptest! {
        #[test]
        fn no_mask_ever_closes_every_cell(x in 0.0..=1.0, y in 0.0..=1.0, sigma in 1e-9..0.5_f64, h in 1usize..40, w in 1usize..40, soft in any::<bool>()) {
            let rule = if soft { MaskRule::LogBias { floor: 0.9 } } else { MaskRule::Threshold(0.9) };
            let mask = GaussianMask::new().with_sigma(sigma).with_rule(rule);
            let point = ModelXy { x, y };
            prop_assert!(mask.n_open(point, [h, w]) >= 1);
            prop_assert!(open(&mask, x, y, [h, w])[cell_of(point, [h, w])]);
        }
    }
}
