//! The affine map of a layer.
//!
//! No kernel of our own, but all leading dimensions folded into one: Burn multiplies a batch of matrices one by one as
//! soon as each has a few dozen rows, and its backward pass then takes twice as long (`docs/kernels.md`).

use burn::nn::Linear;
use burn::tensor::{Tensor, module};

/// What a layer makes of `x`, as [`affine`] does.
///
/// # Shapes
///
/// - `x`: `[.., in]`
/// - output: `[.., out]`
///
/// # Panics
///
/// If `x` is not as wide as the layer's input.
pub fn linear<const D: usize>(layer: &Linear, x: Tensor<D>) -> Tensor<D> {
    affine(x, layer.weight.val(), layer.bias.as_ref().map(|bias| bias.val()))
}

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
pub fn affine<const D: usize>(x: Tensor<D>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<D> {
    let mut shape = x.dims();
    let rows: usize = shape[..D - 1].iter().product();
    let folded: Tensor<2> = x.reshape([rows, shape[D - 1]]);
    shape[D - 1] = weight.dims()[1];
    module::linear(folded, weight, bias).reshape(shape)
}

#[cfg(test)]
mod tests {
    use burn::nn::LinearConfig;
    use burn::tensor::Device;

    use super::*;
    use crate::testing::{assert_close, elements, random_tensor};

    #[test]
    fn folding_changes_neither_values_nor_gradients() {
        let device = Device::flex().autodiff();
        let layer = LinearConfig::new(5, 3).init(&device);
        let x = Tensor::<4>::from_data(random_tensor(1, [2, 3, 40, 5], 1.0).into_data(), &device).require_grad();
        let run = |y: Tensor<4>| {
            let grads = y.clone().square().sum().backward();
            let bias = layer.bias.as_ref().unwrap().val();
            (
                elements(y),
                elements(x.grad(&grads).unwrap()),
                elements(layer.weight.val().grad(&grads).unwrap()),
                elements(bias.grad(&grads).unwrap()),
            )
        };
        let (ours, burns) = (run(linear(&layer, x.clone())), run(layer.forward(x.clone())));
        for (ours, burns) in [(ours.0, burns.0), (ours.1, burns.1), (ours.2, burns.2), (ours.3, burns.3)] {
            assert_close("folded", &ours, &burns, 1e-5);
        }
    }

    #[test]
    fn vector_is_a_row() {
        let layer = LinearConfig::new(5, 3).init(&Device::flex());
        assert_eq!(linear(&layer, random_tensor(2, [5], 1.0)).dims(), [3]);
    }
}
