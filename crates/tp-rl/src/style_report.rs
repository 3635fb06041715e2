//! Text statistics that reveal reward hacking: one Localizer can be satisfied by a code that people
//! do not understand.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

/// The length of the n-grams that are compared with the reference texts.
const N_GRAM: usize = 3;

/// Statistics of generated texts, compared with those that the judge was trained on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StyleReport {
    /// The share of texts with a digit.
    pub with_digits: f64,
    /// The share of texts with something like a coordinate: a decimal number, a percentage, `x=`,
    /// or two numbers separated by a comma.
    pub with_coordinates: f64,
    /// The share of the texts' word trigrams that occur in the reference texts; 1 if there are
    /// none.
    pub overlap: f64,
    /// The mean number of words.
    pub mean_words: f64,
    /// The number of distinct texts divided by the number of texts: near 0 if all points are
    /// described alike.
    pub distinct: f64,
}

/// Compares texts with the style of reference texts.
#[derive(Clone, Debug, Default)]
pub struct StyleMonitor {
    known: HashSet<String>,
}

impl StyleMonitor {
    /// Collects the word trigrams of reference texts.
    #[must_use]
    pub fn of<'a>(reference: impl IntoIterator<Item = &'a str>) -> Self {
        Self { known: reference.into_iter().flat_map(n_grams).collect() }
    }

    /// Computes the statistics of these texts.
    #[must_use]
    pub fn report(&self, texts: &[&str]) -> StyleReport {
        let n = texts.len().max(1) as f64;
        let share = |holds: &dyn Fn(&str) -> bool| {
            texts.iter().filter(|text| holds(text)).count() as f64 / n
        };
        let triples: Vec<String> = texts.iter().flat_map(|text| n_grams(text)).collect();
        let known = triples.iter().filter(|triple| self.known.contains(*triple)).count();
        StyleReport {
            with_digits: share(&|text| text.chars().any(|c| c.is_ascii_digit())),
            with_coordinates: share(&has_coordinates),
            overlap: if triples.is_empty() { 1.0 } else { known as f64 / triples.len() as f64 },
            mean_words: texts.iter().map(|text| text.split_whitespace().count()).sum::<usize>()
                as f64
                / n,
            distinct: texts.iter().collect::<HashSet<_>>().len() as f64 / n,
        }
    }
}

fn n_grams(text: &str) -> Vec<String> {
    let words: Vec<String> = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    words.windows(N_GRAM).map(|words| words.join(" ")).collect()
}

/// Whether the text contains something that a program could parse as a position.
fn has_coordinates(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    (0..bytes.len()).any(|at| match bytes[at] {
        b'.' => digit(at.checked_sub(1)) && digit(Some(at + 1)),
        b'%' => digit(at.checked_sub(1)),
        b',' => digit(at.checked_sub(1)) && (digit(Some(at + 1)) || digit(Some(at + 2))),
        b'=' => at > 0 && matches!(bytes[at - 1], b'x' | b'y' | b'X' | b'Y'),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_codes_show() {
        let monitor = StyleMonitor::of(["The left ear of the horse is dark brown."]);
        let honest = monitor.report(&["the left ear of the horse", "left ear of the cow"]);
        assert_eq!((honest.with_digits, honest.with_coordinates, honest.distinct), (0.0, 0.0, 1.0));
        assert!((honest.overlap - 6.0 / 7.0).abs() < 1e-12); // "of the cow" is new
        let hacked = monitor.report(&["x=3 y=4", "at 0.25", "12, 40", "12, 40"]);
        assert_eq!(
            (hacked.with_digits, hacked.with_coordinates, hacked.distinct),
            (1.0, 1.0, 0.75)
        );
        assert_eq!(hacked.overlap, 0.0); // "x 3 y", "3 y 4"
    }

    #[test]
    fn prices_and_ages_are_not_coordinates() {
        assert!(!has_coordinates("a horse, about 3 years old. The end."));
        assert!(has_coordinates("40% from the left"));
    }
}
