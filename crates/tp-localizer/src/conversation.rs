//! The prompt that asks for a point, and its fixed answer.
//!
//! Because the answer is the same for every text, one teacher-forced pass over prompt and answer
//! serves: nothing is generated, and nothing can be left out.

use std::sync::Arc;

use tp_language::{SpecialToken, Tokenizer};

/// What is asked, in front of the text.
const REQUEST: &str = "\nPlease segment region1: ";

/// What the published base is asked, and how its answer goes on until `[SEG]` (OMG-LLaVA,
/// `referring_seg_process.py`).
const BASE_REQUEST: [&str; 2] = ["\nPlease segment ", " in this image."];

/// The token ids of every fixed piece of the conversation around image and text.
#[derive(Clone, Debug)]
pub struct LocalizeConversation {
    tokenizer: Arc<Tokenizer>,
    head: Vec<u32>,
    /// From the end of the user's turn to the opened phrase.
    answer: Vec<u32>,
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
        let mut answer = vec![special(SpecialToken::ImEnd)];
        answer.extend(tokenizer.encode_text("\n"));
        answer.push(special(SpecialToken::ImStart));
        answer.extend(tokenizer.encode_text("assistant\n"));
        answer.push(special(SpecialToken::PhraseOpen));
        let mut conversation = Self { tokenizer, head, after_text: Vec::new(), answer };
        conversation.after_text = conversation.answered(" keypoint ");
        conversation
    }

    /// The answer whose phrase is this, up to `[SEG]`.
    fn answered(&self, phrase: &str) -> Vec<u32> {
        let special = |token| self.tokenizer.special(token);
        let mut ids = self.answer.clone();
        ids.extend(self.tokenizer.encode_text(phrase));
        ids.push(special(SpecialToken::PhraseClose));
        ids.extend(self.tokenizer.encode_text(" "));
        ids.push(special(SpecialToken::Seg));
        ids
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

    /// As [`row`](Self::row), in the published base's own words: "Please segment … in this image."
    /// and `<p> … </p> [SEG]`, the text in lower case and then with a capital.
    #[must_use]
    pub fn base_row(&self, text: &str) -> Vec<u32> {
        let name = text.trim().trim_end_matches('.').to_lowercase();
        let [before, after] = BASE_REQUEST;
        let mut row = self.tokenizer.encode_text(&format!("{before}{name}{after}"));
        let mut letters = name.chars();
        let capital = letters.next().map(char::to_uppercase);
        let phrase: String = capital.into_iter().flatten().chain(letters).collect();
        row.extend(self.answered(&format!(" {phrase} ")));
        row
    }

    /// How many tokens of a [`row`](Self::row) follow the text.
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

    #[test]
    fn base_is_asked_as_it_was_trained() {
        let tokenizer = Arc::new(train_bpe(["segment the left ear", "The left ear"], 290).unwrap());
        let special = |token| tokenizer.special(token);
        let row = LocalizeConversation::new(tokenizer.clone()).base_row("The left ear.");
        let expected = [
            &tokenizer.encode_text("\nPlease segment the left ear in this image.")[..],
            &[special(SpecialToken::ImEnd)],
            &tokenizer.encode_text("\n"),
            &[special(SpecialToken::ImStart)],
            &tokenizer.encode_text("assistant\n"),
            &[special(SpecialToken::PhraseOpen)],
            &tokenizer.encode_text(" The left ear "),
            &[special(SpecialToken::PhraseClose)],
            &tokenizer.encode_text(" "),
            &[special(SpecialToken::Seg)],
        ]
        .concat();
        assert_eq!(row, expected);
    }
}
