//! The held-out images on which the phases of a training are compared.

use std::sync::Arc;

use tp_core::{DescribeOptions, Seed, Style};
use tp_language::Tokenizer;
use tp_train::Evaluation;
use tp_vision::Nouns;

use super::{ExperimentError, Material, Recipe, SampleSource, experiment_report::Scores};
use crate::{
    Models, Network, NetworkConfig, RunInfo,
    evaluation::{EvalSet, EvaluationError, RowName, evaluate_rows, mpck},
};

/// The points on each image on which phases are evaluated.
const POINTS_PER_IMAGE: usize = 4;
/// The longest description, in tokens.
const MAX_NEW_TOKENS: usize = 80;

/// The images and points of the recipe's held-out set. Scenes are used if the recipe names no
/// source, or if nothing is held out from it.
///
/// # Errors
///
/// [`ExperimentError`] if a file cannot be read.
pub(super) fn held_out_set(
    recipe: &Recipe,
    material: &Material,
    image_size: u32,
    seed: Seed,
) -> Result<EvalSet, ExperimentError> {
    let (seed, style) = (seed.split("judge"), Style::CoarseToFine);
    let n_images = recipe.evaluate_points.div_ceil(POINTS_PER_IMAGE) as u64;
    if n_images == 0 {
        return Ok(EvalSet { name: "no images".into(), images: Vec::new(), upright_images: 0 });
    }
    if let Some(name) = &recipe.evaluate_on {
        if let Some(source) = material.held_out(name, image_size)? {
            // A small source has no more images than one epoch of it.
            let n_images = source.draws_per_epoch(1).map_or(n_images, |all| n_images.min(all));
            let of_source = format!("held-out images of {name}");
            let set = EvalSet::drawn(&of_source, &source, n_images, POINTS_PER_IMAGE, style, seed);
            if set.n_points() > 0 {
                return Ok(set);
            }
        }
        tracing::warn!(
            "no image is held out from the source {name}: phases are compared on scenes"
        );
    }
    let scenes = material.scenes()?;
    Ok(EvalSet::drawn("held-out scenes", &scenes, n_images, POINTS_PER_IMAGE, style, seed))
}

/// Evaluates a network that is being trained.
pub(super) struct Evaluator<'a> {
    pub(super) config: &'a NetworkConfig,
    pub(super) tokenizer: &'a Arc<Tokenizer>,
    pub(super) nouns: Option<&'a Arc<Nouns>>,
    pub(super) set: &'a EvalSet,
}

impl Evaluator<'_> {
    /// As [`evaluate`](Self::evaluate); an evaluation that fails is reported and counts as the worst.
    pub(super) fn evaluate_or_warn(&self, network: Network) -> Evaluation {
        self.evaluate(network).unwrap_or_else(|error| {
            tracing::warn!("the model could not be evaluated: {error}");
            nothing_found()
        })
    }

    /// mPCK on the set: with the reference descriptions (the score), with shuffled ones, and with the
    /// model's own.
    pub(super) fn evaluate(&self, network: Network) -> Result<Evaluation, EvaluationError> {
        if self.set.images.is_empty() {
            return Ok(nothing_found());
        }
        let run = RunInfo::on(&network.decoder.embed_tokens.weight.val().device(), String::new());
        let mut models = Models::new(
            network,
            self.config.clone(),
            self.tokenizer.clone(),
            self.nouns.cloned(),
            run,
        );
        // Closer looks are independent of training and would double the cost.
        models.localizer = models.localizer.without_closer_look();
        let rows =
            [RowName::Reference, RowName::ReferenceRegress, RowName::Shuffled, RowName::Ours];
        let how = DescribeOptions { max_new_tokens: MAX_NEW_TOKENS, ..Default::default() };
        let answers = evaluate_rows(&models, self.set, &rows, None, &how, |_| {})?.answers;
        let score = |row: RowName| mpck(self.set, &answers[&row]).ok().flatten().unwrap_or(0.0);
        let readings = vec![
            ("regress".to_owned(), score(RowName::ReferenceRegress)),
            ("shuffled".to_owned(), score(RowName::Shuffled)),
            ("ours".to_owned(), score(RowName::Ours)),
        ];
        Ok(Evaluation { score: score(RowName::Reference), readings })
    }
}

/// The evaluation of a model that finds nothing.
fn nothing_found() -> Evaluation {
    let readings = ["regress", "shuffled", "ours"].map(|name| (name.to_owned(), 0.0));
    Evaluation { score: 0.0, readings: readings.into() }
}

/// The scores in an evaluation.
pub(super) fn scores(evaluation: &Evaluation) -> Scores {
    Scores {
        mpck: evaluation.score,
        mpck_ours: reading(evaluation, "ours"),
        mpck_shuffled: reading(evaluation, "shuffled"),
    }
}

/// The criterion for choosing between phases: how well the reference descriptions are located, plus
/// how well the model's own are.
pub(super) fn both_ways(evaluation: &Evaluation) -> f64 {
    evaluation.score + reading(evaluation, "ours")
}

fn reading(evaluation: &Evaluation, name: &str) -> f64 {
    evaluation
        .readings
        .iter()
        .find(|(known, _)| known == name)
        .map_or(f64::NAN, |&(_, value)| value)
}
