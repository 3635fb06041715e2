//! The perception prior: the assignment of queries to cells of the token grid.
//!
//! Source: OMG-LLaVA. The original resizes every mask to the size of the image, applies the
//! sigmoid, weights it by the class score, and resizes it to the grid. The last step reads two rows
//! and two columns per cell, so only those are computed.

use burn::tensor::{Int, Tensor, TensorData, activation::sigmoid};

use crate::{
    QueryOutput,
    resize::{add_row, neighbours},
};

/// The number of pixels per mask cell, along one axis.
const MASK_STRIDE: usize = 4;

/// The assignment of queries to the cells of a grid, for a batch of images.
#[derive(Clone, Debug)]
pub struct PerceptionPrior {
    /// The weight of each query in each cell, `[image, query, cell]`.
    pub claims: Tensor<3>,
    /// Content and position of each query, concatenated, `[image, query, 2 · feat]`.
    pub vectors: Tensor<3>,
    /// The weighted mean of the vectors in each cell, `[image, cell, 2 · feat]`, with a softmax of
    /// the claims over all queries, kept or not.
    pub mixture: Tensor<3>,
    /// For each image, the queries with the largest claim in some cell, in ascending order; of
    /// equal claims the first counts.
    pub kept: Vec<Vec<usize>>,
}

impl PerceptionPrior {
    /// The prior on a grid of `[rows, columns]`; masks have stride 4.
    #[must_use]
    pub fn new(queries: &QueryOutput, grid: [usize; 2], smooth: f64) -> Self {
        let [batch, n_queries, feat] = queries.query_features.dims();
        let positions =
            queries.query_positions.clone().unsqueeze::<3>().expand([batch, n_queries, feat]);
        let vectors = Tensor::cat(vec![queries.query_features.clone(), positions], 2);
        Self::of(claims(queries, grid, smooth), vectors)
    }

    fn of(claims: Tensor<3>, vectors: Tensor<3>) -> Self {
        // The selection of queries is discrete, so it is computed on the host without gradient.
        let kept = kept_queries(&claims);
        let mixture = tp_kernels::softmax(claims.clone().swap_dims(1, 2)).matmul(vectors.clone());
        Self { claims, vectors, mixture, kept }
    }

    /// The vectors of the kept queries, right-padded, `[image, maximum number of kept queries, 2 ·
    /// feat]`.
    #[must_use]
    pub fn kept_vectors(&self) -> Tensor<3> {
        let [batch, n_queries, width] = self.vectors.dims();
        let most = self.kept.iter().map(Vec::len).max().unwrap_or(0);
        let chosen: Vec<i64> = self
            .kept
            .iter()
            .enumerate()
            .flat_map(|(image, kept)| {
                let padding = std::iter::repeat(&0);
                kept.iter()
                    .chain(padding)
                    .take(most)
                    .map(move |query| (image * n_queries + query) as i64)
            })
            .collect();
        let chosen = Tensor::<1, Int>::from_data(
            TensorData::new(chosen, [batch * most]),
            &self.vectors.device(),
        );
        self.vectors
            .clone()
            .reshape([batch * n_queries, width])
            .select(0, chosen)
            .reshape([batch, most, width])
    }
}

/// `[image, query, cell]` row-major: `(smooth + (1 − smooth) · s) · P`, with `s` the highest score
/// of a class other than void and `P` the probability of the mask.
fn claims(queries: &QueryOutput, grid: [usize; 2], smooth: f64) -> Tensor<3> {
    let scores = tp_kernels::softmax(queries.class_logits.clone());
    let with_void = scores.dims()[2];
    // Void takes part in the softmax but is not a class.
    let sure = scores.narrow(2, 0, with_void - 1).max_dim(2); // [batch, query, 1]
    sampled_masks(queries.mask_logits.clone(), grid)
        * sure.mul_scalar(1.0 - smooth).add_scalar(smooth)
}

/// For each image, the queries with the largest claim in some cell, in ascending order; of equal
/// claims the first counts.
fn kept_queries(claims: &Tensor<3>) -> Vec<Vec<usize>> {
    let [_, queries, cells] = claims.dims();
    let claims: Vec<f32> = claims.clone().into_data().iter::<f32>().collect();
    claims
        .chunks_exact(queries * cells)
        .map(|image| {
            let owner = |cell: usize| {
                (1..queries).fold(0, |best, query| {
                    if image[query * cells + cell] > image[best * cells + cell] {
                        query
                    } else {
                        best
                    }
                })
            };
            let mut kept: Vec<usize> = (0..cells).map(owner).collect();
            kept.sort_unstable();
            kept.dedup();
            kept
        })
        .collect()
}

/// `bilinear(sigmoid(bilinear(logits → image)) → grid)`, `[batch, query, cell]`.
fn sampled_masks(logits: Tensor<4>, [rows, columns]: [usize; 2]) -> Tensor<3> {
    let [batch, queries, height, width] = logits.dims();
    let device = logits.device();
    let matrix = |values: Vec<f32>, n: usize| {
        let shape = [1, values.len() / n, n];
        Tensor::<3>::from_data(TensorData::new(values, shape), &device)
    };
    let (down, sum_down) = axis(height, rows);
    let (across, sum_across) = axis(width, columns);
    let pixels = matrix(down, height).matmul(logits.reshape([batch * queries, height, width]));
    let pixels = sigmoid(pixels.matmul(matrix(across, width).swap_dims(1, 2))); // [batch · query, 2 · rows, 2 · columns]
    let cells = matrix(sum_down, 2 * rows)
        .matmul(pixels)
        .matmul(matrix(sum_across, 2 * columns).swap_dims(1, 2));
    cells.reshape([batch, queries, rows * columns])
}

/// The two interpolation steps along one axis: from the mask to the two pixels that each cell
/// reads, `[2 · cells, mask]`, and from these to the cell, `[cells, 2 · cells]`.
fn axis(mask: usize, cells: usize) -> (Vec<f32>, Vec<f32>) {
    let image = mask * MASK_STRIDE;
    let (mut pixels, mut sums) = (vec![0.0; 2 * cells * mask], vec![0.0; cells * 2 * cells]);
    for cell in 0..cells {
        let (read, share) = neighbours(cell, image, cells);
        for (at, pixel) in read.into_iter().enumerate() {
            let row = 2 * cell + at;
            add_row(&mut pixels[row * mask..(row + 1) * mask], pixel, image, 1.0);
        }
        sums[cell * 2 * cells + 2 * cell] = 1.0 - share;
        sums[cell * 2 * cells + 2 * cell + 1] = share;
    }
    (pixels, sums)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{
        Device, Distribution, Tolerance,
        module::interpolate,
        ops::{InterpolateMode, InterpolateOptions},
    };

    use super::*;

    #[test]
    fn sampling_is_the_long_way_through_the_whole_image() {
        let device = Device::flex();
        let logits = Tensor::<4>::random([2, 3, 16, 24], Distribution::Normal(0.0, 3.0), &device);
        let options = InterpolateOptions::new(InterpolateMode::Bilinear).with_align_corners(false);
        for grid in [[2, 3], [1, 1], [4, 4]] {
            let image =
                sigmoid(interpolate(logits.clone(), options.clone().with_output_size([64, 96])));
            let expected = interpolate(image, options.clone().with_output_size(grid)).reshape([
                2,
                3,
                grid[0] * grid[1],
            ]);
            sampled_masks(logits.clone(), grid)
                .into_data()
                .assert_approx_eq::<f32>(&expected.into_data(), Tolerance::absolute(1e-5));
        }
    }

    #[test]
    fn cell_of_64_pixels_reads_the_published_places() {
        // Image 1024, mask 256, grid 16: pixels 31 and 32 of a cell lie 3/8 and 5/8 of the way from
        // mask row 7 to 8.
        let (pixels, sums) = axis(256, 16);
        assert_eq!((pixels[7], pixels[8]), (0.625, 0.375));
        assert_eq!((pixels[256 + 7], pixels[256 + 8]), (0.375, 0.625));
        assert_eq!(sums[..3], [0.5, 0.5, 0.0]);
    }

    #[test]
    fn equal_claims_give_the_mean_and_the_first_query_owns_all() {
        let device = Device::flex();
        let claims = Tensor::<3>::full([1, 4, 6], 0.3, &device);
        let vectors = Tensor::<3>::from_data([[[1.0], [2.0], [3.0], [6.0]]], &device);
        let prior = PerceptionPrior::of(claims, vectors);
        let mixed: Vec<f32> = prior.mixture.into_data().iter::<f32>().collect();
        assert!(mixed.iter().all(|v| (v - 3.0).abs() < 1e-6), "{mixed:?}");
        assert_eq!(prior.kept, [[0]]);
    }

    #[test]
    fn queries_that_own_a_cell_are_kept_in_order() {
        let claims =
            Tensor::<3>::from_data([[[0.1, 0.2], [0.0, 0.1], [0.5, 0.1]]], &Device::flex());
        assert_eq!(kept_queries(&claims), [[0, 2]]);
    }
}
