//! Exchanges left and right in human texts about a mirrored photograph.

use crate::Lexicon;

/// Words before "right" or "left" that indicate a side.
const BEFORE: [&str; 26] = [
    "the", "its", "his", "her", "their", "my", "your", "a", "an", "far", "upper", "lower", "top",
    "bottom", "front", "rear", "back", "hind", "middle", "center", "centre", "second", "third",
    "fourth", "furthest", "farthest",
];

/// Words after them that indicate a side; nouns do so, too.
const AFTER: [&str; 20] = [
    "side", "half", "end", "edge", "corner", "part", "hand", "one", "of", "front", "hind", "rear",
    "lower", "upper", "third", "quarter", "bottom", "top", "column", "most",
];

/// Words before them that indicate a verb or an adverb, whatever follows: "is left", "all right".
const NO_SIDE_AFTER: [&str; 20] = [
    "is", "are", "was", "were", "be", "been", "all", "what", "who", "someone", "somebody", "they",
    "has", "have", "had", "just", "nothing", "anything", "only", "still",
];

/// Words after them that indicate another meaning in spite of an article: "the only one left
/// standing", "the right way up".
const NO_SIDE_BEFORE: [&str; 22] = [
    "standing", "lying", "hanging", "over", "open", "alone", "empty", "behind", "where", "here",
    "there", "now", "away", "through", "way", "size", "angle", "angles", "angled", "moment",
    "place", "amount",
];

/// Words for things that mirroring changes although no side is named: writing and the compass.
const TURNS_OVER: [&str; 11] = [
    "says", "saying", "reads", "reading", "letter", "word", "digit", "east", "west", "eastern",
    "western",
];

/// The text with left and right exchanged, unchanged if it names neither; `None` if one of these
/// words may have another meaning, so that the photograph should not be mirrored.
///
/// Sides are "on the left", "the rightmost cup", "left-hand", "its right ear". "Right in the
/// middle", "all right", "is left" and "left standing" are not, and texts that contain them are
/// rejected. So are texts with words that depend on a direction of reading, such as "clockwise" or
/// a time of day, that quote or mention writing, or that name a point of the compass.
///
/// ```
/// use tp_data::mirrored_text;
///
/// assert_eq!(mirrored_text("The cup on the left.").as_deref(), Some("The cup on the right."));
/// assert_eq!(mirrored_text("right in the middle of the plate"), None);
/// assert_eq!(mirrored_text("the red cup").as_deref(), Some("the red cup"));
/// ```
#[must_use]
pub fn mirrored_text(text: &str) -> Option<String> {
    if text.contains(['"', '“', '”', '«']) {
        return None;
    }
    let fragments = fragments(text);
    let words: Vec<String> = fragments
        .iter()
        .filter(|fragment| fragment.is_word)
        .map(|fragment| fragment.text.to_lowercase())
        .collect();
    let mut mirrored = String::with_capacity(text.len() + 8);
    let mut at = 0;
    for fragment in &fragments {
        if !fragment.is_word {
            mirrored.push_str(fragment.text);
            continue;
        }
        mirrored.push_str(&mirrored_word(fragment, &words, at)?);
        at += 1;
    }
    Some(mirrored)
}

/// A run of letters, or the characters between two words.
struct Fragment<'a> {
    text: &'a str,
    is_word: bool,
    /// Whether the last non-space character before it ends a clause.
    begins_clause: bool,
    /// Whether a clause ends directly after it.
    ends_clause: bool,
    /// The hyphen that joins it to the next word.
    hyphen_after: bool,
}

fn fragments(text: &str) -> Vec<Fragment<'_>> {
    let mut fragments: Vec<Fragment<'_>> = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_word = first.is_alphanumeric();
        let end =
            rest.find(|letter: char| letter.is_alphanumeric() != is_word).unwrap_or(rest.len());
        let (stretch, after) = rest.split_at(end);
        let begins_clause =
            fragments.last().is_none_or(|before| !before.is_word && is_stop(before.text));
        let next = after.find(char::is_alphanumeric).map_or(after, |next| &after[..next]);
        let ends_clause = after.is_empty() || is_stop(next) || next.len() == after.len();
        fragments.push(Fragment {
            text: stretch,
            is_word,
            begins_clause,
            ends_clause,
            hyphen_after: next == "-",
        });
        rest = after;
    }
    fragments
}

fn is_stop(between: &str) -> bool {
    between.contains(['.', ',', ';', ':', '!', '?', '(', ')', '"', '–', '—'])
}

fn mirrored_word(fragment: &Fragment<'_>, words: &[String], at: usize) -> Option<String> {
    let word = words[at].as_str();
    let other = match word {
        "left" => "right",
        "right" => "left",
        "leftmost" => "rightmost",
        "rightmost" => "leftmost",
        "lefthand" => "righthand",
        "righthand" => "lefthand",
        "leftward" => "rightward",
        "rightward" => "leftward",
        "leftwards" => "rightwards",
        "rightwards" => "leftwards",
        // Mirroring changes these in ways that no exchange of words describes.
        "clockwise" | "counterclockwise" | "anticlockwise" | "clock" | "lefty" | "righty"
        | "leftover" | "leftovers" => {
            return (word == "clock"
                && words.get(at.wrapping_sub(1)).is_none_or(|before| before != "o"))
            .then(|| fragment.text.to_owned());
        }
        _ => return (!TURNS_OVER.contains(&word)).then(|| fragment.text.to_owned()),
    };
    if matches!(word, "left" | "right") && !is_side(fragment, words, at) {
        return None;
    }
    Some(in_the_case_of(fragment.text, other))
}

/// Whether "left" or "right" unambiguously is a side.
fn is_side(fragment: &Fragment<'_>, words: &[String], at: usize) -> bool {
    let before_at = at.checked_sub(1).filter(|_| !fragment.begins_clause);
    let before = before_at.map(|before| words[before].as_str());
    let two_before =
        before_at.and_then(|before| before.checked_sub(1)).map(|before| words[before].as_str());
    let after = words.get(at + 1).filter(|_| !fragment.ends_clause).map(String::as_str);
    let is = |word: Option<&str>, list: &[&str]| word.is_some_and(|word| list.contains(&word));
    if fragment.hyphen_after {
        return is(after, &["hand", "most", "side"]);
    }
    if is(after, &NO_SIDE_BEFORE) {
        return false;
    }
    // "The dog's left ear", but "it's left".
    let is_owned = before == Some("s")
        && !is(two_before, &["it", "that", "what", "there", "he", "she", "who", "nothing"]);
    if is_owned || is(before, &BEFORE) {
        return true;
    }
    // "Just left of the lock", "at the very right", but "what is left of it", "right in the
    // middle".
    if after == Some("of") && before == Some("just")
        || matches!((two_before, before), (Some("the"), Some("very")))
    {
        return true;
    }
    if is(before, &NO_SIDE_AFTER) || before == Some("s") {
        return false;
    }
    let is_adjective = after.is_some_and(|after| AFTER.contains(&after) || is_noun(after));
    // "From left to right", "left and right".
    let is_paired = is(after, &["and", "or", "to"])
        && words.get(at + 2).is_some_and(|word| matches!(word.as_str(), "left" | "right"))
        || is(before, &["and", "or", "to"]) && matches!(two_before, Some("left" | "right"));
    // "The second cup, left", "the cup on left", "facing right".
    let is_note = after.is_none()
        && (before.is_none() && at > 0
            || is(before, &["on", "at", "to", "from", "facing", "towards", "toward"]));
    is_adjective || is_paired || is_note
}

/// Whether the word is an object or a part; generic locations are too vague: "right back".
fn is_noun(word: &str) -> bool {
    let lexicon = Lexicon::shipped();
    lexicon.is_known_object(word) || lexicon.part(word, None).is_some_and(|part| !part.generic)
}

/// The other word, capitalized like the first.
fn in_the_case_of(word: &str, other: &str) -> String {
    let mut letters = word.chars();
    let first_is_capital = letters.next().is_some_and(char::is_uppercase);
    if first_is_capital && letters.clone().next().is_some() && letters.all(char::is_uppercase) {
        other.to_uppercase()
    } else if first_is_capital {
        format!("{}{}", other[..1].to_uppercase(), &other[1..])
    } else {
        other.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_are_exchanged() {
        for (text, mirrored) in [
            ("The cup on the left.", "The cup on the right."),
            ("the leftmost of the three bottles", "the rightmost of the three bottles"),
            ("on the left-hand side", "on the right-hand side"),
            ("its right ear", "its left ear"),
            ("The dog to the left of the chair", "The dog to the right of the chair"),
            ("left of the chair, right side", "right of the chair, left side"),
            ("Left sleeve", "Right sleeve"),
            ("LEFT SIDE", "RIGHT SIDE"),
            ("the third from the right", "the third from the left"),
            ("the upper right corner of the left door", "the upper left corner of the right door"),
            ("the second mug, left", "the second mug, right"),
            ("the dog's left front paw", "the dog's right front paw"),
            ("the one on the left in front", "the one on the right in front"),
            ("the wood just left of the lock", "the wood just right of the lock"),
            ("count from left to right", "count from right to left"),
            ("left drawer, bottom right knob", "right drawer, bottom left knob"),
            ("the dog facing left", "the dog facing right"),
            ("the knob on the top left drawer", "the knob on the top right drawer"),
            (
                "Grab the right-hand handle, left of the screen.",
                "Grab the left-hand handle, right of the screen.",
            ),
            ("the horse's left ear; its right one", "the horse's right ear; its left one"),
            ("the third chair from the left", "the third chair from the right"),
            ("the leftmost of the bright cups", "the rightmost of the bright cups"),
            ("just right of the upright board", "just left of the upright board"),
            ("on the left, in front of the wall", "on the right, in front of the wall"),
            ("the lid of the mug", "the lid of the mug"),
            ("bright leftovers aside: a cup", ""),
        ] {
            if mirrored.is_empty() {
                assert_eq!(mirrored_text(text), None, "{text}");
            } else {
                assert_eq!(mirrored_text(text).as_deref(), Some(mirrored));
                assert_eq!(mirrored_text(mirrored).as_deref(), Some(text));
            }
        }
    }

    #[test]
    fn what_names_no_side_stays() {
        for text in ["", "the bright red cup", "the copyright sign", "the hands of the clock", "…"]
        {
            assert_eq!(mirrored_text(text).as_deref(), Some(text));
        }
    }

    #[test]
    fn what_may_be_no_side_is_refused() {
        for text in [
            "handle of the scoop left standing in the tub",
            "the fragment that is left",
            "what is left of the pizza",
            "right in the middle of the plate",
            "the cup right behind the vase",
            "all right, the cup",
            "the only cup left on the table",
            "right where the handle begins",
            "the bag someone left behind",
            "That one, right in its middle.",
            "the cup at three o'clock",
            "turn it clockwise",
            "a right-handed glove",
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
            assert_eq!(mirrored_text(text), None, "{text}");
        }
    }
}
