//! Balanced sampling over objects and parts: data sets have thousands of heads and few propellers.

use std::collections::BTreeMap;

use rand::seq::SliceRandom;
use tp_core::Seed;

/// Chooses `n` of the items, or all if there are fewer, so that objects have equal numbers, and
/// within an object its parts. Objects with fewer items than their share contribute all of them,
/// and the others share the rest. Every item is a pair of object and part.
///
/// The indices of the chosen items, ascending; the choice follows from the seed.
#[must_use]
pub fn balanced(items: &[(&str, &str)], n: usize, seed: Seed) -> Vec<usize> {
    let mut rng = seed.split("balanced").rng();
    let mut by_object: BTreeMap<&str, BTreeMap<&str, Vec<usize>>> = BTreeMap::new();
    for (index, (object, part)) in items.iter().enumerate() {
        by_object.entry(object).or_default().entry(part).or_default().push(index);
    }
    // In every round every object contributes one item, and its parts take turns. The order is
    // random, because the last round may be incomplete.
    let mut objects: Vec<Vec<Vec<usize>>> =
        by_object.into_values().map(|parts| parts.into_values().collect()).collect();
    objects.shuffle(&mut rng);
    for parts in &mut objects {
        parts.shuffle(&mut rng);
        parts.iter_mut().for_each(|part| part.shuffle(&mut rng));
        parts.reverse();
    }
    let mut chosen = Vec::new();
    while chosen.len() < n && !objects.is_empty() {
        for parts in &mut objects {
            if chosen.len() < n
                && let Some(mut part) = parts.pop()
            {
                chosen.extend(part.pop());
                if !part.is_empty() {
                    parts.insert(0, part);
                }
            }
        }
        objects.retain(|parts| !parts.is_empty());
    }
    chosen.sort_unstable();
    chosen
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn count(items: &[(&str, &str)], chosen: &[usize], wanted: (&str, &str)) -> usize {
        chosen.iter().filter(|&&index| items[index] == wanted).count()
    }

    #[test]
    fn rare_ones_give_all_and_the_others_share_the_rest() {
        let mut items = vec![("dog", "head"); 90];
        items.extend([("dog", "tail"); 30]);
        items.extend([("plane", "propeller"); 4]);
        let chosen = balanced(&items, 24, Seed(1));
        // The plane gives its 4, the dog 20, heads and tails in equal numbers.
        let counts = [("plane", "propeller"), ("dog", "head"), ("dog", "tail")]
            .map(|wanted| count(&items, &chosen, wanted));
        assert_eq!(counts, [4, 10, 10]);
        assert_eq!(chosen, balanced(&items, 24, Seed(1)));
        assert_ne!(chosen, balanced(&items, 24, Seed(2)));
    }

    proptest! {
        #[test]
        fn no_object_is_ahead_of_one_that_has_more_to_give(kinds in prop::collection::vec((0_usize..4, 0_usize..3), 0..200), n in 0_usize..250, seed: u64) {
            const OBJECTS: [&str; 4] = ["a", "b", "c", "d"];
            let items: Vec<(&str, &str)> = kinds.iter().map(|&(object, part)| (OBJECTS[object], OBJECTS[part])).collect();
            let chosen = balanced(&items, n, Seed(seed));
            prop_assert_eq!(chosen.len(), n.min(items.len()));
            prop_assert!(chosen.is_sorted_by(|a, b| a < b));
            for left in OBJECTS {
                for right in OBJECTS {
                    let taken = |object: &str| chosen.iter().filter(|&&index| items[index].0 == object).count();
                    let all = |object: &str| items.iter().filter(|item| item.0 == object).count();
                    prop_assert!(taken(left) <= taken(right) + 1 || taken(right) == all(right));
                }
            }
        }
    }
}
