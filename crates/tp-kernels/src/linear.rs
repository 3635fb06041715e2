//! The affine map of a layer.
//!
//! No kernel of our own: Burn's has a backward pass that multiplies transposed views without copies.

use burn::tensor::{Tensor, module};

/// `x · weight + bias`.
///
/// # Shapes
///
/// - `x`: `[.., in]`
/// - `weight`: `[in, out]`
/// - `bias`: `[out]`
/// - output: `[.., out]`
///
/// # Panics
///
/// If the shapes do not fit together.
pub fn linear<const D: usize>(x: Tensor<D>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<D> {
    module::linear(x, weight, bias)
}
