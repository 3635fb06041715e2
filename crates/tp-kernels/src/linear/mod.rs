//! The affine map of a layer.
//!
//! It differs from Burn's in three ways. All leading dimensions are folded into one, because Burn
//! multiplies the matrices of a batch one by one as soon as each has a few dozen rows, and its
//! backward pass then takes twice as long. The product is that of `faer`, which is faster than
//! Burn's CPU backend, most with 8 to 64 rows. And products with one to three rows read the weights
//! once, in order, on all threads (`docs/kernels.md`).

mod fast;
mod gradient;

use burn::backend::{Backend, Dispatch, TensorMetadata, backend_extension, tensor::FloatTensor};
use burn::nn::Linear;
use burn::tensor::Tensor;

use crate::ops::ActivationOps;

/// Matrix products as backend operators. The default bodies define the semantics; a backend may
/// override them with faster ones.
#[backend_extension(Flex, LibTorch: cfg(feature = "libtorch"), Cube: cfg(feature = "cuda"), Autodiff)]
pub trait ProductOps: Backend + ActivationOps {
    /// `a · b`, `[rows, inner]` and `[inner, columns]` → `[rows, columns]`.
    fn matrix_product(a: FloatTensor<Self>, b: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::float_matmul(a, b)
    }

    /// `x · weight + bias`, `[rows, in]`, `[in, out]` and `[out]` → `[rows, out]`.
    fn affine_product(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let out = bias.shape()[0];
        Self::float_add(Self::float_matmul(x, weight), Self::float_reshape(bias, [1, out].into()))
    }

    /// `relu6(x · weight + bias)`, of the same shapes.
    fn affine_relu6_product(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        Self::fused_relu6(Self::affine_product(x, weight, bias))
    }
}

/// Applies a linear layer, like [`affine`].
///
/// # Shapes
///
/// - `x`: `[.., in]`
/// - output: `[.., out]`
///
/// # Panics
///
/// If the width of `x` differs from that of the layer's input.
pub fn linear<const D: usize>(layer: &Linear, x: Tensor<D>) -> Tensor<D> {
    affine(x, layer.weight.val(), layer.bias.as_ref().map(|bias| bias.val()))
}

/// `x · weight + bias`. A weight of another number format than `x`, kept in half precision to save
/// memory, is brought into that of `x` for the product.
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
/// If the shapes are inconsistent.
pub fn affine<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
) -> Tensor<D> {
    over_rows(x, weight, |x, weight| match bias {
        Some(bias) => Dispatch::affine_product(x, weight, bias.into_dispatch()),
        None => Dispatch::matrix_product(x, weight),
    })
}

/// `relu6(x · weight + bias)`, of the shapes of [`affine`].
///
/// # Panics
///
/// If the shapes are inconsistent.
pub fn affine_relu6<const D: usize>(x: Tensor<D>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<D> {
    over_rows(x, weight, |x, weight| {
        Dispatch::affine_relu6_product(x, weight, bias.into_dispatch())
    })
}

/// A product with all leading dimensions of `x` folded into one.
fn over_rows<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    product: impl FnOnce(FloatTensor<Dispatch>, FloatTensor<Dispatch>) -> FloatTensor<Dispatch>,
) -> Tensor<D> {
    let mut shape = x.dims();
    let rows: usize = shape[..D - 1].iter().product();
    let folded: Tensor<2> = x.reshape([rows, shape[D - 1]]);
    let weight =
        if weight.dtype() == folded.dtype() { weight } else { weight.cast(folded.dtype()) };
    let [width, out] = weight.dims();
    assert_eq!(folded.dims()[1], width, "affine: width of the input");
    shape[D - 1] = out;
    Tensor::<2>::from_dispatch(product(folded.into_dispatch(), weight.into_dispatch()))
        .reshape(shape)
}

#[cfg(test)]
mod tests {
    use burn::nn::LinearConfig;
    use burn::tensor::Device;

    use super::*;
    use crate::testing::{assert_close, devices, elements, random_on, random_tensor};

    #[test]
    fn folding_changes_neither_values_nor_gradients() {
        for device in devices().into_iter().map(Device::autodiff) {
            let layer = LinearConfig::new(5, 3).init(&device);
            let x =
                Tensor::<4>::from_data(random_tensor(1, [2, 3, 40, 5], 1.0).into_data(), &device)
                    .require_grad();
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
            for (ours, burns) in
                [(ours.0, burns.0), (ours.1, burns.1), (ours.2, burns.2), (ours.3, burns.3)]
            {
                assert_close("folded", &ours, &burns, 1e-5);
            }
        }
    }

    #[test]
    fn few_rows_are_multiplied_as_many_are() {
        // Sizes that are not multiples of any block size, with row-major and column-major weights.
        let sizes = [(1, 1000, 70), (3, 37, 530), (16, 264, 129), (8, 9, 1)];
        for (device, (rows, width, out)) in
            devices().iter().flat_map(|device| sizes.map(|size| (device, size)))
        {
            let x = random_on::<2>(device, 1, [rows, width], 1.0);
            let by_rows = random_on::<2>(device, 2, [width, out], 1.0);
            let by_columns = random_on::<2>(device, 3, [out, width], 1.0).transpose();
            let cut = random_on::<2>(device, 4, [width, out + 3], 1.0).narrow(1, 2, out);
            for weight in [by_rows, by_columns, cut] {
                let expected = elements(x.clone().matmul(weight.clone()));
                assert_close(
                    "few rows",
                    &elements(affine(x.clone(), weight, None)),
                    &expected,
                    1e-5,
                );
            }
        }
    }

    #[test]
    fn vector_is_a_row() {
        let layer = LinearConfig::new(5, 3).init(&Device::flex());
        assert_eq!(linear(&layer, random_tensor(2, [5], 1.0)).dims(), [3]);
    }

    #[test]
    fn relu6_behind_a_product_is_relu6_behind_it() {
        // One row, few, and enough for several tasks.
        for (device, rows) in devices()
            .into_iter()
            .flat_map(|device| [1, 40, 3000].map(|rows| (device.clone(), rows)))
        {
            for device in [device.clone(), device.autodiff()] {
                let leaf = |seed, shape: [usize; 2]| {
                    Tensor::<2>::from_data(random_tensor(seed, shape, 3.0).into_data(), &device)
                };
                let (x, weight, bias) =
                    (leaf(5, [rows, 9]), leaf(6, [9, 130]), leaf(7, [1, 130]).reshape([130]));
                let expected =
                    elements(crate::relu6(affine(x.clone(), weight.clone(), Some(bias.clone()))));
                assert!(expected.contains(&6.0) && expected.contains(&0.0));
                assert_close("relu6", &elements(affine_relu6(x, weight, bias)), &expected, 1e-5);
            }
        }
    }

    #[test]
    fn gradient_passes_the_relu6_behind_a_product() {
        for device in devices().into_iter().map(Device::autodiff) {
            let leaf = |seed, shape: [usize; 2]| {
                Tensor::<2>::from_data(random_tensor(seed, shape, 3.0).into_data(), &device)
            };
            let (x, weight, bias) =
                (leaf(5, [40, 9]), leaf(6, [9, 30]).require_grad(), leaf(7, [1, 30]).reshape([30]));
            let of = |y: Tensor<2>| elements(weight.grad(&y.square().sum().backward()).unwrap());
            let apart =
                of((x.clone().matmul(weight.clone()) + bias.clone().unsqueeze()).clamp(0.0, 6.0));
            assert_close(
                "gradient",
                &of(affine_relu6(x.clone(), weight.clone(), bias.clone())),
                &apart,
                1e-5,
            );
        }
    }
}
