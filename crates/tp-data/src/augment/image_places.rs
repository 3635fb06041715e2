//! Whether a text refers to positions in the whole image, which change in a section of it.
//!
//! "At the left side of the image" is true of a section only if left is still left, whereas "the
//! lid of the left jar" and "beside the mug" refer to neighbors and remain true.

/// The references of a text to the whole image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ImagePlaces {
    /// None: it refers to objects only.
    None,
    /// It refers to a third of the image.
    Thirds,
    /// It refers to exact positions: it counts from a side, or measures a share of the image.
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
/// Words that begin a position: `on the left`.
const AT: [&str; 6] = ["on", "at", "in", "to", "near", "towards"];
/// Words that may follow `on` before the position: `on the far left`.
const BETWEEN: [&str; 12] = [
    "the", "far", "very", "extreme", "upper", "lower", "top", "bottom", "left", "right", "middle",
    "hand",
];
/// Words for positions.
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
/// Words that may follow a position without naming an object: `on the left side`.
const SIDES: [&str; 6] = ["hand", "side", "edge", "half", "end", "corner"];
/// Words that begin another phrase after a position.
const NEXT: [&str; 9] = ["by", "under", "behind", "and", "is", "with", "next", "just", "as"];

impl ImagePlaces {
    /// The references of a text; if it is unclear whether the image or an object is meant, the
    /// image is assumed.
    pub(super) fn of(text: &str) -> Self {
        let lower = text.to_lowercase();
        // Punctuation ends a phrase: "on the left, beside the mug".
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

/// Whether the words begin with a position that is not relative to an object: `the far left side`,
/// but not `the left of the mug` nor `the left door`.
fn is_bare_place(words: &[&str], plain: &[&str]) -> bool {
    // Punctuation ends the phrase, except for the hyphen of `left-hand`.
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
    // The position is followed by the end of the text, or by a word that begins another phrase.
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
