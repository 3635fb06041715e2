//! Reinforces the Descriptor on a reward that is easy to raise, the length of its texts, and names
//! the faulty step if it does not rise.
//!
//! ```sh
//! talking-points reinforce doctor
//! ```

use std::error::Error;

use serde::Serialize;
use talking_points::{
    core::{Seed, Style},
    reinforcement::{DescriptorPolicy, LocalizerJudge, SeenPoints, family_scenes},
    rl::{
        GrpoConfig, GrpoParts, Length, LinkDiagnosis, LossOptions, Reward, RlError, StyleMonitor,
        Trainer, broken_at, examine,
    },
    train::{Schedule, TrainConfig},
};

use crate::{
    args::{CommonArgs, ModelArgs},
    output::print_result,
};

/// Finds the faulty step between sampling and a better policy.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// Updates; the reward is compared between the first and the last quarter.
    #[arg(long, allow_negative_numbers = true, default_value_t = 20, value_parser = clap::value_parser!(u64).range(4..=1000))]
    steps: u64,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Serialize)]
struct Report {
    links: Vec<LinkDiagnosis>,
}

pub(crate) fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let seed = Seed(args.common.seed);
    let models = args.model.load()?;
    let side = u32::try_from(models.config.vision.image_size)?;
    let set = family_scenes("Bovidae", side, 8, 2, seed.split("doctor"))?;
    let (policy, judge, source) = (
        DescriptorPolicy::new(&models, Style::Terse),
        LocalizerJudge::new(&models),
        SeenPoints::new(&models, &set),
    );
    let (reward, style) = (Reward::nothing().plus(1.0, Length), StyleMonitor::default());
    let schedule = Schedule { peak: 2e-3, warmup: 0, steps: args.steps, floor: 1.0 };
    let config = GrpoConfig {
        group_size: 8,
        images_per_step: 4,
        // Terse texts have some 35 tokens: there is room to grow.
        max_new_tokens: 60,
        loss: LossOptions { beta: 0.0, ..Default::default() },
        training: TrainConfig {
            weight_decay: 0.0,
            ..TrainConfig::new("doctor", schedule, seed.split("doctor run"))
        },
        ..GrpoConfig::paper(args.steps, seed)
    };
    let parts = GrpoParts {
        policy: &policy,
        judge: &judge,
        source: &source,
        reward: &reward,
        style: &style,
    };
    let links = match Trainer::new(parts, config, DescriptorPolicy::weights(&models)) {
        Ok(trainer) => examine(trainer, args.steps as usize)?,
        Err(RlError::BrokenLink { link, evidence, .. }) => broken_at(link, &evidence),
        Err(error) => return Err(error.into()),
    };
    let broken = links.iter().find(|finding| !finding.ok).map(|finding| finding.name);
    let report = Report { links };
    print_result(args.common.json, &report, || {
        let line = |finding: &LinkDiagnosis| {
            format!(
                "{} {:<10} {}",
                if finding.ok { "ok" } else { "NO" },
                finding.name,
                finding.evidence
            )
        };
        report.links.iter().map(line).collect::<Vec<_>>().join("\n")
    })?;
    broken.map_or(Ok(()), |link| Err(format!("the {link} link is broken").into()))
}
