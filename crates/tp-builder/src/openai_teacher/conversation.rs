//! A conversation about one question, with retries and corrections.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use serde_json::{Value, json};

use super::{
    OpenAiTeacher, Structured,
    answer_shape::{answer_of, declines, schema},
    picture::{data_url, marked, weighted_section},
    server_reply::{Said, shortened},
    transport::Trouble,
};
use crate::{Answer, Answered, Question, Role, RunLimits, TeacherError, Usage};

/// A question, the messages exchanged about it, and their cost.
pub(super) struct Conversation<'a> {
    teacher: &'a OpenAiTeacher,
    messages: Vec<Value>,
    /// The bytes of all texts; images are counted in tokens.
    text_bytes: usize,
    spent: Usage,
}

impl<'a> Conversation<'a> {
    /// The first messages.
    ///
    /// # Errors
    ///
    /// [`TeacherError::Image`] and [`TeacherError::ImageTooLarge`].
    pub(super) fn begin(
        teacher: &'a OpenAiTeacher,
        question: &Question<'_>,
    ) -> Result<Self, TeacherError> {
        let (system, prompt) = (teacher.system(), teacher.prompt(question));
        let text_bytes = system.len() + prompt.len();
        let content = match picture_url(teacher, question)? {
            None => json!(prompt),
            Some(url) => {
                json!([{"type": "text", "text": prompt}, {"type": "image_url", "image_url": {"url": url}}])
            }
        };
        let mut messages = Vec::new();
        if !system.is_empty() {
            messages.push(json!({"role": "system", "content": system}));
        }
        messages.push(json!({"role": "user", "content": content}));
        Ok(Self { teacher, messages, text_bytes, spent: Usage::default() })
    }

    /// Sends, waits and corrects until there is an answer or a final failure.
    pub(super) fn finish(mut self, limits: &RunLimits) -> Result<Answered, TeacherError> {
        let OpenAiTeacher { role, config, transport, .. } = self.teacher;
        let (mut failures, mut repairs) = (0, 0);
        loop {
            let most = self.teacher.most_of_one_call(self.text_bytes);
            let reservation = limits.reserve(most).ok_or(TeacherError::Stopped)?;
            let Some(slot) = transport.endpoints.slot(&config.endpoints, limits) else {
                reservation.cancel();
                return Err(TeacherError::Stopped);
            };
            let sent = transport.send(slot, &self.request());
            let bill = self.teacher.priced(sent.as_ref().map_or(
                Usage { calls: 1, ..Usage::default() },
                super::server_reply::ServerReply::usage,
            ));
            reservation.settle(bill);
            self.spent += bill;
            let reply = match sent {
                Ok(reply) => reply,
                Err(Trouble::Lasting(error)) => return Err(error),
                Err(Trouble::TooFarOff(last)) => {
                    return Err(TeacherError::Unreachable { tries: failures + 1, last });
                }
                Err(Trouble::Passing(last)) => {
                    failures += 1;
                    if failures >= transport.retry.max_tries {
                        return Err(TeacherError::Unreachable { tries: failures, last });
                    }
                    let wait = backoff(
                        Duration::from_millis(transport.retry.first_wait_ms),
                        transport.max_wait(),
                        failures,
                        random_share(),
                    );
                    if !limits.wait(wait) {
                        return Err(TeacherError::Stopped);
                    }
                    continue;
                }
            };
            let text = match reply.said() {
                Said::Text(text) => text,
                Said::Refused(said) => return Err(TeacherError::Refused { said }),
                Said::CutOff => {
                    return Err(TeacherError::CutOff {
                        role: *role,
                        max_tokens: config.max_tokens,
                    });
                }
                Said::Nothing => return Err(TeacherError::Empty),
            };
            match self.check_reply(&text) {
                Ok(answer) => return Ok(Answered { answer, usage: self.spent }),
                Err(Refusal::Declined) => {
                    return Err(TeacherError::Refused { said: shortened(&text) });
                }
                Err(Refusal::Misshapen(problem)) if repairs >= config.max_repairs => {
                    return Err(TeacherError::BadAnswer { tries: repairs + 1, problem });
                }
                Err(Refusal::Misshapen(problem)) => {
                    repairs += 1;
                    self.correct(&text, &problem);
                }
            }
        }
    }

    fn check_reply(&self, text: &str) -> Result<Answer, Refusal> {
        match answer_of(self.teacher.role, text) {
            Err(_) if declines(text) => Err(Refusal::Declined),
            answer => answer.map_err(Refusal::Misshapen),
        }
    }

    /// Returns the last answer to the teacher together with the problem. Only the last one, so that
    /// the conversation does not grow.
    fn correct(&mut self, text: &str, problem: &str) {
        let n_first = if self.teacher.system().is_empty() { 1 } else { 2 };
        for message in self.messages.drain(n_first..) {
            self.text_bytes -= message["content"].as_str().map_or(0, str::len);
        }
        let shown: String = text.chars().take(self.teacher.config.max_tokens as usize).collect();
        let wish = format!(
            "That cannot be used: {problem}. Answer again, with the JSON object and nothing else."
        );
        self.text_bytes += shown.len() + wish.len();
        self.messages.push(json!({"role": "assistant", "content": shown}));
        self.messages.push(json!({"role": "user", "content": wish}));
    }

    fn request(&self) -> Value {
        let OpenAiTeacher { role, config, .. } = self.teacher;
        let mut request = json!({
            "model": config.model,
            "messages": self.messages,
            "temperature": config.temperature,
            "max_tokens": config.max_tokens,
            "stream": false,
        });
        match config.structured {
            Structured::Prompt => {}
            Structured::JsonObject => request["response_format"] = json!({"type": "json_object"}),
            Structured::JsonSchema => {
                let schema = json!({"name": role.name(), "strict": true, "schema": schema(*role)});
                request["response_format"] = json!({"type": "json_schema", "json_schema": schema});
            }
        }
        request
    }
}

enum Refusal {
    Declined,
    Misshapen(String),
}

fn picture_url(
    teacher: &OpenAiTeacher,
    question: &Question<'_>,
) -> Result<Option<String>, TeacherError> {
    let config = &teacher.config.image;
    let pixels =
        || (question.pixels)().map_err(|error| TeacherError::Image { problem: error.to_string() });
    let picture = match teacher.role {
        Role::Context => marked(&*pixels()?, question.point.point, config),
        Role::Local => weighted_section(&*pixels()?, question.point.point, config),
        Role::Organiser => return Ok(None),
    };
    data_url(&picture, teacher.role, config).map(Some)
}

/// The wait before the next try: it doubles with every failure, and a `share` of up to half is
/// subtracted, so that concurrent failures do not retry at the same time.
fn backoff(first: Duration, longest: Duration, failures: u32, share: f64) -> Duration {
    let whole = first.saturating_mul(1 << (failures - 1).min(20)).min(longest);
    whole.mul_f64(1.0 - share / 2.0)
}

/// A random number in `[0, 1)` that is independent of the seed; waits do not affect the data set.
fn random_share() -> f64 {
    (RandomState::new().hash_one(0) >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_a_limit_and_are_half_as_long_at_least() {
        let (first, longest) = (Duration::from_millis(100), Duration::from_millis(350));
        let waits =
            [1, 2, 3, 30].map(|failures| backoff(first, longest, failures, 0.0).as_millis());
        assert_eq!(waits, [100, 200, 350, 350]);
        assert_eq!(backoff(first, longest, 1, 1.0), Duration::from_millis(50));
        assert!((0..1000).all(|_| (0.0..1.0).contains(&random_share())));
    }
}
