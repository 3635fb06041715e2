//! Whether a text speaks of places in the whole image, which a section of it changes.
//!
//! `At the left side of the image` is true of a section only where left is still left; `the lid of
//! the left jar` and `beside the mug` speak of neighbours and stay true.

/// What of the whole image a text depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ImagePlaces {
    /// Nothing: it speaks of things alone.
    None,
    /// On which third of the image something lies.
    Thirds,
    /// On all of it: it counts from a side or measures a share of the image.
    Exact,
}

/// Words for the image itself.
const IMAGE: [&str; 8] =
    ["image", "picture", "photo", "photograph", "scene", "shot", "view", "frame"];
/// Words that count or measure.
const SHARES: [&str; 11] = [
    "quarter", "quarters", "third", "thirds", "fifth", "fifths", "half", "halfway", "percent",
    "fills", "entire",
];
/// Words that begin a place: `on the left`.
const AT: [&str; 6] = ["on", "at", "in", "to", "near", "towards"];
/// Words that may stand between `on` and the place: `on the far left`.
const BETWEEN: [&str; 12] = [
    "the", "far", "very", "extreme", "upper", "lower", "top", "bottom", "left", "right", "middle",
    "hand",
];
/// The places.
const PLACES: [&str; 10] = [
    "left",
    "right",
    "top",
    "bottom",
    "middle",
    "centre",
    "center",
    "foreground",
    "background",
    "corner",
];
/// Words that may follow a place without saying what it is a place of: `on the left side`.
const SIDES: [&str; 6] = ["hand", "side", "edge", "half", "end", "corner"];
/// Words that begin another phrase after a place.
const NEXT: [&str; 9] = ["by", "under", "behind", "and", "is", "with", "next", "just", "as"];

impl ImagePlaces {
    /// What a text depends on; a text that may mean the image or a thing is taken to mean the
    /// image.
    pub(super) fn of(text: &str) -> Self {
        let lower = text.to_lowercase();
        // A mark ends a phrase: "on the left, beside the mug".
        let words: Vec<&str> = lower
            .split_inclusive(|c: char| !c.is_alphanumeric())
            .filter(|word| word.starts_with(char::is_alphanumeric))
            .collect();
        let plain: Vec<&str> = words
            .iter()
            .map(|word| word.trim_end_matches(|c: char| !c.is_alphanumeric()))
            .collect();
        let names_image = plain.iter().any(|word| IMAGE.contains(word));
        let counts = plain.windows(2).any(|pair| pair[0] == "from" && PLACES.contains(&pair[1]))
            || plain
                .windows(3)
                .any(|three| three[0] == "from" && three[1] == "the" && PLACES.contains(&three[2]));
        if counts || (names_image && plain.iter().any(|word| SHARES.contains(word))) {
            return Self::Exact;
        }
        let bare_place = (0..plain.len())
            .any(|at| AT.contains(&plain[at]) && is_bare_place(&words[at + 1..], &plain[at + 1..]));
        if names_image || bare_place { Self::Thirds } else { Self::None }
    }
}

/// Whether the words begin with a place that is not said to be one of a thing: `the far left side`
/// but not `the left of the mug` nor `the left door`.
fn is_bare_place(words: &[&str], plain: &[&str]) -> bool {
    // A mark ends the phrase; the hyphen of `left-hand` does not.
    let end = words
        .iter()
        .position(|word| !word.ends_with([' ', '-']))
        .map_or(words.len(), |last| last + 1);
    let phrase = &plain[..end];
    let n = phrase
        .iter()
        .take_while(|word| [&BETWEEN[..], &PLACES, &SIDES].iter().any(|list| list.contains(word)))
        .count();
    let names_place = phrase[..n].iter().any(|word| PLACES.contains(word));
    // After the place comes an end, or a word that begins another phrase.
    let next_phrase = |word: &&str| AT.contains(word) || NEXT.contains(word);
    names_place && phrase.get(n).is_none_or(next_phrase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_in_the_image_are_told_from_neighbours() {
        for (text, expected) in [
            (
                "A scoop stands at the left side of the image; the point is on its handle.",
                ImagePlaces::Thirds,
            ),
            ("the dark green jar on the left", ImagePlaces::Thirds),
            ("On the far left, the mug's handle", ImagePlaces::Thirds),
            ("the dog in the background", ImagePlaces::Thirds),
            ("the chair at the right side behind the table", ImagePlaces::Thirds),
            ("the third drawer from the top", ImagePlaces::Exact),
            ("second from left", ImagePlaces::Exact),
            ("at about a quarter of the image width", ImagePlaces::Exact),
            ("the lid of the left jar", ImagePlaces::None),
            ("the knob on the top left drawer", ImagePlaces::None),
            ("on the right side of the door", ImagePlaces::None),
            ("the leaf to the left of the mug", ImagePlaces::None),
            ("middle of the plate", ImagePlaces::None),
            ("", ImagePlaces::None),
        ] {
            assert_eq!(ImagePlaces::of(text), expected, "{text}");
        }
    }
}
