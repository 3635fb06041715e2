//! Trains for a few steps on a reward that must rise, and says which link of the chain is broken if
//! it does not.

use serde::Serialize;

use crate::{Judge, Link, PointSource, Policy, RlError, StepReport, Trainer};

/// What the doctor found out about a link.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// Which link.
    pub name: Link,
    /// Whether it holds. Links behind a broken one cannot be judged and count as not holding.
    pub ok: bool,
    /// What was seen.
    pub evidence: String,
}

/// Runs `steps` steps and examines every link. Give it a trainer whose reward is easy,
/// [`Length`](crate::Length) say, and whose learning rate is high enough to see it rise.
///
/// # Errors
///
/// [`RlError`] if something fails that is no link: a file, the model itself, a non-finite number.
pub fn examine<P, J, S>(
    mut trainer: Trainer<'_, P, J, S>,
    steps: usize,
) -> Result<Vec<Finding>, RlError>
where
    P: Policy,
    J: Judge<Image = P::Image>,
    S: PointSource<Image = P::Image>,
{
    let mut reports = Vec::with_capacity(steps);
    for _ in 0..steps {
        match trainer.step() {
            Ok(outcome) => reports.push(outcome.report),
            Err(RlError::BrokenLink { link, evidence, .. }) => {
                return Ok(broken_at(link, &evidence));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(findings(&reports))
}

/// The findings if a link is broken before there is anything to report.
#[must_use]
pub fn broken_at(broken: Link, evidence: &str) -> Vec<Finding> {
    let finding = |name: Link| match name.cmp(&broken) {
        std::cmp::Ordering::Less => Finding { name, ok: true, evidence: "holds so far".to_owned() },
        std::cmp::Ordering::Equal => Finding { name, ok: false, evidence: evidence.to_owned() },
        std::cmp::Ordering::Greater => {
            Finding { name, ok: false, evidence: format!("not examined: `{broken}` comes first") }
        }
    };
    Link::ALL.map(finding).into()
}

/// Steps that raised no error have shown most links to hold; advantages and reward show in their
/// numbers.
fn findings(reports: &[StepReport]) -> Vec<Finding> {
    let largest = |value: fn(&StepReport) -> f64| reports.iter().map(value).fold(0.0, f64::max);
    let steps = reports.len();
    let idle = reports.iter().filter(|report| report.frac_zero_std >= 1.0).count();
    let unscorable: usize = reports.iter().map(|report| report.n_unscorable).sum();
    let samples: usize = reports.iter().map(|report| report.n_samples).sum();
    let quarter = (steps / 4).max(1);
    let rewards: Vec<f64> = reports.iter().map(|report| report.reward).collect();
    let (first, last) = (&rewards[..quarter.min(steps)], &rewards[steps - quarter.min(steps)..]);
    let (rise, noise) =
        (mean(last) - mean(first), (squared_error(first) + squared_error(last)).sqrt());
    Link::ALL
        .map(|name| {
            let (ok, evidence) = match name {
                Link::Trainable => {
                    (true, format!("gradients reach every trainable tensor; their norm is up to {:.2e}", largest(|r| r.gradient_norm)))
                }
                Link::Reference => (true, "policy and reference agreed before the first step".to_owned()),
                Link::Frozen => (true, "judge and base did not change".to_owned()),
                Link::Masks => (true, format!("sampler and trainer differ by at most {:.1e} nats at a token", largest(|r| r.gap_max))),
                Link::Sampler => (true, format!("the sampler wrote with the weights of each of {steps} steps")),
                Link::Advantages => (
                    idle < steps && unscorable < samples,
                    format!("{idle} of {steps} steps had rewards without any spread, {unscorable} of {samples} samples had none"),
                ),
                Link::Update => (true, "every step with a gradient changed the weights".to_owned()),
                Link::Reward => {
                    let text = format!("{:.3} in the first quarter, {:.3} in the last, noise {noise:.3}", mean(first), mean(last));
                    (rise > 2.0 * noise && rise > 0.0, text)
                }
            };
            Finding { name, ok, evidence }
        })
        .into()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// The squared standard error of the mean.
fn squared_error(values: &[f64]) -> f64 {
    let mean = mean(values);
    values.iter().map(|value| (value - mean).powi(2)).sum::<f64>()
        / (values.len() * values.len().saturating_sub(1).max(1)).max(1) as f64
}
