//! Removes control tokens from the answers of teachers, which are untrusted: marks by which models
//! separate turns, images and answers.
//!
//! A text that contains `[SEG]` would train a model to answer in the middle of a question, and
//! `<|im_end|>` would end a turn.

/// Longer text in angle brackets is kept.
const MAX_TAG_CHARS: usize = 48;

/// The text without control tokens and control characters, on one line, with single spaces.
///
/// Removed are `<…>` and `＜…＞` without a space inside, such as `<p>`, `</s>`, `<|im_start|>` and
/// `<｜User｜>`, and capitalized words in brackets, such as `[SEG]`, `[INST]` and `[/INST]`. Each is
/// replaced by a space, so that the text around it cannot form a new token.
#[must_use]
pub(crate) fn cleaned(text: &str) -> String {
    let visible: String = text
        .chars()
        .map(|c| if is_plain(c) { c } else { ' ' })
        .filter(|&c| !is_invisible(c))
        .collect();
    let mut out = String::with_capacity(visible.len());
    let mut rest = visible.as_str();
    while let Some(c) = rest.chars().next() {
        match token_length(rest) {
            Some(length) => {
                out.push(' ');
                rest = &rest[length..];
            }
            None => {
                out.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether a character is kept; line breaks and other control characters become spaces.
fn is_plain(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}')
}

/// Zero-width characters and direction marks, which could hide a token.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// The length in bytes of the control token at the start of the text.
fn token_length(text: &str) -> Option<usize> {
    let mut characters = text.char_indices();
    let (_, first) = characters.next()?;
    let close = match first {
        '<' => '>',
        '＜' => '＞',
        '[' => ']',
        _ => return None,
    };
    let mut inside = 0;
    for (at, c) in characters {
        if c == close {
            // "[A]" may be a label in a picture; "a < b > c" is not a tag.
            let long_enough = if first == '[' { inside >= 2 } else { inside >= 1 };
            return long_enough.then_some(at + c.len_utf8());
        }
        let fits = if first == '[' {
            c.is_ascii_uppercase() || matches!(c, '/' | '_') || c.is_ascii_digit()
        } else {
            !c.is_whitespace()
        };
        inside += 1;
        if !fits || inside > MAX_TAG_CHARS {
            return None;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TOKENS: [&str; 14] = [
        "[SEG]",
        "<p>",
        "</p>",
        "<|im_start|>",
        "<|im_end|>",
        "<s>",
        "</s>",
        "[INST]",
        "[/INST]",
        "<image>",
        "<mark>",
        "<|eot_id|>",
        "<｜User｜>",
        "<start_of_turn>",
    ];

    #[test]
    fn control_tokens_are_taken_out_and_words_stay() {
        for token in TOKENS {
            assert_eq!(cleaned(&format!("the {token}left ear{token}")), "the left ear", "{token}");
        }
        for text in ["a < b > c", "the [left] ear", "3 <4", "ears: [A] and [B]", "a – b, où?"] {
            assert_eq!(cleaned(text), text);
        }
        assert_eq!(cleaned("one\ntwo\t\u{0}three"), "one two three");
        assert_eq!(cleaned("[S\u{200b}EG] <\u{202e}p>"), "");
    }

    #[test]
    fn no_token_forms_from_what_stood_around_another() {
        assert_eq!(cleaned("[S[SEG]EG]"), "[S EG]");
        assert_eq!(cleaned("<<p>p>"), "p>");
    }

    proptest! {
        #[test]
        fn cleaning_twice_changes_nothing_and_leaves_no_token(pieces in prop::collection::vec(prop::sample::select(
            TOKENS.iter().copied().chain(["<", ">", "[", "]", "S", "EG", "|", " ", "x", "\u{200b}"]).collect::<Vec<_>>()), 0..20)) {
            let once = cleaned(&pieces.concat());
            prop_assert_eq!(&cleaned(&once), &once);
            for token in TOKENS {
                prop_assert!(!once.contains(token), "{}", once);
            }
        }
    }
}
