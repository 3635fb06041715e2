//! Token ids as they come → text as it can be shown: never half a character, and nothing of a stop
//! text.

use crate::TextTokenizer;

/// What is written where bytes make no character.
const REPLACEMENT: char = '\u{FFFD}';

/// The text of one completion, piece by piece.
#[derive(Clone, Debug)]
pub struct TextStream<'a> {
    tokenizer: &'a TextTokenizer,
    stop: &'a [String],
    ids: Vec<u32>,
    /// Bytes of the decoded text that were given out.
    shown: usize,
    ended: bool,
}

impl<'a> TextStream<'a> {
    /// A stream that ends before the first of the texts `stop`; empty ones are ignored.
    #[must_use]
    pub fn new(tokenizer: &'a TextTokenizer, stop: &'a [String]) -> Self {
        Self { tokenizer, stop, ids: Vec::new(), shown: 0, ended: false }
    }

    /// Takes a token, and gives what can be shown now: nothing while a character is incomplete, or
    /// while the end may be the beginning of a stop text.
    pub fn push(&mut self, id: u32) -> String {
        if self.ended {
            return String::new();
        }
        self.ids.push(id);
        let text = self.tokenizer.decode(&self.ids);
        let first_stop = self
            .stop
            .iter()
            .filter(|stop| !stop.is_empty())
            .filter_map(|stop| text.find(stop.as_str()))
            .min();
        let ready = match first_stop {
            Some(at) => {
                self.ended = true;
                at
            }
            None => {
                text.trim_end_matches(REPLACEMENT).len().min(text.len() - self.held_back(&text))
            }
        };
        self.give(&text, ready)
    }

    /// What was held back, once no token follows.
    pub fn finish(&mut self) -> String {
        if self.ended {
            return String::new();
        }
        self.ended = true;
        let text = self.tokenizer.decode(&self.ids);
        self.give(&text, text.len())
    }

    /// Whether a stop text has come.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// The longest end of the text that begins a stop text, in bytes.
    fn held_back(&self, text: &str) -> usize {
        let begins = |stop: &String| {
            (1..stop.len()).rev().find(|&n| stop.is_char_boundary(n) && text.ends_with(&stop[..n]))
        };
        self.stop.iter().filter_map(begins).max().unwrap_or(0)
    }

    fn give(&mut self, text: &str, ready: usize) -> String {
        let from = self.shown.min(ready);
        self.shown = self.shown.max(ready);
        text.get(from..ready).unwrap_or_default().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train_bpe;

    fn bytes() -> TextTokenizer {
        train_bpe(["a b"], 266).unwrap().text().clone() // one token a byte
    }

    fn pieces(text: &str, stop: &[String]) -> (Vec<String>, bool) {
        let tokenizer = bytes();
        let mut stream = TextStream::new(&tokenizer, stop);
        let mut pieces: Vec<String> =
            tokenizer.encode_text(text).into_iter().map(|id| stream.push(id)).collect();
        let stopped = stream.has_ended();
        pieces.push(stream.finish());
        (pieces.into_iter().filter(|piece| !piece.is_empty()).collect(), stopped)
    }

    #[test]
    fn characters_come_whole() {
        let (pieces, _) = pieces("aé耳👂", &[]);
        assert_eq!(pieces, ["a", "é", "耳", "👂"]);
    }

    #[test]
    fn stop_text_ends_the_stream_and_is_not_shown() {
        let stop = ["END".to_owned(), String::new()];
        let (shown, stopped) = pieces("the END of it", &stop);
        assert_eq!((shown.concat().as_str(), stopped), ("the ", true));
        let (shown, stopped) = pieces("the EN", &stop);
        assert_eq!((shown.concat().as_str(), stopped), ("the EN", false));
        assert_eq!(shown.last().unwrap(), "EN"); // held back until nothing followed
    }

    #[test]
    fn broken_bytes_are_shown_in_the_end() {
        let tokenizer = bytes();
        let half = &tokenizer.encode_text("é")[..1];
        let mut stream = TextStream::new(&tokenizer, &[]);
        assert_eq!(stream.push(half[0]), "");
        assert_eq!(stream.finish(), "\u{FFFD}");
    }
}
