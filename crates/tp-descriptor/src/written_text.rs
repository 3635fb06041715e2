//! Token ids as they are written → the description as far as it is certain, names included.

use tp_core::PointName;
use tp_language::{TextStream, TextTokenizer};

use crate::told_names::with_names;

/// The text of one description, piece by piece; all pieces joined are the description.
#[derive(Clone, Debug)]
pub(crate) struct WrittenText<'a> {
    tokens: TextStream<'a>,
    name: Option<&'a PointName>,
    /// What the language model has written, with placeholders for names.
    written: String,
    /// Bytes of the description that were given out.
    shown: usize,
}

impl<'a> WrittenText<'a> {
    /// A description that has not begun, for a point whose name is told.
    pub(crate) fn new(tokenizer: &'a TextTokenizer, name: Option<&'a PointName>) -> Self {
        Self { tokens: TextStream::new(tokenizer, &[]), name, written: String::new(), shown: 0 }
    }

    /// Takes a token, and gives what it adds for certain: nothing while a character is incomplete.
    pub(crate) fn push(&mut self, id: u32) -> String {
        self.written.push_str(&self.tokens.push(id));
        let text = self.with_names();
        // The article before a name becomes "an" when the name begins with a vowel.
        let open = usize::from(text.ends_with("a ") || text.ends_with("A "));
        self.give(&text, text.len() - open)
    }

    /// What was held back, once no token follows.
    pub(crate) fn finish(&mut self) -> String {
        self.written.push_str(&self.tokens.finish());
        let text = self.with_names();
        self.give(&text, text.len())
    }

    fn with_names(&self) -> String {
        self.name.map_or_else(|| self.written.clone(), |name| with_names(&self.written, name))
    }

    fn give(&mut self, text: &str, ready: usize) -> String {
        let piece = text.get(self.shown..ready).unwrap_or_default().to_owned();
        self.shown = self.shown.max(ready);
        piece
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};
    use tp_language::train_bpe;

    use super::*;

    fn umbrella() -> PointName {
        PointName {
            object: Some("umbrella".into()),
            object_probability: 0.9,
            part: Some("handle".into()),
            part_probability: 0.4,
            colour: Some("orange".into()),
        }
    }

    /// The pieces of a text that is written byte by byte.
    fn pieces(ids: &[u32], tokenizer: &TextTokenizer, name: Option<&PointName>) -> Vec<String> {
        let mut text = WrittenText::new(tokenizer, name);
        let mut pieces: Vec<String> = ids.iter().map(|&id| text.push(id)).collect();
        pieces.push(text.finish());
        pieces
    }

    #[test]
    fn name_comes_whole_after_its_article() {
        let tokenizer = train_bpe(["a b"], 266).unwrap().text().clone(); // one token a byte
        let name = umbrella();
        let pieces = pieces(&tokenizer.encode_text("A @, a #."), &tokenizer, Some(&name));
        let shown: Vec<&str> =
            pieces.iter().map(String::as_str).filter(|piece| !piece.is_empty()).collect();
        assert_eq!(shown, ["A", "n umbrella", ",", " ", "a", " handle", "."]);
    }

    proptest! {
        #[test]
        fn pieces_joined_are_the_description(
            parts in vec(select(vec!["a ", "A ", "an ", "@", "#", "~", "ba", ". ", " ", "é", "👂", "\u{FFFD}"]), 0..20),
            cut in 0_usize..3, is_named in any::<bool>(),
        ) {
            let tokenizer = train_bpe(["a b"], 266).unwrap().text().clone();
            let name = is_named.then(umbrella);
            let mut ids = tokenizer.encode_text(&parts.concat());
            ids.truncate(ids.len().saturating_sub(cut)); // half a character
            let whole = tokenizer.decode(&ids);
            let whole = name.as_ref().map_or(whole.clone(), |name| with_names(&whole, name));
            prop_assert_eq!(pieces(&ids, &tokenizer, name.as_ref()).concat(), whole);
        }
    }
}
