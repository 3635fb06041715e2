//! From the logits of one row to its next token, on the host: one row, one generator, nothing
//! shared.
//!
//! Settings and their order are those of the transformers library's logits processors.

use rand::{Rng, RngExt};
use tp_core::Sampling;

use crate::LanguageError;

/// The choice of one token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SampledToken {
    /// The token.
    pub id: u32,
    /// Its log-probability in nats under the model itself: no setting counts.
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
/// [`LanguageError::InvalidSampling`] names the first setting that makes no sense.
pub fn validate_sampling(sampling: Sampling) -> Result<(), LanguageError> {
    let Sampling { repetition_penalty, temperature, top_k, top_p, min_p } = sampling;
    let rules = [
        (
            "repetition_penalty",
            repetition_penalty,
            repetition_penalty.is_finite() && repetition_penalty > 0.0,
            "a number above 0 is accepted",
        ),
        (
            "temperature",
            temperature,
            temperature.is_finite() && temperature >= 0.0,
            "0 or a number above it is accepted",
        ),
        ("top_k", top_k.unwrap_or(1) as f32, top_k != Some(0), "at least 1 is accepted"),
        ("top_p", top_p, top_p > 0.0 && top_p <= 1.0, "a share in (0, 1] is accepted"),
        ("min_p", min_p, (0.0..=1.0).contains(&min_p), "a share in [0, 1] is accepted"),
    ];
    match rules.into_iter().find(|(_, _, sound, _)| !sound) {
        Some((name, value, _, accepted)) => {
            Err(LanguageError::InvalidSampling { name, value, accepted })
        }
        None => Ok(()),
    }
}

/// Chooses the next token; draws exactly one number from `rng` unless greedy. Ties go to the lower
/// id.
///
/// `history` holds the tokens that the repetition penalty counts. `None` if the logits are empty,
/// or one is not a number or +∞ (−∞ is a token that cannot come).
#[must_use]
pub fn sample(
    logits: &[f32],
    sampling: Sampling,
    history: &[u32],
    rng: &mut impl Rng,
) -> Option<SampledToken> {
    let largest = most_probable(logits)?.1;
    let penalized = (sampling.repetition_penalty != 1.0)
        .then(|| penalized(logits, sampling.repetition_penalty, history));
    let judged = penalized.as_deref().unwrap_or(logits);
    let (best, _) = most_probable(judged)?;
    let id = if sampling.is_greedy() {
        best
    } else {
        drawn(judged, sampling, rng.random::<f64>()).unwrap_or(best)
    };
    let log_sum = logits.iter().map(|&logit| f64::from(logit - largest).exp()).sum::<f64>().ln();
    Some(SampledToken { id, log_prob: (f64::from(logits[id as usize] - largest) - log_sum) as f32 })
}

/// The first of the largest logits; `None` if there is no finite one, or one that is no number.
fn most_probable(logits: &[f32]) -> Option<(u32, f32)> {
    let (mut best, mut largest) = (0, f32::NEG_INFINITY);
    for (id, &logit) in logits.iter().enumerate() {
        if logit.is_nan() {
            return None;
        }
        if logit > largest {
            (best, largest) = (id as u32, logit);
        }
    }
    largest.is_finite().then_some((best, largest))
}

/// Logits with those of tokens that have occurred lowered, each once.
fn penalized(logits: &[f32], penalty: f32, history: &[u32]) -> Vec<f32> {
    let mut lowered = logits.to_vec();
    for &id in history {
        if let (Some(new), Some(&old)) = (lowered.get_mut(id as usize), logits.get(id as usize)) {
            *new = if old > 0.0 { old / penalty } else { old * penalty };
        }
    }
    lowered
}

/// The token at the share `at` (in `[0, 1)`) of the mass that the settings leave.
fn drawn(logits: &[f32], sampling: Sampling, at: f64) -> Option<u32> {
    let (_, largest) = most_probable(logits)?;
    let weight = |logit: f32| (f64::from(logit - largest) / f64::from(sampling.temperature)).exp();
    let mut candidates: Vec<Candidate> = logits
        .iter()
        .enumerate()
        .map(|(id, &logit)| Candidate { id: id as u32, weight: weight(logit) })
        .collect();
    if let Some(k) = sampling.top_k.filter(|&k| k < candidates.len()) {
        candidates.select_nth_unstable_by(k - 1, more_probable);
        candidates.truncate(k);
        candidates.sort_unstable_by_key(|candidate| candidate.id);
    }
    keep_nucleus(&mut candidates, f64::from(sampling.top_p));
    candidates.retain(|candidate| candidate.weight >= f64::from(sampling.min_p));
    draw(&candidates, at)
}

/// Most probable first, of equal ones the lower id.
fn more_probable(a: &Candidate, b: &Candidate) -> std::cmp::Ordering {
    b.weight.total_cmp(&a.weight).then(a.id.cmp(&b.id))
}

/// Keeps the fewest tokens, most probable first, that hold `top_p` of the mass.
fn keep_nucleus(candidates: &mut Vec<Candidate>, top_p: f64) {
    if top_p >= 1.0 {
        return;
    }
    let total: f64 = candidates.iter().map(|candidate| candidate.weight).sum();
    // Tokens below this line hold less than 1 - top_p together, so none of them is needed: few are
    // left to be sorted.
    let line = (1.0 - top_p) * total / candidates.len() as f64;
    candidates.retain(|candidate| candidate.weight >= line);
    candidates.sort_unstable_by(more_probable);
    let mut held = 0.0;
    let needed = candidates.iter().position(|candidate| {
        held += candidate.weight;
        held >= top_p * total
    });
    candidates.truncate(needed.map_or(candidates.len(), |last| last + 1));
}

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

    fn plain() -> Sampling {
        Sampling::at_temperature(1.0)
    }

    /// Ids that 500 draws give.
    fn ids(logits: &[f32], sampling: Sampling, history: &[u32]) -> std::collections::BTreeSet<u32> {
        let mut rng = Seed(2).rng();
        (0..500).map(|_| sample(logits, sampling, history, &mut rng).unwrap().id).collect()
    }

    #[test]
    fn greedy_takes_the_first_of_the_most_probable() {
        let sampled = sample(
            &[0.0, 1.0, 1.0, f32::NEG_INFINITY],
            Sampling::default(),
            &[],
            &mut Seed(0).rng(),
        )
        .unwrap();
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
            counts[sample(&logits, plain(), &[], &mut rng).unwrap().id as usize] += 1;
        }
        for (count, share) in counts.into_iter().zip([0.5, 0.3, 0.2]) {
            assert!((f64::from(count) / 20_000.0 - share).abs() < 0.015, "{counts:?}"); // four standard errors
        }
    }

    #[test]
    fn each_setting_leaves_its_tail_out() {
        let logits = [0.2f32, 0.5, 0.25, 0.05].map(f32::ln);
        // 0.5 + 0.25 hold 0.7 of the mass; the other two are not needed.
        assert_eq!(ids(&logits, Sampling { top_p: 0.7, ..plain() }, &[]), [1, 2].into());
        assert_eq!(ids(&logits, Sampling { top_p: 1e-6, ..plain() }, &[]), [1].into());
        assert_eq!(ids(&logits, Sampling { top_k: Some(3), ..plain() }, &[]), [0, 1, 2].into());
        assert_eq!(ids(&logits, Sampling { top_k: Some(9), ..plain() }, &[]), [0, 1, 2, 3].into());
        // 0.2 is 0.4 times the most probable, 0.05 is 0.1 times it.
        assert_eq!(ids(&logits, Sampling { min_p: 0.3, ..plain() }, &[]), [0, 1, 2].into());
        assert_eq!(ids(&logits, Sampling::at_temperature(1e-30), &[]), [1].into());
    }

    #[test]
    fn penalty_lowers_what_has_occurred_once_each() {
        let penalized = Sampling { repetition_penalty: 2.0, ..Sampling::default() };
        let greedy = |logits: &[f32], history: &[u32]| {
            sample(logits, penalized, history, &mut Seed(0).rng()).unwrap()
        };
        assert_eq!(greedy(&[3.0, 2.0], &[]).id, 0);
        assert_eq!(greedy(&[3.0, 2.0], &[0, 0]).id, 1); // 1.5 against 2, however often
        assert_eq!(greedy(&[-1.0, -1.5], &[0]).id, 1); // -2 against -1.5
        let expected = (2f64.exp() / (2f64.exp() + 3f64.exp())).ln() as f32;
        assert!(
            (greedy(&[3.0, 2.0], &[0]).log_prob - expected).abs() < 1e-6,
            "the model's own probability"
        );
    }

    #[test]
    fn log_prob_ignores_the_temperature() {
        let sampled = sample(
            &[2.0, 0.0],
            Sampling { top_p: 0.5, ..Sampling::at_temperature(0.01) },
            &[],
            &mut Seed(3).rng(),
        )
        .unwrap();
        assert!((sampled.log_prob - (-(1.0 + (-2f32).exp()).ln())).abs() < 1e-6);
    }

    #[test]
    fn broken_logits_and_settings_are_refused() {
        for logits in [&[][..], &[f32::NAN, 0.0], &[f32::INFINITY, 0.0], &[f32::NEG_INFINITY]] {
            assert_eq!(sample(logits, plain(), &[], &mut Seed(0).rng()), None);
        }
        for (named, settings) in [
            ("temperature", Sampling::at_temperature(-1.0)),
            ("temperature", Sampling::at_temperature(f32::NAN)),
            ("top_k", Sampling { top_k: Some(0), ..plain() }),
            ("top_p", Sampling { top_p: 0.0, ..plain() }),
            ("top_p", Sampling { top_p: f32::NAN, ..plain() }),
            ("min_p", Sampling { min_p: 1.1, ..plain() }),
            ("repetition_penalty", Sampling { repetition_penalty: 0.0, ..plain() }),
        ] {
            let error = validate_sampling(settings).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
        validate_sampling(Sampling {
            top_k: Some(40),
            top_p: 0.75,
            min_p: 0.05,
            repetition_penalty: 1.1,
            ..plain()
        })
        .unwrap();
    }
}
