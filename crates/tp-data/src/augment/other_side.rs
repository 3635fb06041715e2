//! Names in which left and right are exchanged, for mirror images. In a name every `left` is a side; in a text it may be something
//! else: see [`mirrored_text`](super::mirrored_text()).

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

/// The words of a name, which joined together with what stands before each give the name again.
fn words(name: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut rest = name;
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
}
