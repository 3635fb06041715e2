//! Names that are told to the Descriptor pass through its language model as placeholders: it writes
//! where a name stands, and the name itself is put in afterwards. So a noun that no training text
//! has comes out as it was told, whole.
//!
//! Source: delexicalised generation, Wen et al. 2015, "Semantically Conditioned LSTM-based Natural
//! Language Generation".

use tp_core::PointName;

/// What a thing is called that has no name.
pub const UNKNOWN_OBJECT: &str = "thing";

/// Characters that no description has, for the names of object, part and colour.
const PLACEHOLDERS: [char; 3] = ['@', '#', '~'];

/// What is written where a language model has put a placeholder for a name that was not told.
const UNTOLD: [&str; 3] = [UNKNOWN_OBJECT, "part", "of some colour"];

/// The names in the order of their placeholders.
fn names(name: &PointName) -> [Option<&str>; 3] {
    [name.object.as_deref(), name.part.as_deref(), name.colour.as_deref()]
}

/// What the point is on, as it stands in the request: a placeholder for every name that is told.
pub(crate) fn place_of(name: &PointName) -> String {
    let [object, part, colour] = PLACEHOLDERS;
    let colour = name.colour.as_ref().map(|_| format!("{colour} ")).unwrap_or_default();
    match &name.part {
        Some(_) => format!(" on the {colour}{part} of the {object}"),
        None => format!(" on the {colour}{object}"),
    }
}

/// A description with placeholders instead of the names, wherever they stand as whole words; "an"
/// before one becomes "a", and the characters of placeholders that the text has itself are left
/// out.
#[must_use]
pub fn with_placeholders(text: &str, name: &PointName) -> String {
    let mut told: Vec<(String, char)> = names(name)
        .into_iter()
        .zip(PLACEHOLDERS)
        .filter_map(|(name, placeholder)| Some((name?.to_ascii_lowercase(), placeholder)))
        .collect();
    told.sort_by_key(|(name, _)| std::cmp::Reverse(name.len())); // a "glass" in a "wine glass" is none
    let lower = text.to_ascii_lowercase(); // other letters may change their length with their case
    let mut written = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(letter) = text[at..].chars().next() {
        let is_start = !written.ends_with(char::is_alphanumeric);
        let found = told.iter().find(|(name, _)| {
            is_start
                && lower[at..].starts_with(name.as_str())
                && ends_word(&lower[at + name.len()..])
        });
        match found {
            Some((name, placeholder)) => {
                if written.ends_with(" an ") || written == "an " || written.ends_with("An ") {
                    written.truncate(written.len() - "n ".len());
                    written.push(' ');
                }
                written.push(*placeholder);
                at += name.len();
            }
            None => {
                // Whoever wrote "#4" did not mean the part.
                written.extend(Some(letter).filter(|letter| !PLACEHOLDERS.contains(letter)));
                at += letter.len_utf8();
            }
        }
    }
    written
}

/// Whether a word has ended where this begins; a plural's "s" belongs to the word that is told.
fn ends_word(rest: &str) -> bool {
    !rest.strip_prefix('s').unwrap_or(rest).starts_with(char::is_alphanumeric)
}

/// A written description with the names in the place of their placeholders: upper case where a
/// sentence begins, "an" where it is said.
#[must_use]
pub fn with_names(text: &str, name: &PointName) -> String {
    let names = names(name);
    let mut written = String::with_capacity(text.len() + 32);
    for letter in text.chars() {
        let told = PLACEHOLDERS.iter().position(|&placeholder| placeholder == letter);
        match told.map(|at| names[at].unwrap_or(UNTOLD[at])) {
            Some(name) => {
                let starts_sentence = written.is_empty() || written.ends_with(". ");
                if (written.ends_with(" a ") || written.ends_with("A ") || written == "a ")
                    && sounds_like_a_vowel(name)
                {
                    written.insert(written.len() - 1, 'n');
                }
                let mut letters = name.chars();
                match letters.next() {
                    Some(first) if starts_sentence => {
                        written.extend(first.to_uppercase().chain(letters))
                    }
                    _ => written.push_str(name),
                }
            }
            None => written.push(letter),
        }
    }
    written
}

/// Whether "an" is said before a noun.
fn sounds_like_a_vowel(word: &str) -> bool {
    let word = word.to_lowercase();
    let is_consonant =
        ["uni", "use", "ute", "eu", "one", "ewe"].iter().any(|start| word.starts_with(start));
    (word.starts_with(['a', 'e', 'i', 'o', 'u']) && !is_consonant) || word.starts_with("hour")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(object: Option<&str>, part: Option<&str>, colour: Option<&str>) -> PointName {
        let owned = |name: Option<&str>| name.map(str::to_owned);
        PointName {
            object: owned(object),
            object_probability: 0.5,
            part: owned(part),
            part_probability: 0.5,
            colour: owned(colour),
        }
    }

    #[test]
    fn names_go_out_and_come_back() {
        let orange = name(Some("wine glass"), Some("glass"), Some("orange"));
        let text = "An orange wine glass on the left. The point is on its glass, in the upper left of the wine glass, where it is orange. Orange.";
        let written = with_placeholders(text, &orange);
        assert_eq!(
            written,
            "A ~ @ on the left. The point is on its #, in the upper left of the @, where it is ~. ~."
        );
        assert_eq!(with_names(&written, &orange), text);
        // Another thing of the same sentence: the article follows it.
        let other = name(Some("umbrella"), Some("handle"), None);
        assert_eq!(
            with_names("A @. The point is on a # of a @.", &other),
            "An umbrella. The point is on a handle of an umbrella."
        );
        assert_eq!(with_names("a @", &name(Some("unicycle"), None, None)), "a unicycle");
    }

    #[test]
    fn only_whole_words_are_names() {
        let cat = name(Some("cat"), Some("ear"), None);
        assert_eq!(
            with_placeholders("Cats scatter near the cat's ear.", &cat),
            "@s scatter near the @'s #."
        );
        assert_eq!(
            with_names("@s scatter near the @'s #.", &cat),
            "Cats scatter near the cat's ear."
        );
        assert_eq!(with_placeholders("İẞ Cat", &cat), "İẞ @");
        assert_eq!(with_placeholders("the #4 on the ear", &cat), "the 4 on the #");
    }

    #[test]
    fn what_has_no_name_is_a_thing() {
        let nothing = name(None, None, None);
        assert_eq!(
            with_names("A @; its # is ~.", &nothing),
            "A thing; its part is of some colour."
        );
        assert_eq!(place_of(&nothing), " on the @");
        assert_eq!(
            place_of(&name(Some("mug"), Some("handle"), Some("brown"))),
            " on the ~ # of the @"
        );
    }
}
