//! From the logits of one row to its next token, on the host: one row, one generator, nothing shared.

use rand::{Rng, RngExt};
use tp_core::Sampling;

use crate::LanguageError;

/// The choice of one token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SampledToken {
    /// The token.
    pub id: u32,
    /// Its log-probability in nats under the model itself: neither temperature nor truncation counts.
    pub log_prob: f32,
}

/// A token that may be chosen, and its weight relative to the most probable one.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    id: u32,
    weight: f64,
}

/// Checks sampling settings.
///
/// # Errors
///
/// [`LanguageError::InvalidSampling`] if they describe no distribution.
pub fn validate_sampling(sampling: Sampling) -> Result<(), LanguageError> {
    match sampling {
        Sampling::Greedy => Ok(()),
        Sampling::Nucleus { temperature, top_p } if temperature.is_finite() && temperature > 0.0 && top_p > 0.0 && top_p <= 1.0 => Ok(()),
        Sampling::Nucleus { temperature, top_p } => Err(LanguageError::InvalidSampling { temperature, top_p }),
    }
}

/// Chooses the next token; draws exactly one number from `rng` unless greedy. Ties go to the lower id.
///
/// `None` if the logits are empty, or one is not a number or +∞ (−∞ is a token that cannot come).
#[must_use]
pub fn sample(logits: &[f32], sampling: Sampling, rng: &mut impl Rng) -> Option<SampledToken> {
    let (mut best, mut largest) = (0, f32::NEG_INFINITY);
    for (id, &logit) in logits.iter().enumerate() {
        if logit.is_nan() {
            return None;
        }
        if logit > largest {
            (best, largest) = (id as u32, logit);
        }
    }
    if !largest.is_finite() {
        return None;
    }
    let id = match sampling {
        Sampling::Greedy => best,
        Sampling::Nucleus { temperature, top_p } => {
            let weight = |logit: f32| (f64::from(logit - largest) / f64::from(temperature)).exp();
            let mut candidates: Vec<Candidate> =
                logits.iter().enumerate().map(|(id, &logit)| Candidate { id: id as u32, weight: weight(logit) }).collect();
            keep_nucleus(&mut candidates, f64::from(top_p));
            draw(&candidates, rng.random::<f64>()).unwrap_or(best)
        }
    };
    let log_sum = logits.iter().map(|&logit| f64::from(logit - largest).exp()).sum::<f64>().ln();
    Some(SampledToken { id, log_prob: (f64::from(logits[id as usize] - largest) - log_sum) as f32 })
}

/// Keeps the fewest tokens, most probable first, that hold `top_p` of the mass.
fn keep_nucleus(candidates: &mut Vec<Candidate>, top_p: f64) {
    if top_p >= 1.0 {
        return;
    }
    let total: f64 = candidates.iter().map(|candidate| candidate.weight).sum();
    // Tokens below this line hold less than 1 - top_p together, so none of them is needed: few are left to be sorted.
    let line = (1.0 - top_p) * total / candidates.len() as f64;
    candidates.retain(|candidate| candidate.weight >= line);
    candidates.sort_by(|a, b| b.weight.total_cmp(&a.weight).then(a.id.cmp(&b.id)));
    let mut held = 0.0;
    let needed = candidates.iter().position(|candidate| {
        held += candidate.weight;
        held >= top_p * total
    });
    candidates.truncate(needed.map_or(candidates.len(), |last| last + 1));
}

/// The token at the share `at` (in `[0, 1)`) of the mass.
fn draw(candidates: &[Candidate], at: f64) -> Option<u32> {
    let total: f64 = candidates.iter().map(|candidate| candidate.weight).sum();
    let mut left = at * total;
    for candidate in candidates {
        left -= candidate.weight;
        if left < 0.0 {
            return Some(candidate.id);
        }
    }
    // Rounding can leave a last crumb: it belongs to the last token that can come.
    candidates.iter().rev().find(|candidate| candidate.weight > 0.0).map(|candidate| candidate.id)
}

#[cfg(test)]
mod tests {
    use tp_core::Seed;

    use super::*;

    const NUCLEUS: Sampling = Sampling::Nucleus { temperature: 1.0, top_p: 1.0 };

    #[test]
    fn greedy_takes_the_first_of_the_most_probable() {
        let sampled = sample(&[0.0, 1.0, 1.0, f32::NEG_INFINITY], Sampling::Greedy, &mut Seed(0).rng()).unwrap();
        assert_eq!(sampled.id, 1);
        let expected = (1f64.exp() / (1.0 + 2.0 * 1f64.exp())).ln() as f32;
        assert!((sampled.log_prob - expected).abs() < 1e-6);
    }

    #[test]
    fn draws_follow_the_distribution() {
        let logits = [0.5f32, 0.3, 0.2].map(f32::ln);
        let mut rng = Seed(1).rng();
        let mut counts = [0; 3];
        for _ in 0..20_000 {
            counts[sample(&logits, NUCLEUS, &mut rng).unwrap().id as usize] += 1;
        }
        for (count, share) in counts.into_iter().zip([0.5, 0.3, 0.2]) {
            assert!((f64::from(count) / 20_000.0 - share).abs() < 0.015, "{counts:?}"); // four standard errors
        }
    }

    #[test]
    fn nucleus_leaves_the_tail_out() {
        let logits = [0.2f32, 0.5, 0.25, 0.05].map(f32::ln);
        let mut rng = Seed(2).rng();
        for _ in 0..500 {
            // 0.5 + 0.25 hold 0.7 of the mass; the other two are not needed.
            let id = sample(&logits, Sampling::Nucleus { temperature: 1.0, top_p: 0.7 }, &mut rng).unwrap().id;
            assert!(id == 1 || id == 2, "{id}");
            assert_eq!(sample(&logits, Sampling::Nucleus { temperature: 1.0, top_p: 1e-6 }, &mut rng).unwrap().id, 1);
            assert_eq!(sample(&logits, Sampling::Nucleus { temperature: 1e-30, top_p: 1.0 }, &mut rng).unwrap().id, 1);
        }
    }

    #[test]
    fn log_prob_ignores_the_temperature() {
        let logits = [2.0, 0.0];
        let sampled = sample(&logits, Sampling::Nucleus { temperature: 0.01, top_p: 0.5 }, &mut Seed(3).rng()).unwrap();
        assert!((sampled.log_prob - (-(1.0 + (-2f32).exp()).ln())).abs() < 1e-6);
    }

    #[test]
    fn broken_logits_and_settings_are_refused() {
        for logits in [&[][..], &[f32::NAN, 0.0], &[f32::INFINITY, 0.0], &[f32::NEG_INFINITY]] {
            assert_eq!(sample(logits, NUCLEUS, &mut Seed(0).rng()), None);
        }
        for (temperature, top_p) in [(0.0, 0.5), (f32::NAN, 0.5), (1.0, 0.0), (1.0, 1.1), (f32::INFINITY, 1.0), (1.0, f32::NAN)] {
            assert!(validate_sampling(Sampling::Nucleus { temperature, top_p }).is_err());
        }
    }
}
