//! Evaluates a model: the closed loop, its upper bound, and baselines that separate image evidence
//! from text priors.
//!
//! ```sh
//! talking-points evaluate --set scenes --points 400 --out runs/evaluation
//! talking-points evaluate --set data/everyday_points --rows reference,ours --sigma 0.02,0.05 --out runs/widths
//! talking-points evaluate --set data/everyday_points --texts people.jsonl --out runs/people
//! ```

mod args;

use std::error::Error;

use serde::Serialize;
use talking_points::{
    RunInfo,
    core::Seed,
    evaluation::{Judgement, NameAccuracy, WordAccuracy},
    metrics::BriefReport,
};

pub(crate) use self::args::Args;
use crate::output::print_result;

#[derive(Serialize)]
struct Printed {
    #[serde(flatten)]
    report: BriefReport,
    words: Option<WordAccuracy>,
    names: Option<NameAccuracy>,
    run: RunInfo,
}

pub(crate) fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let seed = Seed(args.common.seed);
    let models = args.model.load()?;
    let set = args.open_set(seed)?;
    let (rows, n_images) = (args.open_rows(&set)?, set.images.len());
    let is_described = args.set.join("labels.jsonl").exists();
    let judged = Judgement::of(&models, &set, &rows, is_described, seed, |done| {
        if done % 25 == 0 || done == n_images {
            tracing::info!("{done} of {n_images} images");
        }
    })?;
    if let Err(leak) = judged.check_leak() {
        tracing::warn!("{leak}");
    }
    judged.save(&set, &args.out)?;
    let printed = Printed {
        report: judged.report.brief(),
        words: judged.words,
        names: judged.names,
        run: models.run.clone(),
    };
    print_result(args.common.json, &printed, || {
        let file = |name: &str| args.out.join(name).display().to_string();
        format!("{judged}\nreport: {}\npage: {}", file("report.md"), file("index.html"))
    })
}
