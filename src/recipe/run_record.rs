//! What a training was made from: its recipe, its data, the program and the device, recorded beside
//! its results.

use std::{
    fmt::Write as _,
    io::Write as _,
    path::{Path, PathBuf},
};

use burn::tensor::Device;
use serde::Serialize;
use tp_core::write_atomically;

use super::{
    DataFingerprint, Experiment, ExperimentError, ExperimentReport, Material, Recipe, RecipeError,
};
use crate::RunInfo;

/// The files of a record in the output folder.
const RECIPE: &str = "recipe.toml";
const RECORD: &str = "run.json";
/// The card in the model's folder.
const CARD: &str = "README.md";

/// What a training was made from.
#[derive(Clone, Debug, Serialize)]
pub(super) struct RunRecord {
    /// The version of the program.
    version: String,
    device: String,
    threads: usize,
    seed: u64,
    /// The model folder from which the training started.
    base: Option<String>,
    /// The format of its language model's matrices in memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    base_format: Option<String>,
    /// Other weights with which it started.
    weights: Vec<String>,
    without_families: Vec<String>,
    step_share: f64,
    data: Vec<DataFingerprint>,
    #[serde(skip)]
    recipe: Recipe,
}

impl RunRecord {
    pub(super) fn of(
        experiment: &Experiment,
        material: &Material,
        device: &Device,
    ) -> Result<Self, ExperimentError> {
        let start = &experiment.start;
        let shown = |path: &PathBuf| {
            path.canonicalize().unwrap_or_else(|_| path.clone()).display().to_string()
        };
        let RunInfo { device, threads, .. } = RunInfo::on(device, String::new());
        Ok(Self {
            version: experiment.version.clone(),
            device,
            threads,
            seed: experiment.seed.0,
            base: start.base.as_ref().map(shown),
            base_format: start.blocks.map(|format| format.to_string()),
            weights: [&start.warm_start, &start.backbone, &start.checkpoint, &start.vision]
                .into_iter()
                .flatten()
                .map(shown)
                .collect(),
            without_families: experiment.without_families.clone(),
            step_share: experiment.step_share,
            data: material.fingerprints()?,
            recipe: experiment.recipe.with_absolute_paths(),
        })
    }

    /// Writes the recipe as it is run, with all of its paths, and the record.
    pub(super) fn save(&self, out: &Path) -> Result<(), ExperimentError> {
        let recipe = toml::to_string(&self.recipe).expect("a recipe has a TOML form");
        write(&out.join(RECIPE), &recipe)?;
        let record = serde_json::to_string_pretty(self).expect("a record has a JSON form");
        write(&out.join(RECORD), &format!("{record}\n"))
    }

    /// Writes the card of the model.
    pub(super) fn write_card(
        &self,
        folder: &Path,
        report: &ExperimentReport,
    ) -> Result<(), ExperimentError> {
        write(&folder.join(CARD), &self.card(report))
    }

    fn card(&self, report: &ExperimentReport) -> String {
        let mut card = String::new();
        let mut line = |text: &str| {
            let _ = writeln!(card, "{text}");
        };
        line(&format!("# A model trained by talking-points\n\n{}.\n", self.recipe.about));
        line("| | |\n|---|---|");
        if let Some(base) = &self.base {
            let format = self.base_format.as_ref().map_or(String::new(), |format| {
                format!(", its language model in {format} while it was trained")
            });
            line(&format!("| base | `{base}`{format}; its card states its data and licenses |"));
        }
        for weights in &self.weights {
            line(&format!("| initial weights | `{weights}` |"));
        }
        for DataFingerprint { source, path, sha256 } in &self.data {
            let hash = sha256.as_ref().map_or(String::new(), |hash| format!(", SHA-256 {hash}"));
            line(&format!("| data, source {source} | `{path}`{hash} |"));
        }
        if !self.without_families.is_empty() {
            line(&format!("| excluded families | {} |", self.without_families.join(", ")));
        }
        line(&format!("| program | talking-points {} |", self.version));
        line(&format!("| device | {}, {} threads |", self.device, self.threads));
        line(&format!("| seed | {} |", self.seed));
        line(
            "| license | that of the base and of the data: state it before you publish the model |",
        );
        line("\n| phase | steps | last loss | minutes | kept |\n|---|---|---|---|---|");
        for phase in &report.phases {
            line(&format!(
                "| {} | {} | {:.3} | {:.1} | {} |",
                phase.name,
                phase.steps,
                phase.loss,
                phase.seconds / 60.0,
                if phase.is_kept { "yes" } else { "no" }
            ));
        }
        let Some(scores) = report.scores else {
            line(&format!(
                "\nThe model of this folder is that after {}. It was not evaluated: use `talking-points evaluate`, and `talking-points calibrate` for its probabilities.",
                report.shipped
            ));
            return card;
        };
        line(&format!(
            "\nmPCK on {}, in percent; the model of this folder is that after {}.\n",
            report.held_out, report.shipped
        ));
        line(
            "| | reference descriptions | its own descriptions | shuffled ones |\n|---|---|---|---|",
        );
        let rows = report.before.map(|before| ("base, before training", before)).into_iter();
        for (name, scores) in rows.chain([("this model", scores)]) {
            line(&format!(
                "| {name} | {:.1} | {:.1} | {:.1} |",
                scores.mpck, scores.mpck_ours, scores.mpck_shuffled
            ));
        }
        line(
            "\nProbabilities are calibrated by `talking-points calibrate`, and further scores are computed by `talking-points evaluate`.",
        );
        card
    }
}

fn write(path: &Path, text: &str) -> Result<(), ExperimentError> {
    write_atomically(path, |file| file.write_all(text.as_bytes())).map_err(|source| {
        ExperimentError::from(RecipeError::Write { path: path.to_owned(), source })
    })
}
