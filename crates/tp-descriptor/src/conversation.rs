//! The prompt that asks for a description: image first, then one sentence with the point's token in it.

use std::sync::Arc;

use tp_core::{PointName, Style};
use tp_language::{SpecialToken, Tokenizer};

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
        let mut head = vec![tokenizer.special(SpecialToken::Bos), tokenizer.special(SpecialToken::ImStart)];
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
    /// A model that names before it writes is told its names: "Describe … on the brown handle of the mug in detail." Without them
    /// the request is the base model's.
    #[must_use]
    pub fn request(&self, style: Style, name: Option<&PointName>) -> Request {
        let special = |token| self.tokenizer.special(token);
        let [before, after] = request(style);
        let mut ids = self.tokenizer.encode_text(before);
        let mark = ids.len();
        ids.push(special(SpecialToken::Mark));
        ids.extend(self.tokenizer.encode_text(&format!("{}{after}", name.map(place_of).unwrap_or_default())));
        ids.push(special(SpecialToken::ImEnd));
        ids.extend(self.tokenizer.encode_text("\n"));
        ids.push(special(SpecialToken::ImStart));
        ids.extend(self.tokenizer.encode_text("assistant\n"));
        Request { ids, mark }
    }

    /// The token that ends a description.
    #[must_use]
    pub fn end(&self) -> u32 {
        self.end
    }
}

/// What a thing is called that has no name.
pub const UNKNOWN_OBJECT: &str = "thing";

/// What the point is on, as it stands in the request.
fn place_of(name: &PointName) -> String {
    let object = name.object.as_deref().unwrap_or(UNKNOWN_OBJECT);
    let colour = name.colour.as_ref().map(|colour| format!("{colour} ")).unwrap_or_default();
    match &name.part {
        Some(part) => format!(" on the {colour}{part} of the {object}"),
        None => format!(" on the {colour}{object}"),
    }
}

#[cfg(test)]
mod tests {
    use tp_language::train_bpe;

    use super::*;

    #[test]
    fn names_stand_in_the_request_as_they_stand_in_texts() {
        let texts = ["\nDescribe on the handle of the mug in detail. the mug; the handle on the thing"; 9];
        let tokenizer = Arc::new(train_bpe(texts, 400).unwrap());
        let conversation = DescribeConversation::new(tokenizer.clone());
        let mut name = PointName {
            object: Some("mug".into()),
            object_probability: 0.9,
            part: Some("handle".into()),
            part_probability: 0.4,
            colour: None,
            colour_probability: 0.0,
        };
        let asked = |name: Option<&PointName>| {
            let request = conversation.request(Style::CoarseToFine, name);
            assert_eq!(request.ids[request.mark], tokenizer.special(SpecialToken::Mark));
            request.ids[request.mark + 1..].to_vec()
        };
        let named = asked(Some(&name));
        assert!(named.starts_with(&tokenizer.encode_text(" on the handle of the mug in detail.")));
        // A name is the same token that a description has.
        assert!(tokenizer.encode_text("the mug").ends_with(&tokenizer.encode_text(" mug")));
        assert!(asked(None).starts_with(&tokenizer.encode_text(" in detail.")));
        name.colour = Some("brown".into());
        assert!(asked(Some(&name)).starts_with(&tokenizer.encode_text(" on the brown handle of the mug in detail.")));
        (name.object, name.part, name.colour) = (None, None, None);
        assert!(asked(Some(&name)).starts_with(&tokenizer.encode_text(" on the thing in detail.")));
    }
}
