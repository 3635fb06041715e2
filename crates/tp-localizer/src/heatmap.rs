//! Reading a heat-map: where is most of the mass, how much is it, and is it anywhere at all?

use tp_core::{Letterbox, Located, ModelXy, UnitXy};

/// The confidence of an answer is the mass within this radius of it, in the image's unit square.
const CONFIDENCE_RADIUS: f64 = 0.1;

/// Radii whose mass decides beside that of the confidence.
const MASS_RADII: [f64; 3] = [0.025, 0.05, 0.2];

/// A distribution over the cells of one image, and over "nowhere".
#[derive(Clone, Debug, PartialEq)]
pub struct Heatmap {
    size: [usize; 2],
    cells: Vec<f32>,
    nowhere: f32,
}

/// How a heat-map becomes a point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decoding {
    /// The cell with the most mass within 0.025, 0.05, 0.1 and 0.2 of it, added up: what PCK at
    /// those radii rewards. The two greater ones alone blur the answer by what they forgive.
    #[default]
    Mass,
    /// The mean of the distribution.
    Mean,
    /// The most probable cell.
    Argmax,
}

impl Heatmap {
    /// The softmax of logits over cells, row-major, and "nowhere" at the end.
    ///
    /// # Panics
    ///
    /// Unless there are `height · width + 1` logits.
    #[must_use]
    pub fn from_logits(logits: &[f32], size: [usize; 2]) -> Self {
        assert_eq!(
            logits.len(),
            size[0] * size[1] + 1,
            "one logit for every cell and one for nowhere"
        );
        let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mut cells: Vec<f32> = logits.iter().map(|logit| (logit - highest).exp()).collect();
        let total: f32 = cells.iter().sum();
        for cell in &mut cells {
            *cell /= total;
        }
        let nowhere = cells.pop().unwrap_or(0.0);
        Self { size, cells, nowhere }
    }

    /// A mask as a distribution: the probabilities of the cells that are more likely inside than
    /// not, scaled so that they sum to the greatest of all; the rest is "nowhere".
    ///
    /// # Panics
    ///
    /// Unless there are `height · width` logits.
    #[must_use]
    pub fn from_mask(logits: &[f32], size: [usize; 2]) -> Self {
        assert_eq!(logits.len(), size[0] * size[1], "one logit for every cell");
        let probability = |logit: f32| 1.0 / (1.0 + (-logit).exp());
        let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        // An empty mask leaves its best cell, with a probability below one half.
        let limit = highest.min(0.0);
        let mut cells: Vec<f32> = logits
            .iter()
            .map(|&logit| if logit >= limit { probability(logit) } else { 0.0 })
            .collect();
        let scale = probability(highest) / cells.iter().sum::<f32>();
        cells.iter_mut().for_each(|cell| *cell *= scale);
        Self { size, cells, nowhere: 1.0 - probability(highest) }
    }

    /// A distribution that is known cell by cell.
    pub(crate) fn of(size: [usize; 2], cells: Vec<f32>, nowhere: f32) -> Self {
        debug_assert_eq!(cells.len(), size[0] * size[1]);
        Self { size, cells, nowhere }
    }

    /// The distribution with another temperature: every probability to the power of 1 /
    /// `temperature`, scaled to a sum of 1. For [`from_logits`](Self::from_logits) this is the
    /// softmax of the logits divided by `temperature`.
    #[must_use]
    pub fn tempered(mut self, temperature: f32) -> Self {
        if temperature == 1.0 {
            return self;
        }
        let tempered = |probability: f32| probability.powf(1.0 / temperature);
        self.cells.iter_mut().for_each(|cell| *cell = tempered(*cell));
        self.nowhere = tempered(self.nowhere);
        let total = self.cells.iter().sum::<f32>() + self.nowhere;
        self.cells.iter_mut().for_each(|cell| *cell /= total);
        self.nowhere /= total;
        self
    }

    /// The distribution with another probability of "nowhere"; the cells share what is left as they
    /// did before.
    #[must_use]
    pub fn with_nowhere(mut self, nowhere: f32) -> Self {
        let sum: f32 = self.cells.iter().sum();
        if sum > 0.0 {
            self.cells.iter_mut().for_each(|cell| *cell *= (1.0 - nowhere) / sum);
        }
        self.nowhere = nowhere;
        self
    }

    /// The mean of several maps of one image: what is known without choosing among their texts.
    /// `None` if there are none.
    #[must_use]
    pub fn mean_of(heatmaps: &[Self]) -> Option<Self> {
        let mut mean = heatmaps.first()?.clone();
        for heatmap in &heatmaps[1..] {
            mean.cells.iter_mut().zip(&heatmap.cells).for_each(|(mean, cell)| *mean += cell);
            mean.nowhere += heatmap.nowhere;
        }
        let n = heatmaps.len() as f32;
        mean.cells.iter_mut().for_each(|cell| *cell /= n);
        mean.nowhere /= n;
        Some(mean)
    }

    /// Rows and columns.
    #[must_use]
    pub fn size(&self) -> [usize; 2] {
        self.size
    }

    /// The probability of each cell, row-major; with [`nowhere`](Self::nowhere) they sum to 1.
    #[must_use]
    pub fn cells(&self) -> &[f32] {
        &self.cells
    }

    /// The probability that the text speaks of nothing in this image.
    #[must_use]
    pub fn nowhere(&self) -> f32 {
        self.nowhere
    }

    /// The probabilities over the image's own area, without the letterbox's padding: rows and
    /// columns of a grid that divides the image evenly, and its cells, row-major, each with the
    /// probability of its part of the image.
    ///
    /// A cell that crosses an edge of the new grid is divided by area. What lies on the padding is
    /// left out, so the sum is at most 1 − [`nowhere`](Self::nowhere).
    ///
    /// - `longest_side`: the grid has at most so many cells along its longer side, at least 1; it is
    ///   never finer than the heat-map
    #[must_use]
    pub fn over_image(&self, letterbox: &Letterbox, longest_side: usize) -> ([usize; 2], Vec<f32>) {
        let corner = |x: f64, y: f64| letterbox.model_from_unit(UnitXy::nearest(x, y));
        let (start, end) = (corner(0.0, 0.0), corner(1.0, 1.0));
        // The image's area in cells of this heat-map.
        let [height, width] = self.size;
        let rows = [start.y * height as f64, end.y * height as f64];
        let columns = [start.x * width as f64, end.x * width as f64];
        let (n_rows, n_columns) = (rows[1] - rows[0], columns[1] - columns[0]);
        let scale = (longest_side.max(1) as f64 / n_rows.max(n_columns)).min(1.0);
        let n_cells = |n: f64| ((n * scale).round() as usize).max(1);
        let size = [n_cells(n_rows), n_cells(n_columns)];

        let (row_shares, column_shares) =
            (shares(rows, size[0], height), shares(columns, size[1], width));
        let mut cells = vec![0.0_f32; size[0] * size[1]];
        for (row, of_rows) in row_shares.iter().enumerate() {
            for (column, of_columns) in column_shares.iter().enumerate() {
                let mut mass = 0.0;
                for &(from_row, share) in of_rows {
                    let line = &self.cells[from_row * width..][..width];
                    for &(from_column, share_of_line) in of_columns {
                        mass += share * share_of_line * f64::from(line[from_column]);
                    }
                }
                cells[row * size[1] + column] = mass as f32;
            }
        }
        (size, cells)
    }

    /// The point that the heat-map stands for, or `None` if "nowhere" is at least as probable as
    /// `nowhere_limit`.
    ///
    /// Distances are those of the original image's unit square, so a letterboxed image is searched
    /// with ellipses. The confidence is the mass within 0.1 of the answer.
    #[must_use]
    pub fn locate(
        &self,
        letterbox: &Letterbox,
        decoding: Decoding,
        nowhere_limit: f32,
    ) -> Option<Located> {
        if self.nowhere >= nowhere_limit || !self.nowhere.is_finite() {
            return None;
        }
        let near = self.mass_within(letterbox, CONFIDENCE_RADIUS);
        let best = |score: &dyn Fn(usize) -> f32| {
            (0..self.cells.len())
                .fold(0, |best, cell| if score(cell) > score(best) { cell } else { best })
        };
        let (point, cell) = match decoding {
            Decoding::Mass => {
                let mut score = near.clone();
                for radius in MASS_RADII {
                    score
                        .iter_mut()
                        .zip(self.mass_within(letterbox, radius))
                        .for_each(|(score, mass)| *score += mass);
                }
                let cell = best(&|cell| score[cell]);
                (self.center(cell), cell)
            }
            Decoding::Argmax => {
                let cell = best(&|cell| self.cells[cell]);
                (self.center(cell), cell)
            }
            Decoding::Mean => {
                let mean = self.mean();
                (mean, self.cell_of(mean))
            }
        };
        Some(Located {
            point: letterbox.unit_from_model(point),
            confidence: Some(near[cell].clamp(0.0, 1.0)),
        })
    }

    /// The mass within a radius of every cell's centre.
    fn mass_within(&self, letterbox: &Letterbox, radius: f64) -> Vec<f32> {
        let [height, width] = self.size;
        // The radius, in cells, along each axis.
        let [canvas_height, canvas_width] = letterbox.canvas().map(f64::from);
        let radius_y =
            radius * f64::from(letterbox.original().height()) / canvas_height * height as f64;
        let radius_x =
            radius * f64::from(letterbox.original().width()) / canvas_width * width as f64;

        // Sums along rows make a disc as cheap as its height.
        let mut sums = vec![0.0_f64; height * (width + 1)];
        for row in 0..height {
            for column in 0..width {
                let at = row * (width + 1) + column;
                sums[at + 1] = sums[at] + f64::from(self.cells[row * width + column]);
            }
        }
        let reach = radius_y.floor() as isize;
        let mut mass = vec![0.0_f32; height * width];
        for offset in -reach..=reach {
            let half = (radius_x
                * (1.0 - (offset as f64 / radius_y.max(1e-9)).powi(2)).max(0.0).sqrt())
            .floor() as usize;
            for row in 0..height {
                let Some(other) = row.checked_add_signed(offset).filter(|&other| other < height)
                else {
                    continue;
                };
                let sums = &sums[other * (width + 1)..(other + 1) * (width + 1)];
                for column in 0..width {
                    let inside =
                        sums[(column + half + 1).min(width)] - sums[column.saturating_sub(half)];
                    mass[row * width + column] += inside as f32;
                }
            }
        }
        mass
    }

    /// The mean place of the distribution over cells.
    fn mean(&self) -> ModelXy {
        let (mut x, mut y, mut total) = (0.0, 0.0, 0.0);
        for (cell, &mass) in self.cells.iter().enumerate() {
            let center = self.center(cell);
            let mass = f64::from(mass);
            (x, y, total) = (x + mass * center.x, y + mass * center.y, total + mass);
        }
        ModelXy { x: x / total, y: y / total }
    }

    fn center(&self, cell: usize) -> ModelXy {
        let [height, width] = self.size;
        ModelXy {
            x: ((cell % width) as f64 + 0.5) / width as f64,
            y: ((cell / width) as f64 + 0.5) / height as f64,
        }
    }

    fn cell_of(&self, point: ModelXy) -> usize {
        let [height, width] = self.size;
        let index = |v: f64, n: usize| ((v * n as f64).max(0.0) as usize).min(n - 1);
        index(point.y, height) * width + index(point.x, width)
    }
}

/// Divides a section of an axis of `n_from` cells evenly into `n` cells: for each of them, the old
/// cells that it overlaps, with the share of the old cell's length.
fn shares([start, end]: [f64; 2], n: usize, n_from: usize) -> Vec<Vec<(usize, f64)>> {
    let edge = |at: usize| start + (end - start) * at as f64 / n as f64;
    (0..n)
        .map(|at| {
            let (first, last) = (edge(at), edge(at + 1));
            let cells = first as usize..(last.ceil() as usize).min(n_from);
            cells
                .map(|cell| (cell, last.min((cell + 1) as f64) - first.max(cell as f64)))
                .filter(|&(_, share)| share > 0.0)
                .collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use tp_core::{Fit, ImageHw};

    use super::*;

    fn square() -> Letterbox {
        Letterbox::new(ImageHw::new(100, 100).unwrap(), Fit::PadToSquare)
    }

    /// Logits of a map that is flat but for some cells.
    fn map(size: [usize; 2], peaks: &[(usize, f32)]) -> Heatmap {
        let mut logits = vec![-8.0; size[0] * size[1] + 1];
        for &(cell, logit) in peaks {
            logits[cell] = logit;
        }
        Heatmap::from_logits(&logits, size)
    }

    #[test]
    fn probabilities_sum_to_one() {
        let heatmap = map([4, 5], &[(3, 2.0), (20, 1.0)]);
        let total = heatmap.cells().iter().sum::<f32>() + heatmap.nowhere();
        assert!((total - 1.0).abs() < 1e-6);
    }

    #[test]
    fn mask_is_read_where_it_is_and_may_be_empty() {
        let mut logits = [-3.0; 400];
        for cell in [42, 43, 62, 63] {
            logits[cell] = 4.0;
        }
        let heatmap = Heatmap::from_mask(&logits, [20, 20]);
        let located = heatmap.locate(&square(), Decoding::Mass, 0.5).unwrap();
        assert!((located.point.x() - 0.15).abs() < 0.05 && (located.point.y() - 0.15).abs() < 0.05);
        let best = 1.0 / (1.0 + (-4.0_f32).exp());
        assert!((located.confidence.unwrap() - best).abs() < 1e-5);
        assert!((heatmap.nowhere() - (1.0 - best)).abs() < 1e-5);
        let empty = Heatmap::from_mask(&[-0.5; 400], [20, 20]);
        assert!(empty.nowhere() > 0.5);
        assert!(empty.locate(&square(), Decoding::Mass, 0.5).is_none());
    }

    #[test]
    fn temperature_divides_the_logits() {
        let logits = [0.3, -1.0, 2.0, 0.5, 1.0];
        let tempered = Heatmap::from_logits(&logits, [2, 2]).tempered(2.0);
        let divided = Heatmap::from_logits(&logits.map(|logit| logit / 2.0), [2, 2]);
        let same = |a: f32, b: f32| assert!((a - b).abs() < 1e-6, "{a} {b}");
        tempered.cells().iter().zip(divided.cells()).for_each(|(&a, &b)| same(a, b));
        same(tempered.nowhere(), divided.nowhere());
    }

    #[test]
    fn another_nowhere_leaves_the_cells_their_shares() {
        let heatmap = map([4, 5], &[(3, 2.0), (20, 1.0)]);
        let sure = heatmap.clone().with_nowhere(0.1);
        assert!((sure.cells().iter().sum::<f32>() - 0.9).abs() < 1e-6 && sure.nowhere() == 0.1);
        let ratio = |heatmap: &Heatmap| heatmap.cells()[3] / heatmap.cells()[4];
        assert!((ratio(&sure) - ratio(&heatmap)).abs() < 1e-2 * ratio(&heatmap));
    }

    #[test]
    fn mass_prefers_two_neighbours_to_one_lonely_peak() {
        // Cells of 1/20: two neighbours of probability 0.3 each, a lonely one of 0.4.
        let size = [20, 20];
        let heatmap = map(size, &[(42, 3.0_f32.ln()), (43, 3.0_f32.ln()), (390, 4.0_f32.ln())]);
        let x = |decoding| heatmap.locate(&square(), decoding, 0.5).unwrap().point.x();
        assert!((x(Decoding::Argmax) - 10.5 / 20.0).abs() < 1e-9);
        assert!(x(Decoding::Mass) < 0.3);
    }

    #[test]
    fn confidence_is_the_mass_near_the_answer() {
        let heatmap = map([20, 20], &[(42, 4.0_f32.ln() + 10.0), (390, 10.0)]); // 0.8 and 0.2
        let located = heatmap.locate(&square(), Decoding::Mass, 0.5).unwrap();
        assert!((located.confidence.unwrap() - 0.8).abs() < 1e-3);
    }

    #[test]
    fn grid_over_the_image_has_its_mass_where_it_was() {
        // Twice as wide as high: rows 2 to 5 of 8 are the image.
        let letterbox = Letterbox::new(ImageHw::new(100, 200).unwrap(), Fit::PadToSquare);
        let heatmap = map([8, 8], &[(2 * 8 + 7, 3.0), (5 * 8, 4.0), (0, 2.0)]); // and one on the padding
        let (size, cells) = heatmap.over_image(&letterbox, 64);
        assert_eq!(size, [4, 8]);
        for (new, old) in [(7, 23), (24, 40), (0, 16)] {
            assert!((cells[new] - heatmap.cells()[old]).abs() < 1e-6, "{new}");
        }
        let outside: f32 = heatmap.cells()[..16].iter().chain(&heatmap.cells()[48..]).sum();
        let total: f32 = cells.iter().sum();
        assert!((total + outside + heatmap.nowhere() - 1.0).abs() < 1e-5);
        // Coarser cells are sums of finer ones.
        let (size, coarse) = heatmap.over_image(&letterbox, 4);
        assert_eq!(size, [2, 4]);
        assert!((coarse[3] - (cells[6] + cells[7] + cells[14] + cells[15])).abs() < 1e-6);
    }

    #[test]
    fn cells_across_the_edge_of_the_image_are_divided() {
        // 3 of 8 cells high: from 2.5 to 5.5 rows.
        let letterbox = Letterbox::new(ImageHw::new(300, 800).unwrap(), Fit::PadToSquare);
        let flat = Heatmap::from_logits(&[[0.0; 64].as_slice(), &[-30.0]].concat(), [8, 8]);
        let (size, cells) = flat.over_image(&letterbox, 64);
        assert_eq!(size, [3, 8]);
        assert!(cells.iter().all(|cell| (cell - 1.0 / 64.0).abs() < 1e-6), "{cells:?}");
        // However thin an image is, its grid has a row.
        let line = Letterbox::new(ImageHw::new(1, 1000).unwrap(), Fit::PadToSquare);
        assert_eq!(flat.over_image(&line, 64).0, [1, 8]);
    }

    #[test]
    fn nowhere_is_none() {
        let heatmap = map([4, 4], &[(16, 5.0), (3, 1.0)]);
        assert_eq!(heatmap.locate(&square(), Decoding::Mass, 0.5), None);
    }

    #[test]
    fn mass_within_a_radius_counts_the_disc() {
        // Flat map of 20×20: a disc of radius 0.1 is 2 cells: 13 cells of 400 (see the mask test of
        // the descriptor).
        let heatmap = Heatmap::from_logits(&[[0.0; 400].as_slice(), &[-30.0]].concat(), [20, 20]);
        let mass = heatmap.mass_within(&square(), 0.1);
        assert!((mass[10 * 20 + 10] - 13.0 / 400.0).abs() < 1e-6);
        assert!((mass[0] - 6.0 / 400.0).abs() < 1e-6); // a corner keeps its quarter: 3 + 2 + 1
    }

    #[test]
    fn letterboxed_image_is_searched_with_an_ellipse() {
        // Twice as wide as high: 0.1 of the image's height is 0.05 of the square.
        let letterbox = Letterbox::new(ImageHw::new(100, 200).unwrap(), Fit::PadToSquare);
        let heatmap = Heatmap::from_logits(&[[0.0; 400].as_slice(), &[-30.0]].concat(), [20, 20]);
        let mass = heatmap.mass_within(&letterbox, 0.1);
        // Semi-axes 2 and 1 cells: 5 in the middle row, 1 above and below.
        assert!((mass[10 * 20 + 10] - 7.0 / 400.0).abs() < 1e-6);
    }
}
