//! Which feature cells the query of a point may read: the paper's core.
//!
//! Around the point `p`, in the unit square of the model's input, `g(c) = exp(−‖c − p‖² / 2σ²)` at
//! every cell centre `c = (i + ½) / n`. The paper turns `g` into a boolean mask, the same region in
//! every decoder layer; σ and the threshold are not published, so both are settings here.
//!
//! Source: Talking Points (arXiv 2510.14583), Point Descriptor.

use std::sync::Arc;

use burn::config::Config;
use serde::{Deserialize, Serialize};
use tp_core::ModelXy;
use tp_kernels::Windows;
use tp_vision::PromptMask;

use crate::DescriptorError;

/// The lowest number that is added to an attention logit: no arithmetic on it overflows, in f16
/// neither.
const LOWEST_BIAS: f32 = -1.5e4;

/// How the Gaussian around a point becomes an attention mask.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaskRule {
    /// A cell is open if and only if `g ≥ threshold`: the paper's rule.
    Threshold(f64),
    /// `ln g` is added to the attention logits, cells with `g < floor` are closed: ours, soft
    /// inside the window.
    LogBias {
        /// In (0, 1).
        floor: f64,
    },
    /// The mask that the decoder predicts for the query, as the base model has it: the paper's
    /// ablation.
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
    /// [`DescriptorError::InvalidMask`] unless `sigma > 0` and the threshold or floor lies in (0,
    /// 1).
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

    /// The open cells of one level, row-major, and what is added to the attention logit of each: 0,
    /// or `ln g` where the rule is soft. Without a Gaussian rule every cell is open.
    ///
    /// The cell that holds the point is always open: a query that may read nothing would have no
    /// answer, and the base model's way out, opening every cell, would undo the method.
    #[must_use]
    pub fn window(&self, point: ModelXy, [height, width]: [usize; 2]) -> Vec<(u32, f32)> {
        let (cut, soft) = match self.rule {
            MaskRule::Threshold(cut) => (cut, false),
            MaskRule::LogBias { floor } => (floor, true),
            MaskRule::Object | MaskRule::Open => {
                return (0..(height * width) as u32).map(|cell| (cell, 0.0)).collect();
            }
        };
        // The rule solved for the distance: only cells near the point are looked at.
        let ln_cut = cut.ln();
        let radius = self.sigma * (-2.0 * ln_cut).sqrt();
        let near = |at: f64, n: usize| {
            let own = nearest_cell(at, n);
            let first = (((at - radius) * n as f64 - 0.5).floor().max(0.0) as usize).min(own);
            let last =
                (((at + radius) * n as f64 - 0.5).ceil().max(0.0) as usize).clamp(own, n - 1);
            first..=last
        };
        let own = [nearest_cell(point.y, height), nearest_cell(point.x, width)];
        let mut window = Vec::new();
        for row in near(point.y, height) {
            for column in near(point.x, width) {
                let dx = (column as f64 + 0.5) / width as f64 - point.x;
                let dy = (row as f64 + 0.5) / height as f64 - point.y;
                let ln_g = -(dx * dx + dy * dy) / (2.0 * self.sigma * self.sigma);
                if ln_g >= ln_cut || [row, column] == own {
                    // A tiny sigma must not close the own cell through its bias.
                    let bias = if soft { (ln_g as f32).max(LOWEST_BIAS) } else { 0.0 };
                    window.push(((row * width + column) as u32, bias));
                }
            }
        }
        window
    }

    /// How many cells of one level are open around a point.
    #[must_use]
    pub fn n_open(&self, point: ModelXy, size: [usize; 2]) -> usize {
        self.window(point, size).len()
    }

    /// The mask of many points over the levels of the query decoder, coarse first.
    ///
    /// `points` holds the points of each image; a window stands for each of them, image by image.
    #[must_use]
    pub fn prompt_mask(&self, points: &[Vec<ModelXy>], levels: [[usize; 2]; 3]) -> PromptMask {
        match self.rule {
            MaskRule::Object => PromptMask::Predicted,
            MaskRule::Open => PromptMask::Open,
            MaskRule::Threshold(_) | MaskRule::LogBias { .. } => {
                let windows = |size| {
                    Windows::new(points.iter().flatten().map(|&point| self.window(point, size)))
                };
                PromptMask::Fixed(levels.map(|size| Arc::new(windows(size))))
            }
        }
    }
}

/// The row or column, of `n`, that holds a place; the far border belongs to the last one.
fn nearest_cell(at: f64, n: usize) -> usize {
    ((at * n as f64).max(0.0) as usize).min(n - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn open(mask: &GaussianMask, x: f64, y: f64, size: [usize; 2]) -> Vec<bool> {
        let mut open = vec![false; size[0] * size[1]];
        mask.window(ModelXy { x, y }, size)
            .iter()
            .for_each(|&(cell, _)| open[cell as usize] = true);
        open
    }

    #[test]
    fn threshold_opens_a_disk_of_two_sigma() {
        // 16 cells of 1/16; sigma 1/16 and e^-2: radius 2/16. Around the centre of cell (8, 8) the
        // cells within two steps are open: 1 + 4 (one step) + 4 (diagonal, 1.41) + 4 (two steps) =
        // 13.
        let mask = GaussianMask::new()
            .with_sigma(1.0 / 16.0)
            .with_rule(MaskRule::Threshold((-2.0_f64).exp() - 1e-12));
        let (x, y) = (8.5 / 16.0, 8.5 / 16.0);
        assert_eq!(open(&mask, x, y, [16, 16]).iter().filter(|&&open| open).count(), 13);
    }

    #[test]
    fn log_bias_is_the_log_of_the_gaussian() {
        let mask = GaussianMask::new().with_sigma(0.1).with_rule(MaskRule::LogBias { floor: 1e-3 });
        let window = mask.window(ModelXy { x: 0.25, y: 0.5 }, [1, 4]); // centres at 0.125, 0.375, …
        assert!((window[0].1 - (-0.125_f32.powi(2) / 0.02)).abs() < 1e-6, "{window:?}");
        assert_eq!(window.last().unwrap().0, 1); // the third is at 0.375: 0.375² / 0.02 = 7.03 > ln 1000 = 6.91
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
            let n_open = mask.n_open(ModelXy { x, y }, [h, w]);
            prop_assert!(n_open >= 1);
            prop_assert!(open(&mask, x, y, [h, w])[nearest_cell(y, h) * w + nearest_cell(x, w)]);
        }

        #[test]
        fn window_is_what_the_rule_says_of_every_cell(x in 0.0..=1.0, y in 0.0..=1.0, sigma in 0.01..0.3_f64, h in 1usize..40, w in 1usize..40) {
            let mask = GaussianMask::new().with_sigma(sigma).with_rule(MaskRule::Threshold(0.3));
            let open = open(&mask, x, y, [h, w]);
            for (cell, open) in open.into_iter().enumerate() {
                let (dx, dy) = (((cell % w) as f64 + 0.5) / w as f64 - x, ((cell / w) as f64 + 0.5) / h as f64 - y);
                let own = cell == nearest_cell(y, h) * w + nearest_cell(x, w);
                let g = (-(dx * dx + dy * dy) / (2.0 * sigma * sigma)).exp();
                prop_assert!((g - 0.3).abs() < 1e-9 || open == (g >= 0.3 || own));
            }
        }
    }
}
