//! Seeds: one seed determines a run, and each consumer draws from its own stream, named by purpose.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// The seed of a run, or of a part of it.
///
/// The generator is ChaCha8 because its output is fixed by its specification, so a seed gives the
/// same values in every release.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Seed(pub u64);

impl Seed {
    /// The seed for a purpose; different names give unrelated seeds.
    #[must_use]
    pub fn split(self, purpose: &str) -> Self {
        // FNV-1a over the name, followed by a finalizer.
        let hash = purpose.bytes().fold(0xcbf2_9ce4_8422_2325 ^ mixed(self.0), |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self(mixed(hash))
    }

    /// The seed of the n-th item of a series: images, sequences, resamples.
    #[must_use]
    pub fn nth(self, index: u64) -> Self {
        Self(mixed(self.0 ^ mixed(index.wrapping_add(0x9e37_79b9_7f4a_7c15))))
    }

    /// The generator of this seed.
    #[must_use]
    pub fn rng(self) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(self.0)
    }
}

/// The output function of SplitMix64: a bijection in which every input bit affects every output
/// bit.
fn mixed(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn purposes_and_indices_do_not_collide() {
        let mut seen = HashSet::new();
        for seed in 0..50 {
            for purpose in ["scene", "point", "words", ""] {
                for index in 0..50 {
                    assert!(
                        seen.insert(Seed(seed).split(purpose).nth(index)),
                        "{seed} {purpose} {index}"
                    );
                }
            }
        }
    }
}
