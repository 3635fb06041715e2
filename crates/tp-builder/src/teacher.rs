//! Teachers, which write descriptions: one trait with three roles, as in the paper's section on
//! LlamaPointInPart.
//!
//! The context teacher sees the whole image with the point marked, the local teacher a crop around
//! the point under a Gaussian, and the organizer sees no image: it merges labels, position words
//! and both answers into one text of four layers. The rule-based describer plays all three roles
//! without a model ([`RulesTeacher`](tp_data::RulesTeacher));
//! [`OpenAiTeacher`](crate::OpenAiTeacher) asks a server.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};
use tp_core::RgbImage;

use crate::{BuildError, RunLimits, SurveyedImage, SurveyedPoint, Usage};

/// The task of a teacher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Identifies the object and its surroundings in the whole image, in which the point is marked.
    Context,
    /// Describes color, texture and shape in the neighborhood of the point.
    Local,
    /// Merges labels, position words and both answers into one text, from coarse to fine.
    Organiser,
}

impl Role {
    /// All roles, in the order in which they are asked.
    pub const ALL: [Self; 3] = [Self::Context, Self::Local, Self::Organiser];

    /// The name in configurations and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        ["context", "local", "organiser"][self as usize]
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A question about a point.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Question<'a> {
    /// The role that is asked.
    pub role: Role,
    /// The image.
    pub image: &'a SurveyedImage,
    /// The point, with its facts from annotation and pixels.
    pub point: &'a SurveyedPoint,
    /// Decodes the image; only called by teachers that need the pixels.
    pub pixels: &'a (dyn Fn() -> Result<Arc<RgbImage>, BuildError> + Sync),
    /// The context teacher's answer, for the organizer.
    pub context: Option<&'a ContextAnswer>,
    /// The local teacher's answer, for the organizer.
    pub local: Option<&'a LocalAnswer>,
}

/// The answer of the context teacher.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContextAnswer {
    /// The object that the point is on.
    pub object: String,
    /// The part of the object.
    pub part: String,
    /// The surroundings, in a sentence or two.
    pub context: String,
}

/// The answer of the local teacher.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LocalAnswer {
    /// E.g. `dark brown`.
    pub colour: String,
    /// E.g. `matted`.
    pub texture: String,
    /// E.g. `a round spot`.
    pub shape: String,
    /// Further details that distinguish the point.
    pub detail: String,
}

/// The answer of the organizer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OrganiserAnswer {
    /// The whole text.
    pub description: String,
    /// Its four layers, if the teacher provides them.
    pub layers: Option<Layers>,
}

/// The four layers of a description, from coarse to fine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layers {
    /// The object and its position in the image.
    pub object: String,
    /// The part and its position on the object.
    pub part: String,
    /// The point, relative to the part.
    pub point: String,
    /// The appearance around the point.
    pub appearance: String,
}

/// An answer to one question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "snake_case")]
pub enum Answer {
    /// The answer to [`Role::Context`].
    Context(ContextAnswer),
    /// The answer to [`Role::Local`].
    Local(LocalAnswer),
    /// The answer to [`Role::Organiser`].
    Organiser(OrganiserAnswer),
}

/// An answer with its cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answered {
    /// The answer.
    pub answer: Answer,
    /// Calls, tokens and cost, including failed tries.
    pub usage: Usage,
}

/// Writes the description of a point, or a part of it.
///
/// A teacher with costs must reserve every call with [`RunLimits::reserve`], which keeps the run
/// within its budget.
///
/// # Example
///
/// A person who describes points for five cents each:
///
/// ```
/// use tp_builder::{Answer, Answered, LocalAnswer, Question, Role, RunLimits, Teacher, TeacherError, Usage};
///
/// struct Person;
///
/// impl Teacher for Person {
///     fn name(&self, _: Role) -> String {
///         "a person".to_owned()
///     }
///
///     fn asked(&self, question: &Question<'_>) -> String {
///         format!("a person, {:?}", question.point.point)
///     }
///
///     fn ask(&self, question: &Question<'_>, limits: &RunLimits) -> Result<Answered, TeacherError> {
///         let price = Usage { calls: 1, cost: 0.05, ..Usage::default() };
///         let reservation = limits.reserve(price).ok_or(TeacherError::Stopped)?;
///         // Here the person would be asked; this example returns the measured color.
///         let colour = question.point.record.colour.clone();
///         reservation.settle(price);
///         Ok(Answered { answer: Answer::Local(LocalAnswer { colour, ..LocalAnswer::default() }), usage: price })
///     }
/// }
/// ```
pub trait Teacher: Send + Sync {
    /// The name in reports, i.e. that of the model.
    fn name(&self, role: Role) -> String;

    /// Everything except the pixels that determines the answer: model, parameters and the whole
    /// prompt. Equal texts about equal images imply equal answers, so each is asked once.
    fn asked(&self, question: &Question<'_>) -> String;

    /// Whether answers are so cheap that they are recomputed and not stored.
    fn is_free(&self, role: Role) -> bool {
        let _ = role;
        false
    }

    /// Whether the teacher can describe a point; asked before points are selected.
    fn can_describe(&self, role: Role, point: &SurveyedPoint) -> bool {
        let _ = (role, point);
        true
    }

    /// The cost of an answer without retries, and with all retries and repairs.
    fn estimate(&self, question: &Question<'_>) -> Estimate {
        let _ = question;
        Estimate::default()
    }

    /// Asks the question. The cost of each call must be reserved with [`RunLimits::reserve`] before
    /// it is made.
    ///
    /// # Errors
    ///
    /// [`TeacherError`]; [`TeacherError::Stopped`] if the run must stop.
    fn ask(&self, question: &Question<'_>, limits: &RunLimits) -> Result<Answered, TeacherError>;
}

/// Bounds on the cost of one question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Estimate {
    /// If the first answer is valid and short.
    pub least: Usage,
    /// If all repairs are needed and every answer has the maximum length.
    pub most: Usage,
}

/// Why there is no answer. The messages contain neither keys nor requests.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages name the fields")]
#[non_exhaustive]
pub enum TeacherError {
    /// The model refuses to answer.
    #[error("the teacher refused: {said}")]
    Refused { said: String },
    /// The answer is empty.
    #[error("the teacher's answer was empty")]
    Empty,
    /// The answer exceeds the token limit.
    #[error("the answer was longer than {max_tokens} tokens; raise max_tokens of the {role} role")]
    CutOff { role: Role, max_tokens: u32 },
    /// No answer has the requested format.
    #[error("no usable answer in {tries} tries: {problem}")]
    BadAnswer { tries: u32, problem: String },
    /// The server rejects this question permanently.
    #[error("the server turned the question down with status {status}: {said}")]
    TurnedDown { status: u16, said: String },
    /// The server returns only errors, or does not respond.
    #[error("no answer in {tries} tries, the last: {last}")]
    Unreachable { tries: u32, last: String },
    /// The image exceeds the size limit.
    #[error(
        "the image needs {bytes} bytes even at its smallest size, at most {max} are allowed; raise image.max_bytes of the {role} role"
    )]
    ImageTooLarge { role: Role, bytes: usize, max: usize },
    /// The image can no longer be decoded.
    #[error("the image cannot be shown to the teacher: {problem}")]
    Image { problem: String },
    /// The description would be ambiguous.
    #[error("several things fit the same words")]
    Ambiguous,
    /// The key is rejected, so every other question would fail as well.
    #[error(
        "endpoint {endpoint} does not accept the key (status {status}); it is taken from the environment variable {variable}"
    )]
    Unauthorized { endpoint: String, status: u16, variable: String },
    /// The environment variable of the key is not set.
    #[error("endpoint {endpoint} needs a key: set the environment variable {variable}")]
    NoKey { endpoint: String, variable: String },
    /// The run must stop before the question is asked.
    #[error("the run was asked to stop")]
    Stopped,
}

impl TeacherError {
    /// The kind of failure, for journals and counts; `None` for errors that do not concern the
    /// question but end the run.
    #[must_use]
    pub fn kind(&self) -> Option<FailureKind> {
        Some(match self {
            Self::Refused { .. } => FailureKind::Refused,
            Self::Empty => FailureKind::Empty,
            Self::CutOff { .. } => FailureKind::CutOff,
            Self::BadAnswer { .. } => FailureKind::BadAnswer,
            Self::TurnedDown { .. } => FailureKind::TurnedDown,
            Self::Unreachable { .. } => FailureKind::Unreachable,
            Self::ImageTooLarge { .. } => FailureKind::ImageTooLarge,
            Self::Image { .. } => FailureKind::Image,
            Self::Ambiguous => FailureKind::Ambiguous,
            Self::Unauthorized { .. } | Self::NoKey { .. } | Self::Stopped => return None,
        })
    }
}

/// The kinds of [`TeacherError`] that concern a single question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The model refuses to answer.
    Refused,
    /// The answer is empty.
    Empty,
    /// The answer exceeds the token limit.
    CutOff,
    /// No answer has the requested format.
    BadAnswer,
    /// The server rejects this question permanently.
    TurnedDown,
    /// The server returns only errors, or does not respond.
    Unreachable,
    /// The image exceeds the size limit.
    ImageTooLarge,
    /// The image can no longer be decoded.
    Image,
    /// The description would be ambiguous.
    Ambiguous,
}

/// The teachers of the three roles.
#[derive(Clone)]
pub struct Teachers([Arc<dyn Teacher>; 3]);

impl Teachers {
    /// One teacher for each role.
    #[must_use]
    pub fn new(
        context: Arc<dyn Teacher>,
        local: Arc<dyn Teacher>,
        organiser: Arc<dyn Teacher>,
    ) -> Self {
        Self([context, local, organiser])
    }

    /// The same teacher in every role.
    #[must_use]
    pub fn one(teacher: impl Teacher + 'static) -> Self {
        let teacher: Arc<dyn Teacher> = Arc::new(teacher);
        Self::new(teacher.clone(), teacher.clone(), teacher)
    }

    /// The rule-based describer in every role.
    #[must_use]
    pub fn rules() -> Self {
        Self::one(tp_data::RulesTeacher)
    }

    /// The teacher of a role.
    #[must_use]
    pub fn of(&self, role: Role) -> &dyn Teacher {
        &*self.0[role as usize]
    }
}

impl fmt::Debug for Teachers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(Role::ALL.map(|role| (role.name(), self.of(role).name(role))))
            .finish()
    }
}
