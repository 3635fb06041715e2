//! Left and right exchanged in what people wrote of a photograph that is mirrored.

/// Words before "right" or "left" that make them sides.
const BEFORE: [&str; 22] = [
    "the", "its", "his", "her", "their", "my", "your", "a", "an", "far", "upper", "lower", "top", "bottom", "front", "rear", "back",
    "hind", "middle", "center", "centre", "very",
];

/// Words after them that make them sides, whatever stands before.
const AFTER: [&str; 46] = [
    "side", "half", "end", "edge", "corner", "part", "hand", "one", "of", "arm", "leg", "foot", "ear", "eye", "wing", "wheel", "door",
    "window", "sleeve", "shoe", "handle", "hoof", "paw", "foreleg", "forefoot", "horn", "knee", "elbow", "shoulder", "cheek", "wall",
    "shutter", "pane", "panel", "knob", "pocket", "front", "hind", "rear", "lower", "upper", "third", "quarter", "bottom", "top", "column",
];

/// Words after "right" that make it an adverb: "right behind the cup".
const NO_SIDE_AFTER_RIGHT: [&str; 32] = [
    "in",
    "on",
    "at",
    "behind",
    "beside",
    "above",
    "below",
    "under",
    "underneath",
    "over",
    "next",
    "by",
    "near",
    "where",
    "after",
    "before",
    "here",
    "there",
    "now",
    "away",
    "through",
    "between",
    "across",
    "inside",
    "outside",
    "into",
    "onto",
    "against",
    "along",
    "around",
    "beneath",
    "opposite",
];

/// Words after "left" that make it a verb: "left standing".
const NO_SIDE_AFTER_LEFT: [&str; 12] =
    ["standing", "lying", "over", "open", "out", "alone", "behind", "to", "hanging", "empty", "in", "on"];

/// The text with left and right exchanged; the same text if it names neither; `None` if one of these words may mean something
/// else, so that the photograph had better stay as it is.
///
/// Sides are "on the left", "the rightmost cup", "left-hand", "its right ear". "Right in the middle", "all right", "is left" and
/// "left standing" are not, and a text that holds them is refused. So are texts that hold what is read in one direction only,
/// such as "clockwise" or a time by the clock.
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
    let pieces = pieces(text);
    let words: Vec<String> = pieces.iter().filter(|piece| piece.is_word).map(|piece| piece.text.to_lowercase()).collect();
    let mut mirrored = String::with_capacity(text.len() + 8);
    let mut at = 0;
    for piece in &pieces {
        if !piece.is_word {
            mirrored.push_str(piece.text);
            continue;
        }
        mirrored.push_str(&mirrored_word(piece, &words, at)?);
        at += 1;
    }
    Some(mirrored)
}

/// A stretch of letters, or of what stands between words.
struct Piece<'a> {
    text: &'a str,
    is_word: bool,
    /// The last letter that is no space before it, if that ends a clause.
    begins_clause: bool,
    /// Whether a clause ends directly behind it.
    ends_clause: bool,
    /// What joins it to the next word without a space.
    hyphen_after: bool,
}

fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces: Vec<Piece<'_>> = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_word = first.is_alphanumeric();
        let end = rest.find(|letter: char| letter.is_alphanumeric() != is_word).unwrap_or(rest.len());
        let (stretch, after) = rest.split_at(end);
        let begins_clause = pieces.last().is_none_or(|before| !before.is_word && is_stop(before.text));
        let next = after.find(char::is_alphanumeric).map_or(after, |next| &after[..next]);
        let ends_clause = after.is_empty() || is_stop(next) || next.len() == after.len();
        pieces.push(Piece { text: stretch, is_word, begins_clause, ends_clause, hyphen_after: next == "-" });
        rest = after;
    }
    pieces
}

fn is_stop(between: &str) -> bool {
    between.contains(['.', ',', ';', ':', '!', '?', '(', ')', '"', '–', '—'])
}

fn mirrored_word(piece: &Piece<'_>, words: &[String], at: usize) -> Option<String> {
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
        // These turn with the picture in ways that no exchange of words follows.
        "clockwise" | "counterclockwise" | "anticlockwise" | "clock" | "lefty" | "righty" | "leftover" | "leftovers" => {
            return (word == "clock" && words.get(at.wrapping_sub(1)).is_none_or(|before| before != "o")).then(|| piece.text.to_owned());
        }
        _ => return Some(piece.text.to_owned()),
    };
    if matches!(word, "left" | "right") && !is_side(piece, words, at) {
        return None;
    }
    Some(in_the_case_of(piece.text, other))
}

/// Whether "left" or "right" is beyond doubt a side.
fn is_side(piece: &Piece<'_>, words: &[String], at: usize) -> bool {
    let word = words[at].as_str();
    let before = at.checked_sub(1).filter(|_| !piece.begins_clause).map(|before| words[before].as_str());
    let after = words.get(at + 1).filter(|_| !piece.ends_clause).map(String::as_str);
    if piece.hyphen_after && after.is_some_and(|after| matches!(after, "hand" | "most" | "side" | "handed")) {
        return after != Some("handed");
    }
    // "The cup left on the table", "what is left of it": a verb unless something says that it is a side.
    let is_placed = before.is_some_and(|before| BEFORE.contains(&before))
        || matches!((at.checked_sub(2).map(|two| words[two].as_str()), before), (Some("to" | "on" | "at"), Some("the")));
    let is_noun = is_placed && after.is_none_or(|after| !is_adverb(word, after, before));
    let is_adjective = after.is_some_and(|after| AFTER.contains(&after))
        && !before.is_some_and(|before| {
            matches!(before, "is" | "are" | "was" | "were" | "all" | "what" | "been" | "has" | "have" | "be" | "just" | "nothing" | "s")
        });
    // A note at the end: "the second cup, left", "the handle (left)".
    let is_note = piece.begins_clause && piece.ends_clause && at > 0;
    let is_direction = matches!(before, Some("from" | "facing" | "towards" | "toward" | "and" | "or" | "to")) && after.is_none();
    is_noun || is_adjective || is_note || is_direction
}

/// Whether the word after makes it an adverb or a verb in spite of an article: "the right on top" is not said, "the cup on the
/// left in front" is.
fn is_adverb(word: &str, after: &str, before: Option<&str>) -> bool {
    let listed = if word == "right" { NO_SIDE_AFTER_RIGHT.contains(&after) } else { NO_SIDE_AFTER_LEFT.contains(&after) };
    listed && before != Some("the")
}

/// The other word, capitalised as the first was.
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
        for text in ["", "the bright red cup", "the copyright sign", "the hands of the clock", "…"] {
            assert_eq!(mirrored_text(text).as_deref(), Some(text));
        }
    }

    #[test]
    fn what_may_be_no_side_is_refused() {
        for text in [
            "handle of the scoop left standing in the tub",
            "the piece that is left",
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
        ] {
            assert_eq!(mirrored_text(text), None, "{text}");
        }
    }
}
