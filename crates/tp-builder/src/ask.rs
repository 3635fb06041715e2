//! The second stage: asks the teachers about every chosen point, role by role, and stores the
//! answers.
//!
//! The context and local answers are part of the organizer's question. A changed prompt of the
//! organizer leaves their keys unchanged, so only the organizer is asked again.

use std::sync::{
    Arc, Mutex, OnceLock, PoisonError,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use tp_core::RgbImage;

use super::{
    journal::{Claim, Failure, Journal},
    progress::{BuildStage, Progress},
    selection::Chosen,
    shard::Shard,
    survey::Survey,
};
use crate::{
    Answer, Answered, BuildError, ContentKey, ContextAnswer, LocalAnswer, OrganiserAnswer,
    Question, Role, RunLimits, SurveyedImage, TeacherError, Teachers,
};
use tp_data::{AnnotatedImage, Dataset};

/// The inputs shared by the stages after the survey.
#[derive(Clone, Copy)]
pub(crate) struct Job<'a> {
    pub(crate) dataset: &'a dyn Dataset,
    pub(crate) survey: &'a Survey,
    pub(crate) images: &'a Journal<SurveyedImage>,
    pub(crate) answers: &'a Journal<Answered>,
    pub(crate) teachers: &'a Teachers,
}

/// The answers about one point.
#[derive(Clone, Debug)]
pub(crate) struct PointAnswers {
    pub(crate) context: ContextAnswer,
    pub(crate) local: LocalAnswer,
    pub(crate) organiser: OrganiserAnswer,
}

/// The numbers of points of the shard with and without a complete set of answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) answered: usize,
    pub(crate) failed: usize,
}

impl<'a> Job<'a> {
    /// The survey of an image.
    pub(crate) fn image(&self, index: u32) -> Result<SurveyedImage, BuildError> {
        let key = &self.survey.images[index as usize];
        self.images
            .get(key)?
            .ok_or_else(|| BuildError::Incomplete { what: format!("the survey of image {index}") })
    }

    /// The key of a question.
    pub(crate) fn key(&self, question: &Question<'_>) -> ContentKey {
        let asked = self.teachers.of(question.role).asked(question);
        // The organizer sees no image, so equal texts about two images are the same question.
        let sha256 =
            if question.role == Role::Organiser { [0; 32] } else { *question.image.sha256.bytes() };
        ContentKey::of_parts(&[
            b"answer 1",
            question.role.name().as_bytes(),
            asked.as_bytes(),
            &sha256,
        ])
    }

    /// Visits the roles of a point in order; `find` returns each answer, or why there is none.
    pub(crate) fn answers_of<E>(
        &self,
        image: &SurveyedImage,
        point: usize,
        pixels: &(dyn Fn() -> Result<Arc<RgbImage>, BuildError> + Sync),
        mut find: impl FnMut(&Question<'_>) -> Result<Answer, E>,
        mixed_up: impl Fn(Role) -> E,
    ) -> Result<PointAnswers, E> {
        let question = Question {
            role: Role::Context,
            image,
            point: &image.points[point],
            pixels,
            context: None,
            local: None,
        };
        let Answer::Context(context) = find(&question)? else {
            return Err(mixed_up(Role::Context));
        };
        let Answer::Local(local) = find(&Question { role: Role::Local, ..question })? else {
            return Err(mixed_up(Role::Local));
        };
        let last = Question {
            role: Role::Organiser,
            context: Some(&context),
            local: Some(&local),
            ..question
        };
        let Answer::Organiser(organiser) = find(&last)? else {
            return Err(mixed_up(Role::Organiser));
        };
        Ok(PointAnswers { context, local, organiser })
    }

    /// The stored answers, computing those that cost nothing; otherwise the first role without an
    /// answer.
    pub(crate) fn known_answers(
        &self,
        image: &SurveyedImage,
        point: usize,
    ) -> Result<KnownAnswers, BuildError> {
        let limits = RunLimits::default();
        let pixels = || self.pixels(image);
        let find = |question: &Question<'_>| {
            let teacher = self.teachers.of(question.role);
            if teacher.is_free(question.role) {
                let missing = |error: TeacherError| {
                    let missing = MissingAnswer { role: question.role, failed: error.kind() };
                    NoAnswer::Missing(missing)
                };
                return teacher
                    .ask(question, &limits)
                    .map(|answered| answered.answer)
                    .map_err(missing);
            }
            let key = self.key(question);
            match self.answers.get(&key).map_err(NoAnswer::Broken)? {
                Some(answered) => Ok(answered.answer),
                None => Err(NoAnswer::Missing(MissingAnswer {
                    role: question.role,
                    failed: self.answers.failure(&key),
                })),
            }
        };
        match self.answers_of(image, point, &pixels, find, |role| {
            NoAnswer::Missing(MissingAnswer { role, failed: None })
        }) {
            Ok(answers) => Ok(KnownAnswers::All(Box::new(answers))),
            Err(NoAnswer::Missing(missing)) => Ok(KnownAnswers::Missing(missing)),
            Err(NoAnswer::Broken(error)) => Err(error),
        }
    }

    /// Whether the organizer's question about a point has been answered; the other two must have
    /// been.
    pub(crate) fn organiser_is_known(&self, question: &Question<'_>) -> Result<bool, BuildError> {
        let limits = RunLimits::default();
        let answer = |role| -> Result<Option<Answer>, BuildError> {
            let question = Question { role, ..*question };
            let teacher = self.teachers.of(role);
            if teacher.is_free(role) {
                return Ok(teacher.ask(&question, &limits).ok().map(|answered| answered.answer));
            }
            Ok(self.answers.get(&self.key(&question))?.map(|answered| answered.answer))
        };
        let (Some(Answer::Context(context)), Some(Answer::Local(local))) =
            (answer(Role::Context)?, answer(Role::Local)?)
        else {
            return Ok(false);
        };
        let question = Question {
            role: Role::Organiser,
            context: Some(&context),
            local: Some(&local),
            ..*question
        };
        Ok(self.answers.has(&self.key(&question)))
    }

    /// Decodes an image.
    pub(crate) fn pixels(&self, image: &SurveyedImage) -> Result<Arc<RgbImage>, BuildError> {
        Ok(Arc::new(self.dataset.decode(&named(image))?))
    }
}

/// The stored answers about a point.
pub(crate) enum KnownAnswers {
    /// Every role has answered.
    All(Box<PointAnswers>),
    /// The first role that has not.
    Missing(MissingAnswer),
}

/// A role that has not answered about a point.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MissingAnswer {
    pub(crate) role: Role,
    /// The kind of failure, if it was asked.
    pub(crate) failed: Option<crate::FailureKind>,
}

/// Why a stored answer was not found.
enum NoAnswer {
    Missing(MissingAnswer),
    Broken(BuildError),
}

/// The part of a record that is needed to find the image file.
pub(crate) fn named(image: &SurveyedImage) -> AnnotatedImage {
    AnnotatedImage {
        name: image.name.clone(),
        size: image.size,
        objects: Vec::new(),
        split: image.split,
        group: image.group.clone(),
        source: image.source.clone(),
        licence: None,
        described: Vec::new(),
    }
}

/// An image that is being asked about; decoded once, when a teacher first needs the pixels.
struct OpenImage {
    image: SurveyedImage,
    pixels: OnceLock<Result<Arc<RgbImage>, String>>,
}

/// Hands out points image by image, so that only the current images are in memory.
struct Queue<'a> {
    job: Job<'a>,
    chosen: std::slice::Iter<'a, Chosen>,
    open: Option<(u32, Arc<OpenImage>)>,
}

impl Queue<'_> {
    fn next(&mut self) -> Result<Option<(Arc<OpenImage>, usize)>, BuildError> {
        let Some(chosen) = self.chosen.next() else { return Ok(None) };
        let open = match &self.open {
            Some((index, open)) if *index == chosen.image => open.clone(),
            _ => {
                let open = Arc::new(OpenImage {
                    image: self.job.image(chosen.image)?,
                    pixels: OnceLock::new(),
                });
                self.open = Some((chosen.image, open.clone()));
                open
            }
        };
        Ok(Some((open, chosen.point as usize)))
    }
}

/// The points of a shard.
pub(crate) fn owned(
    job: &Job<'_>,
    chosen: &[Chosen],
    shard: Shard,
) -> Result<Vec<Chosen>, BuildError> {
    let mut found = Vec::new();
    for of_image in chosen.chunk_by(|a, b| a.image == b.image) {
        if shard.owns(&job.image(of_image[0].image)?.sha256) {
            found.extend_from_slice(of_image);
        }
    }
    Ok(found)
}

/// The points with missing answers.
pub(crate) fn pending(job: &Job<'_>, chosen: &[Chosen]) -> Result<Vec<Chosen>, BuildError> {
    let mut found = Vec::new();
    for of_image in chosen.chunk_by(|a, b| a.image == b.image) {
        let image = job.image(of_image[0].image)?;
        for chosen in of_image {
            let answers = job.known_answers(&image, chosen.point as usize)?;
            if matches!(answers, KnownAnswers::Missing(_)) {
                found.push(*chosen);
            }
        }
    }
    Ok(found)
}

/// How the questions are asked.
pub(crate) struct AskOptions {
    pub(crate) n_threads: usize,
    pub(crate) shard: Shard,
    /// The number of consecutive failures after which the teachers are considered unreachable and
    /// the run stops.
    pub(crate) max_failures_in_row: usize,
}

/// Asks about every chosen point of a shard. `None` if the run was stopped before the end.
pub(crate) fn ask(
    job: Job<'_>,
    chosen: &[Chosen],
    options: &AskOptions,
    limits: &RunLimits,
    progress: &Progress<'_>,
) -> Result<Option<Asked>, BuildError> {
    let chosen = owned(&job, chosen, options.shard)?;
    if Role::ALL.iter().all(|&role| job.teachers.of(role).is_free(role)) {
        return Ok(Some(Asked { answered: chosen.len(), failed: 0 }));
    }
    let pending = pending(&job, &chosen)?;
    progress.begin(BuildStage::Ask, pending.len());
    let queue = Mutex::new(Queue { job, chosen: pending.iter(), open: None });
    let stopped_early = AtomicBool::new(false);
    let fatal: Mutex<Option<BuildError>> = Mutex::new(None);
    let (failed, in_row) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let give_up = |error: BuildError| {
        fatal.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        stopped_early.store(true, Ordering::SeqCst);
        // Other threads may be waiting for a server that is unreachable.
        limits.abandon(true);
    };
    let work = || {
        while !stopped_early.load(Ordering::SeqCst) {
            if limits.stop_reason().is_some() {
                stopped_early.store(true, Ordering::SeqCst);
                break;
            }
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            let (open, point) = match next {
                Ok(Some(next)) => next,
                Ok(None) => break,
                Err(error) => return give_up(error),
            };
            match ask_about(&job, &open, point, limits) {
                Ok(()) => in_row.store(0, Ordering::Relaxed),
                Err(AskError::Teacher(TeacherError::Stopped)) => {
                    stopped_early.store(true, Ordering::SeqCst);
                }
                Err(AskError::Teacher(error)) if error.kind().is_none() => {
                    return give_up(BuildError::Teacher { source: error });
                }
                Err(AskError::Teacher(error)) => {
                    failed.fetch_add(1, Ordering::Relaxed);
                    // A refusal is an answer; only silence suggests an unreachable server.
                    let is_down = matches!(
                        error,
                        TeacherError::Unreachable { .. } | TeacherError::TurnedDown { .. }
                    );
                    if is_down
                        && in_row.fetch_add(1, Ordering::Relaxed) + 1 >= options.max_failures_in_row
                    {
                        return give_up(BuildError::TeachersDown {
                            failures: options.max_failures_in_row,
                            source: error,
                        });
                    }
                }
                Err(AskError::Build(error)) => return give_up(error),
            }
            progress.advance(BuildStage::Ask);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..options.n_threads.max(1) {
            scope.spawn(work);
        }
    });
    limits.abandon(false);
    job.answers.sync()?;
    if let Some(error) = fatal.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    let failed = failed.into_inner();
    let asked = Asked { answered: chosen.len() - failed, failed };
    Ok((!stopped_early.into_inner()).then_some(asked))
}

/// Asks all roles about one point, and stores their answers.
fn ask_about(
    job: &Job<'_>,
    open: &OpenImage,
    point: usize,
    limits: &RunLimits,
) -> Result<(), AskError> {
    let pixels = || {
        let decoded =
            open.pixels.get_or_init(|| job.pixels(&open.image).map_err(|error| error.to_string()));
        decoded.clone().map_err(|problem| BuildError::Incomplete { what: problem })
    };
    let find = |question: &Question<'_>| {
        let teacher = job.teachers.of(question.role);
        if teacher.is_free(question.role) {
            return teacher
                .ask(question, limits)
                .map(|answered| answered.answer)
                .map_err(AskError::Teacher);
        }
        let claim = match job.answers.claim(job.key(question)).map_err(AskError::Build)? {
            Claim::Known(answered) => return Ok(answered.answer),
            Claim::Open(claim) => claim,
        };
        match teacher.ask(question, limits) {
            Ok(answered) => {
                claim.done(&answered).map_err(AskError::Build)?;
                Ok(answered.answer)
            }
            Err(error) => {
                if let Some(kind) = error.kind() {
                    claim
                        .failed(&Failure { kind, why: error.to_string() })
                        .map_err(AskError::Build)?;
                }
                Err(AskError::Teacher(error))
            }
        }
    };
    let mixed_up = |role| {
        AskError::Teacher(TeacherError::BadAnswer {
            tries: 1,
            problem: format!("the answer is not one of the {role} role"),
        })
    };
    job.answers_of(&open.image, point, &pixels, find, mixed_up).map(drop)
}

/// Why a point has no answers after asking.
enum AskError {
    /// A teacher did not answer.
    Teacher(TeacherError),
    /// The build cannot continue.
    Build(BuildError),
}
