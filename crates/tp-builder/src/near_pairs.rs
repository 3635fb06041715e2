//! Pairs of hashes with a small Hamming distance, found without comparing all pairs.

use std::collections::HashMap;

use crate::LookHash;

/// Buckets with more pictures contain near-copies of one another; comparing all pairs would take
/// too long.
const MAX_BUCKET: usize = 2_000;

/// Calls back with every pair of indices, the smaller first, whose hashes differ in at most
/// `max_bits` bits.
///
/// The 64 bits are divided into `max_bits + 1` pieces. Two hashes that differ in at most `max_bits`
/// bits agree in at least one piece (Manku et al., 2007), so only hashes that share a piece are
/// compared. In a bucket of more than two thousand hashes each is compared only with its neighbors.
pub(crate) fn near_pairs(
    hashes: &[Option<LookHash>],
    max_bits: u32,
    mut found: impl FnMut(usize, usize),
) {
    let n_pieces = (max_bits + 1).min(64);
    for piece in 0..n_pieces {
        let (low, high) = (piece * 64 / n_pieces, (piece + 1) * 64 / n_pieces);
        let mask = if high - low == 64 { u64::MAX } else { ((1 << (high - low)) - 1) << low };
        let mut buckets: HashMap<u64, Vec<usize>> = HashMap::new();
        for (index, hash) in hashes.iter().enumerate() {
            if let Some(hash) = hash {
                buckets.entry(hash.0 & mask).or_default().push(index);
            }
        }
        // A pair that shares several pieces is reported only for the first of them.
        let told_before = |a: u64, b: u64| shares_earlier_piece(a ^ b, piece, n_pieces);
        for bucket in buckets.values() {
            for (at, &first) in bucket.iter().enumerate() {
                for &second in bucket[at + 1..].iter().take(MAX_BUCKET) {
                    if let (Some(a), Some(b)) = (hashes[first], hashes[second])
                        && a.distance(b) <= max_bits
                        && !told_before(a.0, b.0)
                    {
                        found(first, second);
                    }
                }
            }
        }
    }
}

/// Whether one of the earlier pieces is equal in both.
fn shares_earlier_piece(different: u64, piece: u32, n_pieces: u32) -> bool {
    (0..piece).any(|piece| {
        let (low, high) = (piece * 64 / n_pieces, (piece + 1) * 64 / n_pieces);
        (different >> low) & ((1 << (high - low)) - 1) == 0
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn same_pairs_as_comparing_all_with_all(
            base: u64,
            flips in prop::collection::vec(prop::collection::vec(0_u32..64, 0..8), 0..40),
            max_bits in 0_u32..7,
        ) {
            let hashes: Vec<Option<LookHash>> = flips
                .iter()
                .map(|flips| (flips.len() != 7).then(|| LookHash(flips.iter().fold(base, |hash, bit| hash ^ 1 << bit))))
                .collect();
            let mut found = Vec::new();
            near_pairs(&hashes, max_bits, |a, b| found.push((a, b)));
            found.sort_unstable();
            let mut expected = Vec::new();
            for a in 0..hashes.len() {
                for b in a + 1..hashes.len() {
                    if let (Some(first), Some(second)) = (hashes[a], hashes[b]) && first.distance(second) <= max_bits {
                        expected.push((a, b));
                    }
                }
            }
            prop_assert_eq!(found, expected);
        }
    }
}
