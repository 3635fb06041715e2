//! What every operator of this crate must pass, written once.

use burn::prelude::*;
use burn::tensor::DType;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Numbers in `[-scale, scale]`.
pub(crate) fn random(seed: u64, count: usize, scale: f64) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| (rng.random::<f64>() * 2.0 - 1.0) * scale).collect()
}

/// A tensor of [`random`] numbers in single precision, on the plain device.
pub(crate) fn random_tensor<const D: usize>(seed: u64, shape: [usize; D], scale: f64) -> Tensor<D> {
    let data = TensorData::new(random(seed, shape.iter().product(), scale), shape);
    Tensor::from_data(data, (&Device::flex(), DType::F32))
}

/// The elements in row-major order.
pub(crate) fn elements<const D: usize>(x: Tensor<D>) -> Vec<f64> {
    x.into_data().iter::<f64>().collect()
}

pub(crate) fn assert_close(what: &str, actual: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(actual.len(), expected.len(), "{what}: length");
    for (i, (a, e)) in actual.iter().zip(expected).enumerate() {
        assert!((a - e).abs() <= tolerance * (1.0 + e.abs()), "{what}, element {i}: {a} instead of {e}");
    }
}

/// An operator with its inputs flattened; it restores the shapes itself.
pub(crate) type Flat<'a> = &'a dyn Fn(&[Tensor<1>]) -> Tensor<1>;

fn leaves(inputs: &[Vec<f64>], dtype: DType) -> Vec<Tensor<1>> {
    let device = (&Device::flex().autodiff(), dtype);
    inputs.iter().map(|x| Tensor::<1>::from_data(TensorData::new(x.clone(), [x.len()]), device).require_grad()).collect()
}

fn output(operator: Flat, inputs: &[Vec<f64>], dtype: DType) -> Vec<f64> {
    elements(operator(&leaves(inputs, dtype)))
}

/// Fixed weights that make one number of all outputs.
fn loss_weights(count: usize) -> Vec<f64> {
    random(99, count, 1.0)
}

fn gradients(operator: Flat, inputs: &[Vec<f64>], dtype: DType) -> Vec<Vec<f64>> {
    let leaves = leaves(inputs, dtype);
    let out = operator(&leaves);
    let weights = loss_weights(out.dims()[0]);
    let weights = Tensor::from_data(TensorData::new(weights, out.dims()), (&out.device(), dtype));
    let grads = (out * weights).sum().backward();
    leaves.iter().map(|leaf| elements(leaf.grad(&grads).expect("a gradient"))).collect()
}

/// Tolerances of [`check`], relative to `1 + |expected|`.
pub(crate) struct Tolerance {
    /// Single precision against double precision, for outputs.
    pub(crate) output: f64,
    /// The same for gradients.
    pub(crate) gradient: f64,
}

/// Compares the fast path, the reference body, a composition of Burn's own operators and finite differences.
pub(crate) fn check(operator: Flat, composed: Flat, inputs: &[Vec<f64>], tolerance: Tolerance) {
    let exact = output(operator, inputs, DType::F64);
    assert_close("reference against composition", &exact, &output(composed, inputs, DType::F64), 1e-9);
    let fast = output(operator, inputs, DType::F32);
    assert_close("fast path against reference", &fast, &exact, tolerance.output);
    assert_eq!(fast, output(operator, inputs, DType::F32), "two runs must be equal");

    let exact_gradients = gradients(operator, inputs, DType::F64);
    let fast_gradients = gradients(operator, inputs, DType::F32);
    assert_eq!(fast_gradients, gradients(operator, inputs, DType::F32), "two gradients must be equal");
    let composed_gradients = gradients(composed, inputs, DType::F64);
    for (i, exact) in exact_gradients.iter().enumerate() {
        assert_close(&format!("gradient {i}, reference against composition"), exact, &composed_gradients[i], 1e-9);
        assert_close(&format!("gradient {i}, fast path against reference"), &fast_gradients[i], exact, tolerance.gradient);
        assert_close(&format!("gradient {i}, reference against differences"), exact, &differences(operator, inputs, i), 1e-6);
    }
    for half in [DType::F16, DType::BF16] {
        assert_close("half precision", &output(operator, inputs, half), &exact, 0.1);
        assert!(gradients(operator, inputs, half).iter().flatten().all(|g| g.is_finite()));
    }
}

/// Central differences of the weighted sum of outputs, with respect to input `which`.
fn differences(operator: Flat, inputs: &[Vec<f64>], which: usize) -> Vec<f64> {
    const STEP: f64 = 1e-5;
    let loss = |inputs: &[Vec<f64>]| {
        let out = output(operator, inputs, DType::F64);
        let weights = loss_weights(out.len());
        out.iter().zip(weights).map(|(o, w)| o * w).sum::<f64>()
    };
    let mut moved = inputs.to_vec();
    (0..inputs[which].len())
        .map(|i| {
            let [above, below] = [STEP, -STEP].map(|step| {
                moved[which][i] = inputs[which][i] + step;
                loss(&moved)
            });
            moved[which][i] = inputs[which][i];
            (above - below) / (2.0 * STEP)
        })
        .collect()
}
