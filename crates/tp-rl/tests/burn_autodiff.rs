//! The explicit derivative on the host, compared with Burn's own for the same formula in tensor
//! operations.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use burn::tensor::{DType, Device, Tensor, TensorData};
use rand::RngExt;
use tp_core::Seed;
use tp_rl::{BatchTotals, Clip, KlEstimator, LossOptions, Sequence, grpo_loss, with_host_gradient};

const LENGTHS: [usize; 3] = [5, 2, 3];
/// Sums over ten tokens in different orders.
const F64: f64 = 1e-14;
/// The same, and `exp` in single precision.
const F32: f64 = 1e-6;

/// The derivative of the paper's loss by Burn's autodiff and by ours, at the given precision.
fn gradients(dtype: DType) -> [Vec<f64>; 2] {
    let mut rng = Seed(3).rng();
    let n: usize = LENGTHS.iter().sum();
    let mut random =
        |scale: f64| (0..n).map(|_| (rng.random::<f64>() - 0.5) * scale).collect::<Vec<f64>>();
    // Ratios on both sides of the clip.
    let (old, apart, from_reference) = (random(2.0), random(1.0), random(1.0));
    let new: Vec<f64> = old.iter().zip(&apart).map(|(a, b)| a + b).collect();
    let reference: Vec<f64> = new.iter().zip(&from_reference).map(|(a, b)| a + b).collect();
    let advantages = [1.2, -0.7, -0.5];
    let options = LossOptions {
        clip: Some(Clip { low: 0.1, high: 0.2 }),
        beta: 0.3,
        kl: KlEstimator::K3,
        kl_limit: 20.0,
    };

    let device = Device::flex().autodiff();
    let tensor = |values: Vec<f64>| {
        Tensor::<1>::from_data(TensorData::new(values, [n]).convert_dtype(dtype), (&device, dtype))
    };
    let by_token = |value: &dyn Fn(usize) -> f64| {
        LENGTHS
            .iter()
            .enumerate()
            .flat_map(|(row, &length)| vec![value(row); length])
            .collect::<Vec<_>>()
    };
    let advantage = tensor(by_token(&|row| advantages[row]));
    let weight = tensor(by_token(&|row| 1.0 / (3.0 * LENGTHS[row] as f64)));

    let leaf = tensor(new.clone()).require_grad();
    let ratio = (leaf.clone() - tensor(old.clone())).exp();
    let free = ratio.clone() * advantage.clone();
    let held = ratio.clamp(0.9, 1.2) * advantage;
    let smaller = free.clone().lower_equal(held.clone());
    let gain = held.mask_where(smaller, free);
    let d = leaf.clone() - tensor(reference.clone());
    let kl = d.clone().neg().exp() + d - 1.0;
    let loss = ((kl * 0.3 - gain) * weight).sum();
    let theirs = leaf.grad(&loss.backward()).unwrap();

    let mut rows = Vec::new();
    let mut first = 0;
    for (length, advantage) in LENGTHS.into_iter().zip(advantages) {
        let own = first..first + length;
        rows.push(Sequence {
            log_probs: &new[own.clone()],
            old_log_probs: &old[own.clone()],
            ref_log_probs: &reference[own],
            advantage,
        });
        first += length;
    }
    let ours = grpo_loss(&rows, BatchTotals::of(LENGTHS), &options);
    let clipped: f64 = ours.n_clipped as f64;
    assert!((1.0..9.0).contains(&clipped), "{clipped} of 10 tokens are clipped");
    let leaf = tensor(new.clone()).require_grad();
    let ours =
        leaf.grad(&with_host_gradient(leaf.clone(), &ours.gradient.concat()).backward()).unwrap();
    [theirs, ours].map(|gradient| gradient.into_data().iter::<f64>().collect())
}

#[test]
fn written_out_derivative_is_that_of_burn() {
    for (dtype, tolerance) in [(DType::F64, F64), (DType::F32, F32)] {
        let [theirs, ours] = gradients(dtype);
        for (a, b) in theirs.iter().zip(&ours) {
            assert!((a - b).abs() < tolerance, "{dtype:?}: {a} {b}");
        }
        assert!(ours.iter().any(|slope| slope.abs() > 0.01));
    }
}
