//! Trains for a few steps on a reward that must rise and reports which link of the training chain
//! is broken if it does not.

use serde::Serialize;

use crate::{Judge, Link, PointSource, Policy, RlError, StepReport, Trainer};

/// The diagnosis of one link.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LinkDiagnosis {
    /// The link.
    pub name: Link,
    /// Whether it holds. Links after a broken one cannot be examined and count as not holding.
    pub ok: bool,
    /// The observation behind the verdict.
    pub evidence: String,
}

/// Runs `steps` steps and examines every link. The trainer should have an easy reward, such as
/// [`Length`](crate::Length), and a learning rate high enough for the reward to rise.
///
/// # Errors
///
/// [`RlError`] if something outside the chain fails: a file, the model, or a non-finite number.
pub fn examine<P, J, S>(
    mut trainer: Trainer<'_, P, J, S>,
    steps: usize,
) -> Result<Vec<LinkDiagnosis>, RlError>
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

/// The diagnosis if a link breaks before any step is reported.
#[must_use]
pub fn broken_at(broken: Link, evidence: &str) -> Vec<LinkDiagnosis> {
    let finding = |name: Link| match name.cmp(&broken) {
        std::cmp::Ordering::Less => {
            LinkDiagnosis { name, ok: true, evidence: "holds so far".to_owned() }
        }
        std::cmp::Ordering::Equal => {
            LinkDiagnosis { name, ok: false, evidence: evidence.to_owned() }
        }
        std::cmp::Ordering::Greater => LinkDiagnosis {
            name,
            ok: false,
            evidence: format!("not examined: `{broken}` comes first"),
        },
    };
    Link::ALL.map(finding).into()
}

/// Steps that return without an error imply that most links hold; advantages and reward are judged
/// by their values.
fn findings(reports: &[StepReport]) -> Vec<LinkDiagnosis> {
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
                Link::Masks => (true, format!("sampler and trainer differ by at most {:.1e} nats per token", largest(|r| r.gap_max))),
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
            LinkDiagnosis { name, ok, evidence }
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
