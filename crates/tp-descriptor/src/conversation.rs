//! The prompt that asks for a description: image first, then one sentence with the point's token in it.

use tp_core::Style;
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
    head: Vec<u32>,
    requests: [Request; Style::ALL.len()],
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
    /// Tokenizes the conversation once.
    #[must_use]
    pub fn new(tokenizer: &Tokenizer) -> Self {
        let special = |token| tokenizer.special(token);
        let mut head = vec![special(SpecialToken::Bos), special(SpecialToken::ImStart)];
        head.extend(tokenizer.encode_text("user\n"));
        let requests = Style::ALL.map(|style| {
            let [before, after] = request(style);
            let mut ids = tokenizer.encode_text(before);
            let mark = ids.len();
            ids.push(special(SpecialToken::Mark));
            ids.extend(tokenizer.encode_text(after));
            ids.push(special(SpecialToken::ImEnd));
            ids.extend(tokenizer.encode_text("\n"));
            ids.push(special(SpecialToken::ImStart));
            ids.extend(tokenizer.encode_text("assistant\n"));
            Request { ids, mark }
        });
        Self { head, requests, end: special(SpecialToken::ImEnd) }
    }

    /// What stands before the image.
    #[must_use]
    pub fn head(&self) -> &[u32] {
        &self.head
    }

    /// What follows the image when a description in this style is asked for.
    #[must_use]
    pub fn request(&self, style: Style) -> &Request {
        &self.requests[style as usize]
    }

    /// The token that ends a description.
    #[must_use]
    pub fn end(&self) -> u32 {
        self.end
    }
}
