//! What a run will ask, before it asks: samples, calls, and bounds of tokens and cost.

use std::{cell::RefCell, collections::BTreeMap};

use serde::Serialize;

use super::{ask::Job, selection::Selection, shard::Shard, statistics::side_name};
use crate::{BuildError, Likeness, Question, Role, Usage};

/// What a run would do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// Images that were surveyed.
    pub images: usize,
    /// Points that would be described, by side; all shards together.
    pub sides: BTreeMap<String, usize>,
    /// Points that would not, by reason.
    pub rejected: BTreeMap<String, usize>,
    /// What was left out of the data set when it was read, by reason.
    pub skipped: BTreeMap<String, usize>,
    /// Pictures that look the same.
    pub likeness: Likeness,
    /// The roles, in the order in which they are asked; of this shard alone.
    pub stages: Vec<StagePlan>,
    /// All stages together, if every first answer is good and short.
    pub least: Usage,
    /// All stages together, if everything is tried as often, and every answer as long, as allowed.
    pub most: Usage,
}

/// What one role would be asked.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StagePlan {
    /// The role.
    pub role: Role,
    /// Who plays it.
    pub teacher: String,
    /// Questions that are answered already, or answered for nothing.
    pub known: usize,
    /// Questions that would be asked.
    pub questions: usize,
    /// If every first answer is good and short.
    pub least: Usage,
    /// If everything is tried as often, and every answer as long, as allowed.
    pub most: Usage,
}

/// Adds up what the selected points of a shard would cost.
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
            // The organiser's question holds the others' answers: without them it is not known yet.
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
