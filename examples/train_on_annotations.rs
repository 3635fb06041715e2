//! Adapts the bundled model to annotated images by a recipe, for a step of each phase.

#![expect(clippy::print_stdout, reason = "an example prints")]

use std::{path::Path, sync::atomic::AtomicBool};

use talking_points::{
    core::Seed,
    prelude::*,
    recipe::{Experiment, Recipe, Start},
};

fn main() -> Result<(), Error> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().expect("a temporary folder"); // give a folder that stays to resume from it

    // `docs/training.md` documents every key of a recipe, and which data are recognized.
    let mut recipe = Recipe::named_or_read("quick")?;
    recipe.add_data(&root.join("data/everyday_points").display().to_string())?;
    recipe.evaluate_points = 8;
    for phase in &mut recipe.phases {
        (phase.images, phase.image_size) = (2, Some(128));
    }

    let experiment = Experiment {
        recipe,
        without_families: Vec::new(),
        start: Start { base: Some(root.join("models/tiny")), ..Default::default() },
        step_share: 0.001, // 1.0 to train
        out: folder.path().to_owned(),
        resume: false,
        seed: Seed(0),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let report = experiment.run(&DeviceName::Flex.open()?, &AtomicBool::new(false))?;
    println!("{report}");

    let adapted = ModelDir::open(folder.path().join("model"))?.load(&DeviceName::Flex.open()?)?;
    println!("{} nouns", adapted.nouns.map_or(0, |nouns| nouns.table().objects.len()));
    Ok(())
}
