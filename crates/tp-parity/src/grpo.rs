//! Losses of reinforcement learning against trl's, in f64.

use burn::tensor::{Device, Tensor, TensorData};
use tp_rl::{
    AdvantageConfig, BatchTotals, Clip, Deviation, KlEstimator, LossOptions, PolicyLoss, Scale,
    Sequence, advantages, dapo_loss, dr_grpo_loss, grpo_loss, gspo_loss, with_host_gradient,
};

use crate::{
    ParityError,
    fixture::{ANY, Fixture},
    report::Outcome,
};

/// Rewards → advantages; log-probabilities → loss, divergence, and the gradient that reaches a
/// tensor.
pub(crate) fn grpo_loss_stage(fixture: &Fixture, device: &Device) -> Result<Outcome, ParityError> {
    let log_probs = fixture.numbers("log_probs", [ANY, ANY])?;
    let [n, tokens] = log_probs.shape;
    let same = |name: &str| fixture.numbers(name, [n, tokens]);
    let (old, reference) = (same("old_log_probs")?, same("ref_log_probs")?);
    let lengths = lengths(fixture, [n, tokens])?;

    let group_size: usize = fixture.setting("group_size")?;
    if group_size == 0 || !n.is_multiple_of(group_size) {
        return Err(
            fixture.unusable(&format!("{n} sequences cannot be split into groups of {group_size}"))
        );
    }
    let rewards: Vec<Option<f64>> =
        fixture.numbers("rewards", [n])?.values.into_iter().map(Some).collect();
    let config = AdvantageConfig {
        scale: fixture.setting::<Scale>("advantage_scale")?,
        deviation: fixture.setting::<Deviation>("advantage_std")?,
        epsilon: fixture.setting("advantage_eps")?,
        ..Default::default()
    };
    let advantages: Vec<f64> = advantages(&rewards, &vec![None; n], group_size, &config)
        .values
        .into_iter()
        .flatten()
        .collect();

    let (low, high): (Option<f64>, Option<f64>) =
        (fixture.setting("clip_low")?, fixture.setting("clip_high")?);
    let options = LossOptions {
        clip: low.zip(high).map(|(low, high)| Clip { low, high }),
        beta: fixture.setting("beta")?,
        kl: fixture.setting::<KlEstimator>("kl")?,
        ..Default::default()
    };
    let own =
        |values: &[f64], row: usize| values[row * tokens..row * tokens + lengths[row]].to_vec();
    let rows: Vec<[Vec<f64>; 3]> = (0..n)
        .map(|row| {
            [own(&log_probs.values, row), own(&old.values, row), own(&reference.values, row)]
        })
        .collect();
    let sequences: Vec<Sequence<'_>> = rows
        .iter()
        .zip(&advantages)
        .map(|([log_probs, old_log_probs, ref_log_probs], &advantage)| Sequence {
            log_probs,
            old_log_probs,
            ref_log_probs,
            advantage,
        })
        .collect();
    let whole = BatchTotals::of(lengths.iter().copied());
    let name: String = fixture.setting("loss")?;
    let loss: PolicyLoss = match name.as_str() {
        "grpo" => grpo_loss(&sequences, whole, &options),
        "dapo" => dapo_loss(&sequences, whole, &options),
        "dr_grpo" => {
            dr_grpo_loss(&sequences, whole, fixture.setting("max_completion_tokens")?, &options)
        }
        "gspo" => gspo_loss(&sequences, whole, &options),
        _ => {
            return Err(fixture.unusable(&format!(
                "`loss`: there is no `{name}`, but grpo, dapo, dr_grpo and gspo"
            )));
        }
    };

    let device = device.clone().autodiff();
    let flat: Vec<f64> = rows.iter().flat_map(|[log_probs, ..]| log_probs).copied().collect();
    let data = TensorData::new(flat.clone(), [flat.len()]);
    let leaf = Tensor::<1>::from_data(data, (&device, burn::tensor::DType::F64)).require_grad();
    let gradients = with_host_gradient(leaf.clone(), &loss.gradient.concat()).backward();
    let gradient =
        leaf.grad(&gradients).ok_or_else(|| fixture.unusable("no gradient reached `log_probs`"))?;
    let mut gradient = gradient.into_data().iter::<f64>().collect::<Vec<_>>().into_iter();
    let padded = |mut next: Box<dyn FnMut() -> f64 + '_>| {
        let values: Vec<f64> = (0..n * tokens)
            .map(|at| if at % tokens < lengths[at / tokens] { next() } else { 0.0 })
            .collect();
        TensorData::new(values, [n, tokens])
    };
    let mut token_kl = loss.token_kl.iter().flatten().copied();
    let next = |values: &mut dyn Iterator<Item = f64>| values.next().unwrap_or(f64::NAN);
    let outcome = Outcome::default()
        .with_data("loss", TensorData::new(vec![loss.loss], [1]))
        .with_data("advantages", TensorData::new(advantages.clone(), [n]))
        .with_data("kl", TensorData::new(vec![loss.kl], [1]))
        .with_data("token_kl", padded(Box::new(|| next(&mut token_kl))))
        .with_data("grad_log_probs", padded(Box::new(|| next(&mut gradient))));
    Ok(outcome)
}

/// The lengths that a mask of ones and then zeros stands for.
fn lengths(fixture: &Fixture, shape: [usize; 2]) -> Result<Vec<usize>, ParityError> {
    let mask = fixture.integers("mask", &shape)?;
    mask.chunks(shape[1])
        .map(|row| {
            let length = row.iter().take_while(|&&open| open == 1).count();
            let sound = length > 0 && row[length..].iter().all(|&open| open == 0);
            sound
                .then_some(length)
                .ok_or_else(|| fixture.unusable("a row of `mask` is not ones and then zeros"))
        })
        .collect()
}
