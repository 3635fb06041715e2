//! Makes a data set of triplets: points on photographs, and texts that lead to them.
//!
//! ```sh
//! talking-points data build --format coco-parts --root DIR --out OUT
//! talking-points data build … --recipe paper --teacher openai --config teachers.toml --plan
//! talking-points data build --paper-teachers > teachers.toml
//! talking-points data build … --shard 1/16 --bucket s3://NAME/PREFIX
//! ```
//!
//! Exit codes: 0 done; 1 an error; 2 wrong flags; 3, 4 and 5 stopped at `--max-calls`, `--max-cost`
//! and `--max-tokens`; 130 stopped by Ctrl-C. What stopped goes on with `--resume`.

mod args;
mod configure;
mod plan_text;
mod printed;
mod progress_line;

use std::{error::Error, io::Write, process::ExitCode, time::Instant};

use talking_points::{ModelDir, core::RgbImage, data::ReadOptions, train::stop_on_ctrl_c};
use tp_builder::{
    Build, BuildOutcome, PAPER_TEACHERS, Report, RunLimits, StopReason, TextLocalizer,
};

pub(crate) use self::args::Args;
use self::{
    plan_text::plan_text,
    printed::{Prepared, spent_text, words_of},
    progress_line::ProgressLine,
};
use crate::output::print_result;

pub(crate) fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    if args.paper_teachers {
        std::io::stdout().write_all(PAPER_TEACHERS.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    let (Some(format), Some(root), Some(out)) = (args.format, &args.root, &args.out) else {
        return Ok(ExitCode::from(2));
    };
    let device = args.device.open()?;
    let recipe = configure::recipe(args)?;
    let (teachers, config) = configure::teachers(args)?;
    let options = configure::options(args, out, config.as_ref())?;
    let strictness = options.strictness;
    let dataset = format.open(root, ReadOptions { strictness, ..ReadOptions::default() })?;
    let models =
        args.localizer.as_ref().map(|folder| ModelDir::open(folder)?.load(&device)).transpose()?;
    let localizer = models.as_ref().map(|models| {
        TextLocalizer::new(&models.run.model, &models.localizer, |image: &RgbImage| {
            models.encode(image)
        })
    });
    let limits = RunLimits::new(configure::budget(args)?, stop_on_ctrl_c()?);
    let (began, listener) = (Instant::now(), ProgressLine::default());
    let listener = |report: &Report| listener.show(report);
    let build = Build {
        dataset: &*dataset,
        recipe: &recipe,
        teachers: &teachers,
        localizer: localizer.as_ref(),
        options: &options,
        limits: &limits,
        listener: &listener,
    };
    if args.plan {
        let Some(plan) = build.plan()? else { return Ok(ExitCode::from(130)) };
        print_result(args.common.json, &plan, || plan_text(&plan))?;
        return Ok(ExitCode::SUCCESS);
    }
    match build.run()? {
        BuildOutcome::Finished(finished) => {
            let prepared = Prepared::new(*finished, began.elapsed().as_secs_f64());
            print_result(args.common.json, &prepared, || prepared.text(out))?;
            prepared.check(out)?;
            Ok(ExitCode::SUCCESS)
        }
        BuildOutcome::Shard(done) => {
            print_result(args.common.json, &done, || {
                format!(
                    "shard done: {} points described, {} not; when all shards are done, run with --merge",
                    done.answered, done.failed
                )
            })?;
            Ok(ExitCode::SUCCESS)
        }
        BuildOutcome::Stopped { reason, spent } => {
            tracing::warn!(
                "stopped: {}; {}; go on with --resume",
                words_of(reason),
                spent_text(&spent)
            );
            Ok(ExitCode::from(exit_code(reason)))
        }
    }
}

fn exit_code(reason: StopReason) -> u8 {
    match reason {
        StopReason::MaxCalls => 3,
        StopReason::MaxCost => 4,
        StopReason::MaxTokens => 5,
        StopReason::Interrupted => 130,
    }
}
