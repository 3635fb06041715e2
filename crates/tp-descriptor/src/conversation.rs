//! The prompt that asks for a description: image first, then one sentence with the point's token in
//! it.

use std::sync::Arc;

use tp_core::{PointName, Style};
use tp_language::{SpecialToken, Tokenizer};

use crate::told_names::{place_of, with_names, with_placeholders};

/// How a description in one style is asked for.
///
/// The sentence that the paper used is not published; these follow the base model's region prompts.
fn request(style: Style) -> [&'static str; 2] {
    match style {
        Style::CoarseToFine => ["\nDescribe ", " in detail."],
        Style::Terse => ["\nDescribe ", " briefly."],
        Style::Colloquial => ["\nTell me about ", "."],
        Style::Template => ["\nName ", "."],
        Style::Spoken => ["\nPoint out ", "."],
    }
}

/// The token ids of every piece of the conversation around image and point.
#[derive(Clone, Debug)]
pub struct DescribeConversation {
    tokenizer: Arc<Tokenizer>,
    head: Vec<u32>,
    end: u32,
}

/// What follows the image.
#[derive(Clone, Debug)]
pub struct Request {
    /// Token ids, the placeholder of the point included.
    pub ids: Vec<u32>,
    /// Where in `ids` the point's token goes.
    pub mark: usize,
}

impl DescribeConversation {
    /// Tokenizes what stands before the image once.
    #[must_use]
    pub fn new(tokenizer: Arc<Tokenizer>) -> Self {
        let mut head =
            vec![tokenizer.special(SpecialToken::Bos), tokenizer.special(SpecialToken::ImStart)];
        head.extend(tokenizer.encode_text("user\n"));
        Self { head, end: tokenizer.special(SpecialToken::ImEnd), tokenizer }
    }

    /// What stands before the image.
    #[must_use]
    pub fn head(&self) -> &[u32] {
        &self.head
    }

    /// What follows the image when a description in this style is asked for.
    ///
    /// A model that names before it writes is told which names there are, by placeholders:
    /// "Describe … on the ~ # of the @ in detail." Without names the request is the base model's.
    #[must_use]
    pub fn request(&self, style: Style, name: Option<&PointName>) -> Request {
        let special = |token| self.tokenizer.special(token);
        let [before, after] = request(style);
        let mut ids = self.tokenizer.encode_text(before);
        let mark = ids.len();
        ids.push(special(SpecialToken::Mark));
        ids.extend(
            self.tokenizer
                .encode_text(&format!("{}{after}", name.map(place_of).unwrap_or_default())),
        );
        ids.push(special(SpecialToken::ImEnd));
        ids.extend(self.tokenizer.encode_text("\n"));
        ids.push(special(SpecialToken::ImStart));
        ids.extend(self.tokenizer.encode_text("assistant\n"));
        Request { ids, mark }
    }

    /// The token ids of a description, as the language model writes it: with placeholders for the
    /// names that are told.
    #[must_use]
    pub fn answer(&self, text: &str, name: Option<&PointName>) -> Vec<u32> {
        match name {
            Some(name) => self.tokenizer.encode_text(&with_placeholders(text, name)),
            None => self.tokenizer.encode_text(text),
        }
    }

    /// What was written, with the names that were told.
    #[must_use]
    pub fn text_of(&self, ids: &[u32], name: Option<&PointName>) -> String {
        let text = self.tokenizer.decode(ids);
        name.map_or_else(|| text.clone(), |name| with_names(&text, name))
    }

    /// The token that ends a description.
    #[must_use]
    pub fn end(&self) -> u32 {
        self.end
    }
}

#[cfg(test)]
mod tests {
    use tp_language::train_bpe;

    use super::*;

    #[test]
    fn names_pass_through_the_language_model_as_placeholders() {
        let texts = ["\nDescribe on the in detail. A large ; the point is on its"; 9];
        let conversation = DescribeConversation::new(Arc::new(train_bpe(texts, 400).unwrap()));
        let name = PointName {
            object: Some("mug".into()),
            object_probability: 0.9,
            part: Some("handle".into()),
            part_probability: 0.4,
            colour: None,
        };
        let asked = |name: Option<&PointName>| {
            let request = conversation.request(Style::CoarseToFine, name);
            assert_eq!(
                request.ids[request.mark],
                conversation.tokenizer.special(SpecialToken::Mark)
            );
            request.ids[request.mark + 1..].to_vec()
        };
        assert!(
            asked(Some(&name))
                .starts_with(&conversation.tokenizer.encode_text(" on the # of the @ in detail."))
        );
        assert!(asked(None).starts_with(&conversation.tokenizer.encode_text(" in detail.")));
        let text = "A large mug; the point is on its handle.";
        let ids = conversation.answer(text, Some(&name));
        assert_eq!(conversation.tokenizer.decode(&ids), "A large @; the point is on its #.");
        assert_eq!(conversation.text_of(&ids, Some(&name)), text);
        assert_eq!(conversation.text_of(&conversation.answer(text, None), None), text);
    }
}
