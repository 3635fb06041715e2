//! The reward of a description: a weighted sum of named terms.
//!
//! The paper's reward is the negative squared error of the point that a frozen Localizer finds from
//! the description. The other terms are transformations of the same distance, and one for
//! self-tests that is unrelated to it.

use tp_core::{Located, PointName, UnitXy};

/// What is known about a completion when its reward is computed.
#[derive(Clone, Copy, Debug)]
pub struct Judged<'a> {
    /// The point that it describes.
    pub truth: UnitXy,
    /// What a frozen model reads at this point, if there is one.
    pub name: Option<&'a PointName>,
    /// Where the judge located it; `None` for "nowhere" and for an empty text.
    pub located: Option<Located>,
    /// The text of the completion.
    pub text: &'a str,
    /// The number of tokens, including the end token.
    pub n_tokens: usize,
    /// Whether the completion ended with the end token.
    pub finished: bool,
}

impl Judged<'_> {
    /// The distance between the located and the true point, in the unit square.
    #[must_use]
    pub fn distance(&self) -> Option<f64> {
        self.located.map(|located| located.point.distance(self.truth))
    }
}

/// A term of the reward.
pub trait RewardTerm: Sync {
    /// The name of the term in logs.
    fn name(&self) -> &str;

    /// The value of the term; higher is better. `None` if it is undefined for this completion.
    fn reward(&self, judged: &Judged<'_>) -> Option<f64>;
}

/// `−MSE` over both coordinates, i.e. half the negative squared distance. The paper's reward.
#[derive(Clone, Copy, Debug, Default)]
pub struct NegativeMse;

impl RewardTerm for NegativeMse {
    fn name(&self) -> &str {
        "negative_mse"
    }

    fn reward(&self, judged: &Judged<'_>) -> Option<f64> {
        judged.distance().map(|distance| -distance * distance / 2.0)
    }
}

/// `−distance`: its gradient does not vanish near the point.
#[derive(Clone, Copy, Debug, Default)]
pub struct NegativeDistance;

impl RewardTerm for NegativeDistance {
    fn name(&self) -> &str {
        "negative_distance"
    }

    fn reward(&self, judged: &Judged<'_>) -> Option<f64> {
        judged.distance().map(|distance| -distance)
    }
}

/// `−ln(distance + floor)`: halving the distance gains the same amount at any distance.
#[derive(Clone, Copy, Debug)]
pub struct NegativeLogDistance {
    /// Distances well below this are not distinguished.
    pub floor: f64,
}

impl Default for NegativeLogDistance {
    fn default() -> Self {
        Self { floor: 0.02 }
    }
}

impl RewardTerm for NegativeLogDistance {
    fn name(&self) -> &str {
        "negative_log_distance"
    }

    fn reward(&self, judged: &Judged<'_>) -> Option<f64> {
        judged.distance().map(|distance| -(distance + self.floor).ln())
    }
}

/// 1 if the located point is nearer than the threshold, else 0: the criterion of PCK.
#[derive(Clone, Copy, Debug)]
pub struct Hit {
    /// In the unit square.
    pub threshold: f64,
}

impl Default for Hit {
    fn default() -> Self {
        Self { threshold: 0.1 }
    }
}

impl RewardTerm for Hit {
    fn name(&self) -> &str {
        "hit"
    }

    fn reward(&self, judged: &Judged<'_>) -> Option<f64> {
        judged.distance().map(|distance| f64::from(u8::from(distance < self.threshold)))
    }
}

/// The judge's confidence; unscorable if it reports none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Confidence;

impl RewardTerm for Confidence {
    fn name(&self) -> &str {
        "confidence"
    }

    fn reward(&self, judged: &Judged<'_>) -> Option<f64> {
        judged.located.and_then(|located| located.confidence).map(f64::from)
    }
}

/// The number of tokens, regardless of content: the reward of self-tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct Length;

impl RewardTerm for Length {
    fn name(&self) -> &str {
        "length"
    }

    fn reward(&self, judged: &Judged<'_>) -> Option<f64> {
        Some(judged.n_tokens as f64)
    }
}

/// A weighted sum of terms.
pub struct Reward {
    terms: Vec<(f64, Box<dyn RewardTerm>)>,
}

impl Reward {
    /// A reward without terms; add them with [`plus`](Self::plus).
    #[must_use]
    pub fn nothing() -> Self {
        Self { terms: Vec::new() }
    }

    /// The paper's reward, [`NegativeMse`] alone.
    #[must_use]
    pub fn paper() -> Self {
        Self::nothing().plus(1.0, NegativeMse)
    }

    /// The same reward with one more term.
    #[must_use]
    pub fn plus(mut self, weight: f64, term: impl RewardTerm + 'static) -> Self {
        self.terms.push((weight, Box::new(term)));
        self
    }

    /// The names and weights of the terms, in order.
    pub fn names(&self) -> impl Iterator<Item = (&str, f64)> {
        self.terms.iter().map(|(weight, term)| (term.name(), *weight))
    }

    /// The value of every term, before weighting.
    #[must_use]
    pub fn terms(&self, judged: &Judged<'_>) -> Vec<Option<f64>> {
        self.terms.iter().map(|(_, term)| term.reward(judged)).collect()
    }

    /// The weighted sum of the [`terms`](Self::terms); `None` if one of them is undefined.
    #[must_use]
    pub fn total(&self, terms: &[Option<f64>]) -> Option<f64> {
        self.terms.iter().zip(terms).map(|((weight, _), term)| term.map(|term| weight * term)).sum()
    }
}

impl std::fmt::Debug for Reward {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(located: Option<(f64, Option<f32>)>) -> Judged<'static> {
        let located =
            located.map(|(x, confidence)| Located { point: UnitXy::nearest(x, 0.5), confidence });
        Judged {
            truth: UnitXy::nearest(0.5, 0.5),
            name: None,
            located,
            text: "the left ear",
            n_tokens: 4,
            finished: true,
        }
    }

    #[test]
    fn every_term_at_a_distance_of_a_fifth() {
        let here = judged(Some((0.7, Some(0.25))));
        let close = |value: Option<f64>, expected: f64| {
            assert!((value.unwrap() - expected).abs() < 1e-9, "{value:?} {expected}")
        };
        close(NegativeMse.reward(&here), -0.02); // (0.2² + 0²) / 2
        close(NegativeDistance.reward(&here), -0.2);
        close(NegativeLogDistance { floor: 0.3 }.reward(&here), 0.5f64.ln().abs());
        assert_eq!(Hit { threshold: 0.1 }.reward(&here), Some(0.0));
        assert_eq!(Hit { threshold: 0.3 }.reward(&here), Some(1.0));
        assert_eq!(Confidence.reward(&here), Some(0.25));
        assert_eq!(Length.reward(&here), Some(4.0));
    }

    #[test]
    fn one_term_without_a_word_makes_the_whole_unscorable() {
        let reward = Reward::paper().plus(2.0, Length);
        let terms = reward.terms(&judged(None));
        assert_eq!(terms, [None, Some(4.0)]);
        assert_eq!(reward.total(&terms), None);
        assert_eq!(reward.total(&reward.terms(&judged(Some((0.5, None))))), Some(8.0));
        assert_eq!(
            Reward::nothing()
                .plus(1.0, Confidence)
                .total(&[Confidence.reward(&judged(Some((0.5, None))))]),
            None
        );
    }
}
