//! What `generate` prints.

use serde::Serialize;
use talking_points::language::Completion;

#[derive(Serialize)]
pub(super) struct Answers {
    pub(super) answers: Vec<Answer>,
    pub(super) prompt_tokens: usize,
    pub(super) seconds_to_first_token: f64,
    pub(super) seconds: f64,
}

#[derive(Serialize)]
pub(super) struct Answer {
    text: String,
    tokens: usize,
    finished: bool,
    mean_log_prob: Option<f64>,
}

impl Answer {
    /// A completion and its text.
    pub(super) fn new(text: String, completion: &Completion) -> Self {
        Self {
            text,
            tokens: completion.ids.len(),
            finished: completion.finished,
            mean_log_prob: mean(&completion.log_probs),
        }
    }
}

impl Answers {
    /// The texts, unless they were shown while they were written, and the speed.
    pub(super) fn text(&self, is_shown: bool) -> String {
        let texts = if is_shown {
            String::new()
        } else {
            self.answers.iter().map(|answer| format!("{}\n\n", answer.text)).collect()
        };
        let tokens: usize = self.answers.iter().map(|answer| answer.tokens).sum();
        let rate = tokens as f64 / self.seconds;
        format!(
            "{texts}\n{} tokens read, {tokens} written in {:.2} s, {rate:.1} a second",
            self.prompt_tokens, self.seconds
        )
    }
}

fn mean(log_probs: &[f32]) -> Option<f64> {
    (!log_probs.is_empty())
        .then(|| log_probs.iter().map(|&p| f64::from(p)).sum::<f64>() / log_probs.len() as f64)
}
