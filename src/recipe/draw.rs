//! Which sample is drawn: the order of finite sources, epoch by epoch, and the interleaving of a
//! mixture, both as functions of the sample's number alone.
//!
//! So a run that is resumed at a step draws what it would have drawn, and nothing about the order is
//! stored.

use tp_core::Seed;

/// Which sample of a source is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    /// Determines the order of finite sources, and with the number everything about a sample.
    pub run: Seed,
    /// The number of the sample in the run. A finite source uses every item once in as many
    /// consecutive numbers as it has items.
    pub number: u64,
}

impl Draw {
    /// The seed of this sample alone.
    #[must_use]
    pub fn seed(self) -> Seed {
        self.run.nth(self.number)
    }

    /// Another draw in place of this one, whose item had no describable point; the first attempt
    /// (0) is the draw itself.
    #[must_use]
    pub(crate) fn again(self, attempt: u64) -> Self {
        match attempt {
            0 => self,
            _ => Self { run: self.seed().split("again"), number: attempt },
        }
    }
}

/// A permutation of `0..n` that needs no memory: a Feistel network on the smallest even number of
/// bits, walked until it falls into the range.
///
/// Source: Black & Rogaway 2002, "Ciphers with arbitrary finite domains", section 5 (cycle walking).
#[derive(Clone, Copy, Debug)]
pub struct Permutation {
    n: u64,
    half_bits: u32,
    seed: Seed,
}

/// Rounds of the network; four make a permutation that looks random.
const ROUNDS: u64 = 4;

impl Permutation {
    /// The permutation of a seed.
    #[must_use]
    pub fn new(n: u64, seed: Seed) -> Self {
        let bits = 64 - n.saturating_sub(1).leading_zeros();
        Self { n, half_bits: bits.div_ceil(2).max(1), seed }
    }

    /// Where `index` is sent, which must be below `n`.
    #[must_use]
    pub fn at(&self, index: u64) -> u64 {
        debug_assert!(index < self.n);
        let mut at = self.network(index);
        while at >= self.n {
            at = self.network(at);
        }
        at
    }

    fn network(&self, index: u64) -> u64 {
        let mask = (1 << self.half_bits) - 1;
        let (mut left, mut right) = (index >> self.half_bits, index & mask);
        for round in 0..ROUNDS {
            (left, right) = (right, left ^ (self.seed.nth(round).nth(right).0 & mask));
        }
        left << self.half_bits | right
    }
}

/// The item of a finite source that a draw means: each epoch is another permutation of all items.
#[must_use]
pub(crate) fn shuffled(draw: Draw, n_items: u64) -> u64 {
    let epoch = draw.run.split("epoch").nth(draw.number / n_items);
    Permutation::new(n_items, epoch).at(draw.number % n_items)
}

/// The source of a mixture for a number, and the number within that source.
///
/// Every source receives its share of any stretch of numbers to within a few, and its own numbers
/// in order without gaps. The sources are taken out one after the other: the share `p` of the first
/// among those that are left is met by `⌊(k + 1) p⌋ > ⌊k p⌋` for the `k`-th remaining number.
///
/// # Panics
///
/// If there is no weight.
#[must_use]
pub(crate) fn interleaved(number: u64, weights: &[f64]) -> (usize, u64) {
    let mut left: f64 = weights.iter().sum();
    let mut k = number;
    for (source, &weight) in weights.iter().enumerate() {
        let share = weight / left;
        if source + 1 == weights.len() || share >= 1.0 {
            return (source, k);
        }
        let [before, after] = [k, k + 1].map(|k| (k as f64 * share).floor() as u64);
        if after > before {
            return (source, before);
        }
        k -= before;
        left -= weight;
    }
    panic!("a mixture has a source")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn permutations_reach_every_item_once_and_differ_by_seed() {
        for n in [1, 2, 3, 7, 64, 100, 1025] {
            let orders = [Seed(1), Seed(2)].map(|seed| {
                let permutation = Permutation::new(n, seed);
                (0..n).map(|index| permutation.at(index)).collect::<Vec<_>>()
            });
            for order in &orders {
                assert_eq!(order.iter().collect::<BTreeSet<_>>().len() as u64, n);
                assert!(order.iter().all(|&item| item < n));
            }
            assert!(n < 7 || orders[0] != orders[1]);
            assert!(n < 64 || (0..n).filter(|&i| orders[0][i as usize] == i).count() < 12);
        }
    }

    #[test]
    fn epochs_are_complete() {
        for epoch in 0..3 {
            let items: BTreeSet<u64> = (0..50)
                .map(|index| shuffled(Draw { run: Seed(3), number: epoch * 50 + index }, 50))
                .collect();
            assert_eq!(items.len(), 50);
        }
    }

    #[test]
    fn sources_are_interleaved_by_weight_and_without_gaps() {
        let weights = [0.2, 1.0, 0.5, 0.3];
        let mut next = [0; 4];
        for number in 0..4000_u64 {
            let (source, own) = interleaved(number, &weights);
            assert_eq!(own, next[source], "number {number} of source {source}");
            next[source] += 1;
            for (source, &weight) in weights.iter().enumerate() {
                let expected = (number + 1) as f64 * weight / 2.0;
                assert!((next[source] as f64 - expected).abs() < 3.0, "{next:?} after {number}");
            }
        }
        assert_eq!(interleaved(7, &[2.0]), (0, 7));
    }
}
