//! The second stage: teachers are asked about every chosen point, role after role, and what they
//! say is filed.
//!
//! Context and local answers are parts of the organiser's question, so another prompt of the
//! organiser leaves their keys as they are: only its own questions are asked again.

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

/// What the stages that come after the survey share.
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

/// How many points of the shard have all answers, and how many have not.
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
        // The organiser does not look; two pictures with equal words are one question.
        let sha256 =
            if question.role == Role::Organiser { [0; 32] } else { *question.image.sha256.bytes() };
        ContentKey::of_parts(&[
            b"answer 1",
            question.role.name().as_bytes(),
            asked.as_bytes(),
            &sha256,
        ])
    }

    /// Goes through the roles of a point; `find` gives each answer, or why there is none.
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

    /// The answers that are there, asking only those who answer for nothing; the role that has none
    /// otherwise.
    pub(crate) fn known_answers(
        &self,
        image: &SurveyedImage,
        point: usize,
    ) -> Result<Result<PointAnswers, Missing>, BuildError> {
        let limits = RunLimits::default();
        let pixels = || self.pixels(image);
        let find = |question: &Question<'_>| {
            let teacher = self.teachers.of(question.role);
            if teacher.is_free(question.role) {
                let missing = |error: TeacherError| {
                    Step::Missing(Missing { role: question.role, failed: error.kind() })
                };
                return teacher
                    .ask(question, &limits)
                    .map(|answered| answered.answer)
                    .map_err(missing);
            }
            let key = self.key(question);
            match self.answers.get(&key).map_err(Step::Broken)? {
                Some(answered) => Ok(answered.answer),
                None => Err(Step::Missing(Missing {
                    role: question.role,
                    failed: self.answers.failure(&key),
                })),
            }
        };
        match self.answers_of(image, point, &pixels, find, |role| {
            Step::Missing(Missing { role, failed: None })
        }) {
            Ok(answers) => Ok(Ok(answers)),
            Err(Step::Missing(missing)) => Ok(Err(missing)),
            Err(Step::Broken(error)) => Err(error),
        }
    }

    /// Whether the organiser's question about a point is answered; both others are.
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

/// The role at which a point has no answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Missing {
    pub(crate) role: Role,
    /// How it failed, if it was asked.
    pub(crate) failed: Option<crate::FailureKind>,
}

enum Step {
    Missing(Missing),
    Broken(BuildError),
}

/// As much of a record as is needed to find the image's file.
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

/// An image whose points are being asked about; decoded once, when the first teacher looks.
struct OpenImage {
    image: SurveyedImage,
    pixels: OnceLock<Result<Arc<RgbImage>, String>>,
}

/// Hands out points, image after image, so that only the images under way are in memory.
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

/// The points that lack an answer.
pub(crate) fn pending(job: &Job<'_>, chosen: &[Chosen]) -> Result<Vec<Chosen>, BuildError> {
    let mut found = Vec::new();
    for of_image in chosen.chunk_by(|a, b| a.image == b.image) {
        let image = job.image(of_image[0].image)?;
        for chosen in of_image {
            if job.known_answers(&image, chosen.point as usize)?.is_err() {
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
    /// After so many failures without a success the teachers are taken to be down, and the run
    /// stops.
    pub(crate) max_failures_in_row: usize,
}

/// Asks about every chosen point of a shard. `None` if the run was asked to stop before its end.
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
        // Others may be waiting for a server that does not come back.
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
                Ok(Ok(())) => in_row.store(0, Ordering::Relaxed),
                Ok(Err(TeacherError::Stopped)) => stopped_early.store(true, Ordering::SeqCst),
                Ok(Err(error)) if error.kind().is_none() => {
                    return give_up(BuildError::Teacher { source: error });
                }
                Ok(Err(error)) => {
                    failed.fetch_add(1, Ordering::Relaxed);
                    // A refusal is an opinion; silence is a sign that nobody is there.
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
                Err(error) => return give_up(error),
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

/// Asks all roles about one point, and files what they say.
fn ask_about(
    job: &Job<'_>,
    open: &OpenImage,
    point: usize,
    limits: &RunLimits,
) -> Result<Result<(), TeacherError>, BuildError> {
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
                .map_err(AskStep::Failed);
        }
        let claim = match job.answers.claim(job.key(question)).map_err(AskStep::Broken)? {
            Claim::Known(answered) => return Ok(answered.answer),
            Claim::Open(claim) => claim,
        };
        match teacher.ask(question, limits) {
            Ok(answered) => {
                claim.done(&answered).map_err(AskStep::Broken)?;
                Ok(answered.answer)
            }
            Err(error) => {
                if let Some(kind) = error.kind() {
                    claim
                        .failed(&Failure { kind, why: error.to_string() })
                        .map_err(AskStep::Broken)?;
                }
                Err(AskStep::Failed(error))
            }
        }
    };
    let mixed_up = |role| {
        AskStep::Failed(TeacherError::BadAnswer {
            tries: 1,
            problem: format!("the answer is not one of the {role} role"),
        })
    };
    match job.answers_of(&open.image, point, &pixels, find, mixed_up) {
        Ok(_) => Ok(Ok(())),
        Err(AskStep::Failed(error)) => Ok(Err(error)),
        Err(AskStep::Broken(error)) => Err(error),
    }
}

enum AskStep {
    Failed(TeacherError),
    Broken(BuildError),
}
