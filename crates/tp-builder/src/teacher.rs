//! Who writes descriptions: one trait, three roles, as in the paper's section on LlamaPointInPart.
//!
//! The context teacher sees the whole image with the point marked, the local teacher a crop around
//! the point under a Gaussian, and the organiser sees no image: it merges labels, position words
//! and both answers into one text of four layers. The rule describer plays all three without a
//! model ([`RulesTeacher`](tp_data::RulesTeacher)); a server does it through
//! [`OpenAiTeacher`](crate::OpenAiTeacher).

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};
use tp_core::RgbImage;

use crate::{BuildError, RunLimits, SurveyedImage, SurveyedPoint, Usage};

/// What a teacher is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Look at the whole image, in which the point is marked: what is it on, what is around it?
    Context,
    /// Look at the neighbourhood of the point: colour, texture, shape.
    Local,
    /// Merge labels, position words and both answers into one text, from coarse to fine.
    Organiser,
}

impl Role {
    /// All of them, in the order in which they are asked.
    pub const ALL: [Self; 3] = [Self::Context, Self::Local, Self::Organiser];

    /// Its name in configurations and reports.
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

/// One question about one point.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// What is wanted.
    pub role: Role,
    /// The image.
    pub image: &'a SurveyedImage,
    /// The point, and what the annotation and the pixels say of it.
    pub point: &'a SurveyedPoint,
    /// Decodes the image; not called by teachers who do not look.
    pub pixels: &'a (dyn Fn() -> Result<Arc<RgbImage>, BuildError> + Sync),
    /// What the context teacher said; there for the organiser.
    pub context: Option<&'a ContextAnswer>,
    /// What the local teacher said; there for the organiser.
    pub local: Option<&'a LocalAnswer>,
}

/// What the context teacher says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContextAnswer {
    /// The object that the point is on.
    pub object: String,
    /// The part of it.
    pub part: String,
    /// What surrounds it, in a sentence or two.
    pub context: String,
}

/// What the local teacher says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LocalAnswer {
    /// E.g. `dark brown`.
    pub colour: String,
    /// E.g. `matted`.
    pub texture: String,
    /// E.g. `a round spot`.
    pub shape: String,
    /// Whatever else singles the place out.
    pub detail: String,
}

/// What the organiser says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OrganiserAnswer {
    /// The whole text.
    pub description: String,
    /// Its four layers, if the teacher keeps them apart.
    pub layers: Option<Layers>,
}

/// The four layers of a description, from coarse to fine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layers {
    /// The object, and where it is in the image.
    pub object: String,
    /// The part, and where it is on the object.
    pub part: String,
    /// The point, relative to the part.
    pub point: String,
    /// What the place looks like.
    pub appearance: String,
}

/// An answer to one question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "snake_case")]
pub enum Answer {
    /// Of [`Role::Context`].
    Context(ContextAnswer),
    /// Of [`Role::Local`].
    Local(LocalAnswer),
    /// Of [`Role::Organiser`].
    Organiser(OrganiserAnswer),
}

/// An answer, and what it cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answered {
    /// The answer.
    pub answer: Answer,
    /// Calls, tokens and cost, failed tries included.
    pub usage: Usage,
}

/// Writes, or helps to write, the description of a point.
///
/// A teacher that costs something books every call with [`RunLimits::reserve`]; it is what keeps a
/// run within its budget.
///
/// # Example
///
/// A person who looks at points for five cents each:
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
///         // Here the person is asked; these are the measured words.
///         let colour = question.point.record.colour.clone();
///         reservation.settle(price);
///         Ok(Answered { answer: Answer::Local(LocalAnswer { colour, ..LocalAnswer::default() }), usage: price })
///     }
/// }
/// ```
pub trait Teacher: Send + Sync {
    /// Its name in reports: the model.
    fn name(&self, role: Role) -> String;

    /// Everything but the pixels that decides the answer: model, parameters, the whole prompt.
    /// Equal texts about equal images promise equal answers, so an answer is asked for once.
    fn asked(&self, question: &Question<'_>) -> String;

    /// Whether an answer is so cheap that it is worked out again rather than kept.
    fn is_free(&self, role: Role) -> bool {
        let _ = role;
        false
    }

    /// Whether the teacher could answer at all; asked before points are chosen, so that none is
    /// chosen in vain.
    fn can_describe(&self, role: Role, point: &SurveyedPoint) -> bool {
        let _ = (role, point);
        true
    }

    /// The most that an answer may cost if nothing has to be tried again, and the most with all
    /// repairs.
    fn estimate(&self, question: &Question<'_>) -> Estimate {
        let _ = question;
        Estimate::default()
    }

    /// Asks. What it costs is booked with [`RunLimits::reserve`] before it is spent, one call at a
    /// time.
    ///
    /// # Errors
    ///
    /// [`TeacherError`]; [`TeacherError::Stopped`] where nothing may be booked any more.
    fn ask(&self, question: &Question<'_>, limits: &RunLimits) -> Result<Answered, TeacherError>;
}

/// Bounds of what one question costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Estimate {
    /// If the first answer is good and short.
    pub least: Usage,
    /// If every repair is needed and every answer as long as allowed.
    pub most: Usage,
}

/// Why there is no answer. The texts hold no key and no request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages name the fields")]
#[non_exhaustive]
pub enum TeacherError {
    /// The model does not want to.
    #[error("the teacher refused: {said}")]
    Refused { said: String },
    /// Nothing came.
    #[error("the teacher's answer was empty")]
    Empty,
    /// The answer did not fit.
    #[error("the answer was longer than {max_tokens} tokens; raise max_tokens of the {role} role")]
    CutOff { role: Role, max_tokens: u32 },
    /// No answer of the asked shape.
    #[error("no usable answer in {tries} tries: {problem}")]
    BadAnswer { tries: u32, problem: String },
    /// The server will not take this question, now or later.
    #[error("the server turned the question down with status {status}: {said}")]
    TurnedDown { status: u16, said: String },
    /// Nothing but errors and silence.
    #[error("no answer in {tries} tries, the last: {last}")]
    Unreachable { tries: u32, last: String },
    /// More bytes than are sent.
    #[error(
        "the image needs {bytes} bytes even when it is small, at most {max} are sent; raise image.max_bytes of the {role} role"
    )]
    ImageTooLarge { role: Role, bytes: usize, max: usize },
    /// An image that cannot be decoded any more.
    #[error("the image cannot be shown to the teacher: {problem}")]
    Image { problem: String },
    /// Several things fit the words.
    #[error("several things fit the same words")]
    Ambiguous,
    /// The key is wrong; every other question would fail, too.
    #[error(
        "endpoint {endpoint} does not accept the key (status {status}); it is taken from the environment variable {variable}"
    )]
    Unauthorized { endpoint: String, status: u16, variable: String },
    /// A key that is not there.
    #[error("endpoint {endpoint} needs a key: set the environment variable {variable}")]
    NoKey { endpoint: String, variable: String },
    /// The run is to stop before the question is asked.
    #[error("the run was asked to stop")]
    Stopped,
}

impl TeacherError {
    /// Its kind, for journals and counts; `None` if it says nothing about the question but ends the
    /// run.
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

/// The kinds of [`TeacherError`] that concern one question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The model does not want to.
    Refused,
    /// Nothing came.
    Empty,
    /// The answer did not fit.
    CutOff,
    /// No answer of the asked shape.
    BadAnswer,
    /// The server will not take this question.
    TurnedDown,
    /// Nothing but errors and silence.
    Unreachable,
    /// More bytes than are sent.
    ImageTooLarge,
    /// An image that cannot be decoded any more.
    Image,
    /// Several things fit the words.
    Ambiguous,
}

/// Who plays which role.
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

    /// The rule describer in every role.
    #[must_use]
    pub fn rules() -> Self {
        Self::one(tp_data::RulesTeacher)
    }

    /// Who plays a role.
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
