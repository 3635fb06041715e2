//! Exchanges left and right in names, for mirrored images. In a name every `left` is a side; for
//! texts see [`mirrored_text`](crate::mirrored_text).

/// The name with `left` and `right`, `l` and `r` exchanged wherever they are separate words:
/// `l_fore_foot`, `Left eye`, `wing-right`.
pub(crate) fn name_of_other_side(name: &str) -> String {
    let mut other = String::with_capacity(name.len() + 1);
    let mut rest = name;
    while !rest.is_empty() {
        let is_word = rest.starts_with(char::is_alphanumeric);
        let end = rest.find(|c: char| c.is_alphanumeric() != is_word).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        other.push_str(match word {
            "left" => "right",
            "right" => "left",
            "Left" => "Right",
            "Right" => "Left",
            "LEFT" => "RIGHT",
            "RIGHT" => "LEFT",
            "l" => "r",
            "r" => "l",
            "L" => "R",
            "R" => "L",
            same => same,
        });
        rest = after;
    }
    other
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
