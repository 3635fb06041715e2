//! The texts of the answers, as their tokens come.

use std::{
    io::{self, Write},
    ops::ControlFlow,
    time::Instant,
};

use talking_points::language::{NextAction, SampledToken, TextStream, TextTokenizer};

/// The texts so far; a single one may be shown while it grows.
pub(super) struct GrowingTexts<'a> {
    streams: Vec<TextStream<'a>>,
    texts: Vec<String>,
    /// Tokens that end an answer and are no part of its text.
    end_tokens: &'a [u32],
    is_shown: bool,
    began: Instant,
    seconds_to_first_token: Option<f64>,
}

impl<'a> GrowingTexts<'a> {
    /// `n` texts, each of which ends before one of the texts `stops`.
    pub(super) fn new(
        n: usize,
        tokenizer: &'a TextTokenizer,
        stops: &'a [String],
        end_tokens: &'a [u32],
        is_shown: bool,
    ) -> Self {
        Self {
            streams: vec![TextStream::new(tokenizer, stops); n],
            texts: vec![String::new(); n],
            end_tokens,
            is_shown,
            began: Instant::now(),
            seconds_to_first_token: None,
        }
    }

    /// Takes a token of an answer, and says whether the answer goes on.
    pub(super) fn push(&mut self, row: usize, token: SampledToken) -> ControlFlow<(), NextAction> {
        let seconds = self.began.elapsed().as_secs_f64();
        self.seconds_to_first_token.get_or_insert(seconds);
        if !self.end_tokens.contains(&token.id) {
            let piece = self.streams[row].push(token.id);
            self.add(row, &piece);
        }
        ControlFlow::Continue(if self.streams[row].has_ended() {
            NextAction::EndRow
        } else {
            NextAction::GoOn
        })
    }

    /// The whole texts, and the seconds to the first token, if there was one.
    pub(super) fn finish(mut self) -> (Vec<String>, Option<f64>) {
        for row in 0..self.streams.len() {
            let piece = self.streams[row].finish();
            self.add(row, &piece);
        }
        (self.texts, self.seconds_to_first_token)
    }

    fn add(&mut self, row: usize, piece: &str) {
        if self.is_shown {
            // A closed pipe does not stop the generation; printing the result reports it.
            let _ = write!(io::stdout(), "{piece}").and_then(|()| io::stdout().flush());
        }
        self.texts[row].push_str(piece);
    }
}
