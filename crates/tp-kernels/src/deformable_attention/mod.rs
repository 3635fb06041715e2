//! Multi-scale deformable attention: every query samples a few learned locations of maps at several
//! strides.
//!
//! Source: Zhu et al., "Deformable DETR" (arXiv 2010.04159), section 4.1. This is the sampling
//! core; the surrounding linear layers belong to the model.

mod fast;
mod gradient;
mod reference;

use burn::backend::{Backend, Dispatch, backend_extension, tensor::FloatTensor};
use burn::tensor::Tensor;

/// Deformable attention as a backend operator. The default bodies define the semantics; a backend
/// may override them with faster ones.
#[backend_extension(Flex, LibTorch: cfg(feature = "libtorch"), Cube: cfg(feature = "cuda"), Autodiff)]
pub trait DeformableAttentionOps: Backend {
    /// See [`deformable_attention`](crate::deformable_attention).
    fn fused_deformable_attention(
        value: FloatTensor<Self>,
        spatial_shapes: Vec<[usize; 2]>,
        locations: FloatTensor<Self>,
        weights: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        reference::deformable_attention::<Self>(value, spatial_shapes, locations, weights)
    }

    /// Gradients of [`deformable_attention`](crate::deformable_attention) with respect to `value`,
    /// `locations` and `weights`.
    fn fused_deformable_attention_backward(
        value: FloatTensor<Self>,
        spatial_shapes: Vec<[usize; 2]>,
        locations: FloatTensor<Self>,
        weights: FloatTensor<Self>,
        dy: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        reference::deformable_attention_backward::<Self>(
            value,
            spatial_shapes,
            locations,
            weights,
            dy,
        )
    }
}

/// The weighted sum of bilinear samples of the levels' maps, separately for every head.
///
/// `y[b, q, h] = Σ_level Σ_point weights[b, q, h, level, point] · bilinear(value[b, level, h],
/// location · (width, height) - ½)`
///
/// Cell centers are at integers after that shift, and each of the four cells around a location
/// counts as zero if it lies outside the map (`grid_sample` with zero padding and `align_corners =
/// false`). The weights are used unchanged; a softmax over levels and points is up to the caller.
/// At a cell border the gradient is that of the following cell.
///
/// # Shapes
///
/// - `value`: `[batch, cells, heads, d_head]`, the levels concatenated, each row-major
/// - `spatial_shapes`: `[height, width]` of every level; the products sum to `cells`
/// - `locations`: `[batch, queries, heads, levels, points, 2]`, `(x, y)` in the unit square of each
///   level
/// - `weights`: `[batch, queries, heads, levels, points]`
/// - output: `[batch, queries, heads · d_head]`
///
/// # Panics
///
/// If the shapes are inconsistent.
pub fn deformable_attention(
    value: Tensor<4>,
    spatial_shapes: &[[usize; 2]],
    locations: Tensor<6>,
    weights: Tensor<5>,
) -> Tensor<3> {
    let [batch, cells, heads, _] = value.dims();
    let [_, queries, _, _, points, _] = locations.dims();
    let levels = spatial_shapes.len();
    assert!(levels > 0, "deformable_attention needs at least one level");
    assert_eq!(
        cells,
        spatial_shapes.iter().map(|[h, w]| h * w).sum::<usize>(),
        "deformable_attention: cells of all levels"
    );
    assert_eq!(
        locations.dims(),
        [batch, queries, heads, levels, points, 2],
        "deformable_attention: shape of the locations"
    );
    assert_eq!(
        weights.dims(),
        [batch, queries, heads, levels, points],
        "deformable_attention: shape of the weights"
    );
    let (locations, weights) = (locations.into_dispatch(), weights.into_dispatch());
    let y = Dispatch::fused_deformable_attention(
        value.into_dispatch(),
        spatial_shapes.to_vec(),
        locations,
        weights,
    );
    Tensor::from_dispatch(y)
}

#[cfg(test)]
mod tests;
