//! Estimates before a run: numbers of samples and calls, and bounds on tokens and cost.

use std::{cell::RefCell, collections::BTreeMap};

use serde::Serialize;

use super::{ask::Job, selection::Selection, shard::Shard, statistics::side_name};
use crate::{BuildError, Likeness, Question, Role, Usage};

/// The plan of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Plan {
    /// The number of surveyed images.
    pub images: usize,
    /// The number of points to describe, by split, over all shards.
    pub sides: BTreeMap<String, usize>,
    /// The number of rejected points, by reason.
    pub rejected: BTreeMap<String, usize>,
    /// The number of images and objects skipped by the reader, by reason.
    pub skipped: BTreeMap<String, usize>,
    /// Images that look alike.
    pub likeness: Likeness,
    /// The roles in the order in which they are asked, for this shard.
    pub stages: Vec<StagePlan>,
    /// The total if every first answer is valid and short.
    pub least: Usage,
    /// The total if all retries are needed and every answer has the maximum length.
    pub most: Usage,
}

/// The plan for one role.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct StagePlan {
    /// The role.
    pub role: Role,
    /// The name of the teacher.
    pub teacher: String,
    /// The number of questions that are already answered, or can be answered without cost.
    pub known: usize,
    /// The number of questions to ask.
    pub questions: usize,
    /// The usage if every first answer is valid and short.
    pub least: Usage,
    /// The usage if all retries are needed and every answer has the maximum length.
    pub most: Usage,
}

/// Estimates the cost of the selected points of a shard.
pub(crate) fn plan(job: &Job<'_>, selection: &Selection, shard: Shard) -> Result<Plan, BuildError> {
    let stage = |role: Role| StagePlan {
        role,
        teacher: job.teachers.of(role).name(role),
        known: 0,
        questions: 0,
        least: Usage::default(),
        most: Usage::default(),
    };
    let mut stages: Vec<StagePlan> = Role::ALL.into_iter().map(stage).collect();
    let mut sides = BTreeMap::new();
    for of_image in selection.chosen.chunk_by(|a, b| a.image == b.image) {
        let image = job.image(of_image[0].image)?;
        *sides.entry(side_name(of_image[0].side).to_owned()).or_default() += of_image.len();
        if !shard.owns(&image.sha256) {
            continue;
        }
        let pixels = || job.pixels(&image);
        for chosen in of_image {
            let question = Question {
                role: Role::Context,
                image: &image,
                point: &image.points[chosen.point as usize],
                pixels: &pixels,
                context: None,
                local: None,
            };
            count(job, &question, &mut stages)?;
        }
    }
    let sum = |of: fn(&StagePlan) -> Usage| {
        let total = RefCell::new(Usage::default());
        stages.iter().for_each(|stage| *total.borrow_mut() += of(stage));
        total.into_inner()
    };
    Ok(Plan {
        images: job.survey.images.len(),
        sides,
        rejected: selection.rejected.clone(),
        skipped: job.survey.skipped.clone(),
        likeness: selection.likeness.clone(),
        least: sum(|stage| stage.least),
        most: sum(|stage| stage.most),
        stages,
    })
}

/// Counts the three questions about one point.
fn count(
    job: &Job<'_>,
    question: &Question<'_>,
    stages: &mut [StagePlan],
) -> Result<(), BuildError> {
    let mut known = [false; 2];
    for (stage, role) in stages.iter_mut().zip(Role::ALL) {
        let teacher = job.teachers.of(role);
        let question = Question { role, ..*question };
        let is_known = match role {
            _ if teacher.is_free(role) => true,
            // The organizer's question contains the other answers, so it is unknown without them.
            Role::Organiser if known != [true; 2] => false,
            Role::Organiser => job.organiser_is_known(&question)?,
            Role::Context | Role::Local => job.answers.has(&job.key(&question)),
        };
        if role != Role::Organiser {
            known[role as usize] = is_known;
        }
        if is_known {
            stage.known += 1;
        } else {
            let estimate = teacher.estimate(&question);
            stage.questions += 1;
            stage.least += estimate.least;
            stage.most += estimate.most;
        }
    }
    Ok(())
}
