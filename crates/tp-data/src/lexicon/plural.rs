//! English plurals by rule; exceptions are in the lexicon's files.

/// Endings of words and compounds ("bookshelf") with an irregular plural.
const IRREGULAR: [(&str, &str); 22] = [
    ("calf", "calves"),
    ("child", "children"),
    ("foot", "feet"),
    ("goose", "geese"),
    ("half", "halves"),
    ("hoof", "hooves"),
    ("knife", "knives"),
    ("leaf", "leaves"),
    ("loaf", "loaves"),
    ("man", "men"),
    ("mango", "mangoes"),
    ("mouse", "mice"),
    ("ox", "oxen"),
    ("person", "people"),
    ("potato", "potatoes"),
    ("scarf", "scarves"),
    ("shelf", "shelves"),
    ("thief", "thieves"),
    ("tomato", "tomatoes"),
    ("tooth", "teeth"),
    ("wife", "wives"),
    ("wolf", "wolves"),
];

/// The entries of [`IRREGULAR`] that also end longer words: "fireman", "bookshelf", "stepchild".
const IN_COMPOUNDS: [&str; 4] = ["child", "man", "person", "shelf"];

/// Words that are not compounds of "man".
const NO_MEN: [&str; 6] = ["caiman", "german", "human", "ottoman", "shaman", "talisman"];

/// The plural of a noun: "knives", "slices of lemon", "teddy bears".
#[must_use]
pub fn plural(noun: &str) -> String {
    if let Some((head, rest)) = noun.split_once(" of ") {
        return format!("{} of {rest}", plural(head));
    }
    let last = noun.rsplit([' ', '-']).next().unwrap_or(noun);
    if last.ends_with("fish") || matches!(last, "aircraft" | "deer" | "sheep") {
        return noun.to_owned();
    }
    for (one, many) in IRREGULAR {
        if last == one
            || (IN_COMPOUNDS.contains(&one) && last.ends_with(one) && !NO_MEN.contains(&last))
        {
            return format!("{}{many}", &noun[..noun.len() - one.len()]);
        }
    }
    let mut endings = last.chars().rev();
    match (endings.next(), endings.next()) {
        (Some('s' | 'x' | 'z'), _) | (Some('h'), Some('c' | 's')) => format!("{noun}es"),
        (Some('y'), Some(before)) if !"aeiou".contains(before) => {
            format!("{}ies", &noun[..noun.len() - 1])
        }
        _ => format!("{noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plurals_are_those_of_the_dictionary() {
        for (one, many) in [
            ("cup", "cups"),
            ("box", "boxes"),
            ("bus", "buses"),
            ("bench", "benches"),
            ("toothbrush", "toothbrushes"),
            ("cherry", "cherries"),
            ("key", "keys"),
            ("steak knife", "steak knives"),
            ("bookshelf", "bookshelves"),
            ("giraffe", "giraffes"),
            ("roof", "roofs"),
            ("fireman", "firemen"),
            ("ottoman", "ottomans"),
            ("human", "humans"),
            ("goldfish", "goldfish"),
            ("sheep", "sheep"),
            ("box of tissues", "boxes of tissues"),
            ("photo", "photos"),
            ("tomato", "tomatoes"),
            ("ox", "oxen"),
            ("fox", "foxes"),
            ("moose", "mooses"),
            ("passer-by", "passer-bies"),
        ] {
            // The last two are deliberately wrong: the lexicon's `plural` exists for them.
            assert_eq!(plural(one), many);
        }
    }

    #[test]
    fn any_text_has_some_plural() {
        for text in ["", " ", "-", "é", "ß of ", " of "] {
            let _ = plural(text);
        }
    }
}
