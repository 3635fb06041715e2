//! Two steps of GRPO: the Descriptor samples descriptions, the frozen Localizer locates them, and
//! the distance gives the reward.

#![expect(clippy::print_stdout, reason = "an example prints")]

use std::path::Path;

use talking_points::{
    core::{Seed, Style},
    prelude::*,
    reinforcement::{DescriptorPolicy, LocalizerJudge, SeenPoints, family_scenes},
    rl::{GrpoConfig, GrpoParts, Reward, StyleMonitor, Trainer},
};

fn main() -> Result<(), Error> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let models = ModelDir::open(root.join("models/tiny"))?.load(&DeviceName::Flex.open()?)?;

    // Points without reference descriptions: the Localizer alone scores a text.
    let scenes = family_scenes("Bovidae", 128, 4, 2, Seed(0))?;
    let (policy, judge) =
        (DescriptorPolicy::new(&models, Style::Terse), LocalizerJudge::new(&models));
    let (source, reward, style) =
        (SeenPoints::new(&models, &scenes), Reward::paper(), StyleMonitor::default());
    let parts = GrpoParts {
        policy: &policy,
        judge: &judge,
        source: &source,
        reward: &reward,
        style: &style,
    };
    let config = GrpoConfig {
        group_size: 4,
        images_per_step: 2,
        max_new_tokens: 40,
        ..GrpoConfig::paper(2, Seed(0))
    };

    let mut trainer = Trainer::new(parts, config, DescriptorPolicy::weights(&models))?;
    for step in 1..=2 {
        let report = trainer.step()?.report;
        println!("step {step}: mean reward {:.4}, KL {:.5}", report.reward, report.kl);
    }
    Ok(())
}
