//! The prompt that asks for a point, and its fixed answer.
//!
//! Because the answer is the same for every text, one teacher-forced pass over prompt and answer serves: nothing is
//! generated, and nothing can be left out.

use tp_language::{SpecialToken, Tokenizer};

/// The token ids of every piece of the conversation around image and text.
#[derive(Clone, Debug)]
pub struct LocalizeConversation {
    head: Vec<u32>,
    before_text: Vec<u32>,
    after_text: Vec<u32>,
}

impl LocalizeConversation {
    /// Tokenizes the conversation once: "Please segment region1: …" and `<p> keypoint </p> [SEG]` (paper, Point
    /// Localizer).
    #[must_use]
    pub fn new(tokenizer: &Tokenizer) -> Self {
        let special = |token| tokenizer.special(token);
        let mut head = vec![special(SpecialToken::Bos), special(SpecialToken::ImStart)];
        head.extend(tokenizer.encode_text("user\n"));
        let mut after_text = vec![special(SpecialToken::ImEnd)];
        after_text.extend(tokenizer.encode_text("\n"));
        after_text.push(special(SpecialToken::ImStart));
        after_text.extend(tokenizer.encode_text("assistant\n"));
        after_text.push(special(SpecialToken::PhraseOpen));
        after_text.extend(tokenizer.encode_text(" keypoint "));
        after_text.extend([special(SpecialToken::PhraseClose), special(SpecialToken::Seg)]);
        Self { head, before_text: tokenizer.encode_text("\nPlease segment region1: "), after_text }
    }

    /// What stands before the image.
    #[must_use]
    pub fn head(&self) -> &[u32] {
        &self.head
    }

    /// What follows the image when `text` is looked for. `[SEG]` is the last token.
    #[must_use]
    pub fn row(&self, text: &[u32]) -> Vec<u32> {
        [&self.before_text[..], text, &self.after_text].concat()
    }

    /// How many tokens a row has beside those of the text.
    #[must_use]
    pub fn overhead(&self) -> usize {
        self.before_text.len() + self.after_text.len()
    }
}
