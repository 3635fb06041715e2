//! The normal form in which words are compared: lower case, "gray" for "grey", separated by single
//! spaces.

/// The words of a text in normal form. Words consist of letters and digits; everything else
/// separates them.
#[must_use]
pub(crate) fn normal_words(text: &str) -> Vec<String> {
    let text = text.to_lowercase().replace("grey", "gray");
    text.split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The text in normal form.
#[must_use]
pub(crate) fn normal_form(text: &str) -> String {
    normal_words(text).join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_hyphens_and_spelling_make_no_difference() {
        for text in ["T-shirt", "t shirt", " t_SHIRT. "] {
            assert_eq!(normal_form(text), "t shirt");
        }
        assert_eq!(normal_form("Great Grey Owl"), "great gray owl");
        assert_eq!(normal_form("the dog's tail"), "the dog s tail");
        assert_eq!(normal_form("…"), "");
    }
}
