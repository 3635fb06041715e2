//! Simulated typing errors: one letter doubled, dropped, or swapped with the next.

use rand::{Rng, RngExt};

use crate::lexicon::normal_form;

/// Words that determine the meaning of a text and must not be changed.
const SPARED: [&str; 16] = [
    "above",
    "behind",
    "below",
    "between",
    "bottom",
    "first",
    "front",
    "leftmost",
    "lower",
    "right",
    "rightmost",
    "second",
    "third",
    "under",
    "upper",
    "without",
];

/// The text with an error in one of its longer words; unchanged if no word is long enough. The
/// first letter stays, and the result is not a word that `is_word` accepts.
pub(super) fn misspelled(text: &str, is_word: impl Fn(&str) -> bool, rng: &mut impl Rng) -> String {
    let words: Vec<&str> = text.split(' ').collect();
    let letters = |word: &str| word.chars().all(|letter| letter.is_ascii_lowercase());
    let long: Vec<usize> = (0..words.len())
        .filter(|&at| words[at].len() >= 5 && letters(words[at]) && !SPARED.contains(&words[at]))
        .collect();
    if long.is_empty() {
        return text.to_owned();
    }
    let at = long[rng.random_range(0..long.len())];
    let slipped = slip(words[at], rng);
    if slipped == words[at] || is_word(&normal_form(&slipped)) {
        return text.to_owned();
    }
    let mut words: Vec<String> = words.into_iter().map(str::to_owned).collect();
    words[at] = slipped;
    words.join(" ")
}

/// An error after the first letter of a word of ASCII letters.
fn slip(word: &str, rng: &mut impl Rng) -> String {
    let mut letters: Vec<char> = word.chars().collect();
    let at = rng.random_range(1..letters.len() - 1);
    match rng.random_range(0..3) {
        0 => letters.insert(at, letters[at]),
        1 => {
            letters.remove(at);
        }
        _ => letters.swap(at, at + 1),
    }
    letters.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use tp_core::Seed;

    use super::*;

    #[test]
    fn a_slip_changes_one_long_word_by_at_most_one_letter() {
        let text = "the handle of the leftmost bottle";
        let mut changed = 0;
        for seed in 0..200 {
            let slipped = misspelled(text, |_| false, &mut Seed(seed).rng());
            let pairs: Vec<(&str, &str)> = text
                .split(' ')
                .zip(slipped.split(' '))
                .filter(|(before, after)| before != after)
                .collect();
            assert!(pairs.len() <= 1, "{slipped}");
            for (before, after) in pairs {
                changed += 1;
                assert!(["handle", "bottle"].contains(&before), "{slipped}");
                assert!(
                    after.len().abs_diff(before.len()) <= 1 && after.starts_with(&before[..1]),
                    "{slipped}"
                );
            }
        }
        assert!(changed > 150, "{changed}");
    }

    #[test]
    fn a_slip_makes_no_other_word() {
        for seed in 0..100 {
            let slipped = misspelled("the trial", |word| word == "trail", &mut Seed(seed).rng());
            assert_ne!(slipped, "the trail");
        }
        assert_eq!(misspelled("a cup", |_| false, &mut Seed(0).rng()), "a cup");
        assert_eq!(misspelled("", |_| false, &mut Seed(0).rng()), "");
    }
}
