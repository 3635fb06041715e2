//! Words in which left and right are exchanged, for mirror images.
//!
//! In a name every `left` is a side. In a text it may be something else (`the tub left on the table`, `right behind it`):
//! a text is exchanged only where each such word is plainly a side, and given up otherwise.

/// The name with `left` and `right`, `l` and `r` exchanged wherever they stand as words of their own: `l_fore_foot`,
/// `Left eye`, `wing-right`.
pub(crate) fn name_of_other_side(name: &str) -> String {
    let words = words(name);
    let exchanged = words.iter().flat_map(|word| {
        let other = match word.text {
            "l" => "r",
            "r" => "l",
            "L" => "R",
            "R" => "L",
            text => other_word(text).unwrap_or(text),
        };
        [word.before, other]
    });
    exchanged.collect()
}

/// The text as it is true of the mirror image; `None` if that is not certain.
pub(crate) fn text_of_other_side(text: &str) -> Option<String> {
    let words = words(text);
    let lower: Vec<String> = words.iter().map(|word| word.text.to_lowercase()).collect();
    if lower.iter().any(|word| TURNS_OVER.contains(&word.as_str())) || text.contains(['"', '“', '”', '«']) {
        return None;
    }
    let mut other = String::with_capacity(text.len() + 4);
    for (at, word) in words.iter().enumerate() {
        other.push_str(word.before);
        match other_word(word.text) {
            None if is_side_in_a_compound(&lower[at]) => return None,
            None => other.push_str(word.text),
            Some(exchanged) if is_side(&words, &lower, at) => other.push_str(exchanged),
            Some(_) => return None,
        }
    }
    Some(other)
}

/// Words of things that a mirror turns over although neither side is named: writing, clocks, the compass.
const TURNS_OVER: [&str; 14] = [
    "says",
    "saying",
    "reads",
    "reading",
    "letter",
    "word",
    "digit",
    "clockwise",
    "counterclockwise",
    "anticlockwise",
    "east",
    "west",
    "eastern",
    "western",
];

/// Words after which `left` and `right` are sides: `the left`, `top right`, `its left`.
const BEFORE_A_SIDE: [&str; 33] = [
    "the", "a", "an", "its", "his", "her", "their", "my", "your", "this", "that", "upper", "lower", "top", "bottom", "middle", "far",
    "front", "back", "rear", "at", "from", "facing", "nearest", "farthest", "lowest", "highest", "wide", "big", "long", "two", "outer",
    "inner",
];

/// Words that make a side of a `left` or `right` that stands before them.
const AFTER_A_SIDE: [&str; 11] = ["of", "hand", "side", "half", "edge", "end", "corner", "part", "one", "column", "row"];

/// Words before which `right` is no side: `the right way up`, `at right angles`.
const NO_SIDE_AFTER: [&str; 8] = ["way", "size", "angle", "angles", "angled", "moment", "place", "amount"];

/// Words before which `right` may mean `just`, and `left` what was left there: `put that right in the middle`.
const RIGHT_THERE: [&str; 22] = [
    "in", "behind", "next", "above", "below", "under", "beneath", "beside", "between", "on", "there", "here", "where", "up", "through",
    "over", "standing", "lying", "hanging", "open", "after", "before",
];

/// Whether a `left` or `right` is a side and nothing else.
fn is_side(words: &[Word<'_>], lower: &[String], at: usize) -> bool {
    let next = words.get(at + 1).filter(|next| next.before == " " || next.before == "-").map(|_| lower[at + 1].as_str());
    let before = at.checked_sub(1).map(|before| lower[before].as_str());
    let joined_before = [" ", "-"].contains(&words[at].before);
    if next.is_some_and(|next| NO_SIDE_AFTER.contains(&next)) {
        return false;
    }
    // `What is left of the cake` is the one case in which `left of` is no side.
    let remains = joined_before && before.is_some_and(|word| ["is", "are", "was", "were", "been", "be", "what"].contains(&word));
    if next.is_some_and(|next| AFTER_A_SIDE.contains(&next)) {
        return !remains;
    }
    // `the left`, and the possessive: `the horse's left ear`, whose word before is a single s, and `the horses' left ears`.
    let after_article = joined_before && before.is_some_and(|word| BEFORE_A_SIDE.contains(&word) || word == "s");
    let ambiguous = ["this", "that"].contains(&before.unwrap_or_default()) && next.is_some_and(|next| RIGHT_THERE.contains(&next));
    lower[at].ends_with("most") || (after_article && !ambiguous) || ["' ", "’ "].contains(&words[at].before)
}

/// `leftmost`, `righthand` and their like, which are not exchanged here; `bright`, `upright` and `cleft` are other words.
fn is_side_in_a_compound(lower: &str) -> bool {
    (lower.starts_with("left") || lower.starts_with("right")) && other_word(lower).is_none()
}

/// The word for the other side.
fn other_word(word: &str) -> Option<&'static str> {
    Some(match word {
        "left" => "right",
        "right" => "left",
        "Left" => "Right",
        "Right" => "Left",
        "LEFT" => "RIGHT",
        "RIGHT" => "LEFT",
        "leftmost" => "rightmost",
        "rightmost" => "leftmost",
        "Leftmost" => "Rightmost",
        "Rightmost" => "Leftmost",
        _ => return None,
    })
}

/// A word with what stands between it and the one before; the last may be empty.
struct Word<'a> {
    before: &'a str,
    text: &'a str,
}

/// The words of a text, which joined together with what stands before each give the text again.
fn words(text: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let start = rest.find(char::is_alphanumeric).unwrap_or(rest.len());
        let (before, after) = rest.split_at(start);
        let end = after.find(|c: char| !c.is_alphanumeric()).unwrap_or(after.len());
        let (text, after) = after.split_at(end);
        words.push(Word { before, text });
        rest = after;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_change_sides_word_by_word() {
        for (name, expected) in [
            ("left foreleg", "right foreleg"),
            ("l_fore_foot", "r_fore_foot"),
            ("Right-Eye", "Left-Eye"),
            ("wing R", "wing L"),
            ("bright collar", "bright collar"),
            ("tail", "tail"),
            ("", ""),
        ] {
            assert_eq!(name_of_other_side(name), expected);
            assert_eq!(name_of_other_side(expected), name);
        }
    }

    #[test]
    fn sides_in_texts_are_exchanged() {
        for (text, expected) in [
            ("the knob on the top left drawer", "the knob on the top right drawer"),
            ("Grab the right-hand handle, left of the screen.", "Grab the left-hand handle, right of the screen."),
            ("the horse's left ear; its right one", "the horse's right ear; its left one"),
            ("the third chair from the left", "the third chair from the right"),
            ("the leftmost of the bright cups", "the rightmost of the bright cups"),
            ("just right of the upright board", "just left of the upright board"),
            ("on the left, in front of the wall", "on the right, in front of the wall"),
            ("the lid of the mug", "the lid of the mug"),
        ] {
            assert_eq!(text_of_other_side(text).as_deref(), Some(expected));
            assert_eq!(text_of_other_side(expected).as_deref(), Some(text));
        }
    }

    #[test]
    fn texts_that_may_mean_no_side_are_given_up() {
        for text in [
            "handle of the scoop left standing in the tub",
            "that one, right in its middle",
            "blue sleeve, right next to the cuff",
            "what is left of the cake",
            "the board at right angles to the wall",
            "turn it the right way up",
            "the little sign that says Lemon Ice",
            "the key marked \"R\"",
            "turn the knob clockwise",
            "much is left: the upper half",
            "a leftover crust",
            "Right here, under the lid",
        ] {
            assert_eq!(text_of_other_side(text), None, "{text}");
        }
    }
}
