//! Fine-tunes the Localizer of the bundled model on described points for a few steps.

#![expect(clippy::print_stdout, reason = "an example prints")]

use std::{error::Error, path::Path, sync::Arc, sync::atomic::AtomicBool};

use burn::module::Module;
use talking_points::{
    core::Seed,
    data::{DescribedPoints, ReadOptions, Split},
    prelude::*,
    recipe::{
        Batcher, LossWeights, Objective, Photographs, SampleSettings, TrainingModel,
        TrainingModelConfig, TrainingTask, Vocabulary, frozen_for,
    },
    train::{Evaluation, Schedule, TrainConfig, train},
};

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let plain = DeviceName::Flex.open()?;
    let device = plain.clone().autodiff();
    let shipped = ModelDir::open(root.join("models/tiny"))?.load(&plain)?;

    // `docs/data.md` describes the format of this folder. `talking_points::data` has readers for
    // eight other formats.
    let points = DescribedPoints::open(&root.join("data/everyday_points"), ReadOptions::default())?;
    let vocabulary = Vocabulary::of_scenes_and(&[]);
    let task = TrainingTask {
        objective: Objective::Localizer,
        losses: LossWeights::of(Objective::Localizer),
        batcher: Batcher {
            source: Photographs::new(vec![Box::new(points)], Split::Train, 128),
            options: SampleSettings { n_points: 2, ..SampleSettings::spoken() },
            n_images: 2,
            swapped_share: 0.2,
            tokenizer: Arc::clone(&shipped.tokenizer),
            vocabulary: vocabulary.clone(),
            nouns: shipped.nouns.clone(),
        },
        config: shipped.config.clone(),
        device: device.clone(),
        evaluator: |_| Evaluation::default(),
    };
    let heads = TrainingModelConfig::of(shipped.config.clone(), &vocabulary).init(&device);
    let model = TrainingModel { network: shipped.network.fork(&device).train(), ..heads };

    let run =
        TrainConfig::new("mine", Schedule { peak: 1e-3, warmup: 1, steps: 3, floor: 0.1 }, Seed(0));
    let folder = tempfile::tempdir()?; // checkpoints and logs; give a folder that stays to resume from it
    let trained = train(
        frozen_for(task.objective, model),
        &task,
        &run,
        folder.path(),
        false,
        &AtomicBool::new(false),
    )?;
    for record in &trained.records {
        println!("step {}: loss {:.3}", record.step, record.loss);
    }
    Ok(())
}
