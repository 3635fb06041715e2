//! Teachers behind servers with OpenAI's chat completions API: vLLM, SGLang, llama.cpp, Ollama,
//! hosted ones.
//!
//! Each question is a conversation: it is sent again while the server is busy or unreachable, and
//! corrected while the answer is malformed. This is the only place in which anything is retried.

mod answer_shape;
mod config;
mod control_tokens;
mod conversation;
mod endpoints;
mod http_date;
mod picture;
mod prompt;
mod read_reply;
mod secret;
mod server_reply;
mod transport;

use std::{collections::BTreeMap, sync::Arc};

use serde_json::json;

pub use config::{
    EndpointConfig, ImageConfig, PAPER_TEACHERS, Price, RetryConfig, RoleConfig, Structured,
    TeachersConfig,
};
pub use read_reply::{read_error_reply, read_reply};

use self::{conversation::Conversation, transport::Transport};
use crate::{
    Answered, BuildError, Estimate, Question, Role, RunLimits, SurveyedPoint, Teacher,
    TeacherError, Teachers, Usage,
};
use tp_data::RulesTeacher;

/// The maximum number of tokens of a chat template and of the schema around a prompt.
const FRAME_TOKENS: u64 = 400;

/// A model on one or several servers, in one role.
#[derive(Debug)]
pub struct OpenAiTeacher {
    role: Role,
    config: RoleConfig,
    price: Price,
    transport: Arc<Transport>,
    /// The maximum number of tokens that earlier answers add to the prompt.
    from_others: u64,
}

impl TeachersConfig {
    /// The teachers of the configuration; roles that it does not list are played by the rules.
    /// Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`BuildError::Teacher`] if the environment variable of a key is not set.
    pub fn teachers(&self) -> Result<Teachers, BuildError> {
        self.teachers_with_keys(|variable| std::env::var(variable).ok())
    }

    fn teachers_with_keys(
        &self,
        key: impl Fn(&str) -> Option<String>,
    ) -> Result<Teachers, BuildError> {
        let transport = Arc::new(Transport::new(self, key)?);
        let limit_of = |role| {
            self.roles.get(&role).map_or(0, |config: &RoleConfig| u64::from(config.max_tokens))
        };
        let play = |role: Role| -> Arc<dyn Teacher> {
            match self.roles.get(&role).filter(|config| config.model != "rules") {
                None => Arc::new(RulesTeacher),
                Some(config) => Arc::new(OpenAiTeacher {
                    role,
                    config: config.clone(),
                    price: self.prices.get(&config.model).copied().unwrap_or_default(),
                    transport: transport.clone(),
                    from_others: if role == Role::Organiser {
                        limit_of(Role::Context) + limit_of(Role::Local)
                    } else {
                        0
                    },
                }),
            }
        };
        Ok(Teachers::new(play(Role::Context), play(Role::Local), play(Role::Organiser)))
    }

    /// The number of concurrent questions that all endpoints accept together.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.endpoints.values().map(|endpoint| endpoint.max_concurrent).sum()
    }

    /// The number of questions to work on concurrently: slightly more, so that images are prepared
    /// while all slots are in use.
    #[must_use]
    pub fn n_questions(&self) -> usize {
        self.slots() + self.slots() / 4 + 4
    }
}

impl OpenAiTeacher {
    /// What tokens cost.
    fn priced(&self, mut usage: Usage) -> Usage {
        let Price { input_per_million, output_per_million } = self.price;
        usage.cost = (usage.prompt_tokens as f64 * input_per_million
            + usage.completion_tokens as f64 * output_per_million)
            / 1e6;
        usage
    }

    /// An upper bound on the cost of one request with this many bytes of text: a tokenizer produces
    /// at most one token per byte.
    fn most_of_one_call(&self, text_bytes: usize) -> Usage {
        let picture = if self.role == Role::Organiser { 0 } else { self.config.image.max_tokens };
        self.priced(Usage {
            calls: 1,
            prompt_tokens: text_bytes as u64 + picture + FRAME_TOKENS,
            completion_tokens: u64::from(self.config.max_tokens),
            cost: 0.0,
        })
    }

    fn system(&self) -> &str {
        self.config.system.as_deref().unwrap_or_default()
    }

    fn prompt(&self, question: &Question<'_>) -> String {
        prompt::filled(self.config.prompt.as_deref().unwrap_or_default(), question)
    }
}

impl Teacher for OpenAiTeacher {
    fn name(&self, _: Role) -> String {
        self.config.model.clone()
    }

    fn asked(&self, question: &Question<'_>) -> String {
        // The point determines the images; the organizer sees none.
        let point = (self.role != Role::Organiser).then_some(question.point.point);
        json!([self.config, self.prompt(question), point]).to_string()
    }

    fn can_describe(&self, role: Role, point: &SurveyedPoint) -> bool {
        // If several objects match the same facts, the organizer cannot make them unambiguous,
        // because it knows only those facts.
        role != Role::Organiser || point.sentence.is_some()
    }

    fn estimate(&self, question: &Question<'_>) -> Estimate {
        let (system, prompt) = (self.system(), self.prompt(question));
        let words = system.split_whitespace().count() + prompt.split_whitespace().count();
        let least =
            Usage { calls: 1, prompt_tokens: words as u64, completion_tokens: 1, cost: 0.0 };
        let sends = u64::from(self.transport.retry.max_tries) + u64::from(self.config.max_repairs);
        let corrections =
            u64::from(self.config.max_repairs) * (u64::from(self.config.max_tokens) + FRAME_TOKENS);
        let mut one = self.most_of_one_call(system.len() + prompt.len());
        one.prompt_tokens += corrections + self.from_others;
        Estimate { least: self.priced(least), most: self.priced(one).times(sends) }
    }

    fn ask(&self, question: &Question<'_>, limits: &RunLimits) -> Result<Answered, TeacherError> {
        Conversation::begin(self, question)?.finish(limits)
    }
}

/// The key of every endpoint that needs one.
type Keys = BTreeMap<String, Option<secret::Secret>>;

/// A question about a horse's left ear, for tests.
#[cfg(test)]
pub(crate) fn test_question(role: Role, test: impl FnOnce(&Question<'_>)) {
    use tp_core::{Cell, Extent, ImageHw, ObjectSize, PointRecord, RgbImage, Style, UnitXy};

    use crate::{ContentKey, SurveyedImage};
    use tp_data::{BoxXywh, PointKind};

    let cell = Cell::of(0.5, 0.1);
    let size = ImageHw::new(40, 60).expect("it is not empty");
    let whole = BoxXywh { x: 0.0, y: 0.0, width: 60.0, height: 40.0 };
    let point = SurveyedPoint {
        point: UnitXy::nearest(0.25, 0.75),
        kind: PointKind::Sift,
        style: Style::CoarseToFine,
        record: PointRecord {
            category: "horse".to_owned(),
            family: None,
            object_cell: cell,
            object_size: ObjectSize::Large,
            part: Some("left-ear".to_owned()),
            part_cell: Some(cell),
            point_cell: cell,
            colour: "brown".to_owned(),
            texture: "smooth".to_owned(),
            shape: "a corner".to_owned(),
            extent: Extent::Mask,
            keypoint: None,
        },
        object_box: whole,
        part_box: Some(whole),
        sentence: Some("The ear of the horse.".to_owned()),
    };
    let image = SurveyedImage {
        name: "horse.jpg".to_owned(),
        size,
        upright: false,
        sha256: ContentKey::of_bytes(b"horse"),
        annotation_sha256: ContentKey::of_bytes(b"ear"),
        look: None,
        split: None,
        group: "horse.jpg".to_owned(),
        source: "test".to_owned(),
        licence: None,
        points: Vec::new(),
        without: BTreeMap::new(),
        rejected: BTreeMap::new(),
    };
    let pixels = || Ok(Arc::new(RgbImage::filled(size, [120, 90, 60])));
    test(&Question {
        role,
        image: &image,
        point: &point,
        pixels: &pixels,
        context: None,
        local: None,
    });
}
