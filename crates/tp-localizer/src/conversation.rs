//! The prompt that asks for a point, and its fixed answer.
//!
//! Because the answer is the same for every text, one teacher-forced pass over prompt and answer
//! serves: nothing is generated, and nothing can be left out.

use std::sync::Arc;

use tp_language::{SpecialToken, Tokenizer};

/// What is asked, in front of the text.
const REQUEST: &str = "\nPlease segment region1: ";

/// The token ids of every fixed piece of the conversation around image and text.
#[derive(Clone, Debug)]
pub struct LocalizeConversation {
    tokenizer: Arc<Tokenizer>,
    head: Vec<u32>,
    after_text: Vec<u32>,
}

impl LocalizeConversation {
    /// Tokenizes the conversation once: "Please segment region1: …" and `<p> keypoint </p> [SEG]`
    /// (paper, Point Localizer). The space before `[SEG]` is a token of its own, as in the base
    /// model's training.
    #[must_use]
    pub fn new(tokenizer: Arc<Tokenizer>) -> Self {
        let special = |token| tokenizer.special(token);
        let mut head = vec![special(SpecialToken::Bos), special(SpecialToken::ImStart)];
        head.extend(tokenizer.encode_text("user\n"));
        let mut after_text = vec![special(SpecialToken::ImEnd)];
        after_text.extend(tokenizer.encode_text("\n"));
        after_text.push(special(SpecialToken::ImStart));
        after_text.extend(tokenizer.encode_text("assistant\n"));
        after_text.push(special(SpecialToken::PhraseOpen));
        after_text.extend(tokenizer.encode_text(" keypoint "));
        after_text.push(special(SpecialToken::PhraseClose));
        after_text.extend(tokenizer.encode_text(" "));
        after_text.push(special(SpecialToken::Seg));
        Self { tokenizer, head, after_text }
    }

    /// What stands before the image.
    #[must_use]
    pub fn head(&self) -> &[u32] {
        &self.head
    }

    /// What follows the image when `text` is looked for. `[SEG]` is the last token.
    ///
    /// Request and text are encoded in one piece, as the base model's training does: the first word
    /// of the text is then the same token as within a sentence.
    #[must_use]
    pub fn row(&self, text: &str) -> Vec<u32> {
        let mut row = self.tokenizer.encode_text(&format!("{REQUEST}{text}"));
        row.extend(&self.after_text);
        row
    }

    /// How many tokens of a row follow the text.
    #[must_use]
    pub fn n_after_text(&self) -> usize {
        self.after_text.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tp_language::train_bpe;

    #[test]
    fn first_word_is_the_token_that_it_is_within_a_sentence() {
        let tokenizer = Arc::new(
            train_bpe(
                ["Please segment region1: the ear of the horse", "the ear of the horse"],
                300,
            )
            .unwrap(),
        );
        let conversation = LocalizeConversation::new(tokenizer.clone());
        let row = conversation.row("the ear");
        let whole = tokenizer.encode_text("\nPlease segment region1: the ear");
        assert_eq!(row[..row.len() - conversation.n_after_text()], whole);
        let apart = [tokenizer.encode_text(REQUEST), tokenizer.encode_text("the ear")].concat();
        assert_ne!(whole, apart);
    }

    #[test]
    fn space_stands_before_seg() {
        let tokenizer = Arc::new(train_bpe(["the ear", "the ear"], 280).unwrap());
        let special = |token| tokenizer.special(token);
        let row = LocalizeConversation::new(tokenizer.clone()).row("the ear");
        let space = tokenizer.encode_text(" ");
        let end =
            [&[special(SpecialToken::PhraseClose)][..], &space, &[special(SpecialToken::Seg)]]
                .concat();
        assert_eq!(row[row.len() - end.len()..], end);
    }
}
