//! The checks that every operator of this crate must pass.

use burn::prelude::*;
use burn::tensor::DType;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Every CPU device of this build: the one with fast paths first, then those on which every
/// operator is its reference.
pub(crate) fn devices() -> Vec<Device> {
    vec![
        Device::flex(),
        #[cfg(feature = "libtorch")]
        Device::libtorch(),
    ]
}

/// Random numbers in `[-scale, scale]`.
pub(crate) fn random(seed: u64, count: usize, scale: f64) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| (rng.random::<f64>() * 2.0 - 1.0) * scale).collect()
}

/// A tensor of [`random`] numbers in single precision, on the plain device.
pub(crate) fn random_tensor<const D: usize>(seed: u64, shape: [usize; D], scale: f64) -> Tensor<D> {
    random_on(&Device::flex(), seed, shape, scale)
}

/// The same on another device.
pub(crate) fn random_on<const D: usize>(
    device: &Device,
    seed: u64,
    shape: [usize; D],
    scale: f64,
) -> Tensor<D> {
    let data = TensorData::new(random(seed, shape.iter().product(), scale), shape);
    Tensor::from_data(data, (device, DType::F32))
}

/// The elements in row-major order.
pub(crate) fn elements<const D: usize>(x: Tensor<D>) -> Vec<f64> {
    x.into_data().iter::<f64>().collect()
}

pub(crate) fn assert_close(what: &str, actual: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(actual.len(), expected.len(), "{what}: length");
    for (i, (a, e)) in actual.iter().zip(expected).enumerate() {
        assert!(
            (a - e).abs() <= tolerance * (1.0 + e.abs()),
            "{what}, element {i}: {a} instead of {e}"
        );
    }
}

/// An operator with flattened inputs, which restores the shapes itself.
pub(crate) type Flat<'a> = &'a dyn Fn(&[Tensor<1>]) -> Tensor<1>;

/// How [`check`] runs an operator.
#[derive(Clone, Copy)]
struct Setting<'a> {
    operator: Flat<'a>,
    device: &'a Device,
    dtype: DType,
}

impl Setting<'_> {
    fn leaves(&self, inputs: &[Vec<f64>]) -> Vec<Tensor<1>> {
        let device = self.device.clone().autodiff();
        let leaf = |x: &Vec<f64>| {
            Tensor::<1>::from_data(TensorData::new(x.clone(), [x.len()]), (&device, self.dtype))
                .require_grad()
        };
        inputs.iter().map(leaf).collect()
    }

    fn output(&self, inputs: &[Vec<f64>]) -> Vec<f64> {
        elements((self.operator)(&self.leaves(inputs)))
    }

    fn gradients(&self, inputs: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let leaves = self.leaves(inputs);
        let out = (self.operator)(&leaves);
        let weights = TensorData::new(loss_weights(out.dims()[0]), out.dims());
        let weights = Tensor::from_data(weights, (&out.device(), self.dtype));
        let grads = (out * weights).sum().backward();
        leaves.iter().map(|leaf| elements(leaf.grad(&grads).expect("a gradient"))).collect()
    }

    /// Central differences of the weighted sum of outputs, with respect to input `which`.
    fn differences(&self, inputs: &[Vec<f64>], which: usize) -> Vec<f64> {
        const STEP: f64 = 1e-5;
        let loss = |inputs: &[Vec<f64>]| {
            let out = self.output(inputs);
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
}

/// Fixed weights that reduce all outputs to one number.
fn loss_weights(count: usize) -> Vec<f64> {
    random(99, count, 1.0)
}

/// Tolerances of [`check`], relative to `1 + |expected|`.
#[derive(Clone, Copy)]
pub(crate) struct Tolerance {
    /// Single precision against double precision, for outputs.
    pub(crate) output: f64,
    /// The same for gradients.
    pub(crate) gradient: f64,
}

impl Tolerance {
    /// For a device without a fast path of ours, whose order of summation is up to the backend.
    const OF_REFERENCES: Self = Self { output: 1e-5, gradient: 2e-5 };

    fn on(self, device: &Device) -> Self {
        if *device == Device::flex() { self } else { Self::OF_REFERENCES }
    }
}

/// Compares, on every device, single precision (the fast path, if there is one), the reference in
/// double precision, a composition of Burn's own operators, and finite differences; and the devices
/// with each other.
pub(crate) fn check(operator: Flat, composed: Flat, inputs: &[Vec<f64>], tolerance: Tolerance) {
    let mut of_first: Option<Vec<f64>> = None;
    for device in devices() {
        let exact = check_on(&device, operator, composed, inputs, tolerance.on(&device));
        assert_close(
            &format!("{device:?} against the first device"),
            &exact,
            of_first.get_or_insert_with(|| exact.clone()),
            1e-9,
        );
    }
}

/// Returns the outputs and gradients in double precision, concatenated.
fn check_on(
    device: &Device,
    operator: Flat,
    composed: Flat,
    inputs: &[Vec<f64>],
    tolerance: Tolerance,
) -> Vec<f64> {
    let named = |what: &str| format!("{device:?}, {what}");
    let ours = |dtype| Setting { operator, device, dtype };
    let theirs = Setting { operator: composed, device, dtype: DType::F64 };

    let exact = ours(DType::F64).output(inputs);
    assert_close(&named("reference against composition"), &exact, &theirs.output(inputs), 1e-9);
    let fast = ours(DType::F32).output(inputs);
    assert_close(&named("fast path against reference"), &fast, &exact, tolerance.output);
    assert_eq!(fast, ours(DType::F32).output(inputs), "{device:?}: two runs must be equal");

    let exact_gradients = ours(DType::F64).gradients(inputs);
    let fast_gradients = ours(DType::F32).gradients(inputs);
    assert_eq!(
        fast_gradients,
        ours(DType::F32).gradients(inputs),
        "{device:?}: two gradients must be equal"
    );
    let composed_gradients = theirs.gradients(inputs);
    for (i, exact) in exact_gradients.iter().enumerate() {
        let named = |against: &str| named(&format!("gradient {i}, {against}"));
        assert_close(&named("reference against composition"), exact, &composed_gradients[i], 1e-9);
        assert_close(
            &named("fast path against reference"),
            &fast_gradients[i],
            exact,
            tolerance.gradient,
        );
        assert_close(
            &named("reference against differences"),
            exact,
            &ours(DType::F64).differences(inputs, i),
            1e-6,
        );
    }
    for half in [DType::F16, DType::BF16] {
        assert_close(&named("half precision"), &ours(half).output(inputs), &exact, 0.1);
        assert!(
            ours(half).gradients(inputs).iter().flatten().all(|g| g.is_finite()),
            "{device:?}: gradients in {half:?}"
        );
    }
    [exact, exact_gradients.concat()].concat()
}
