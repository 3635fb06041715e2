//! Samples written and scored per second: a group at once, beside our own public API called once
//! for each sample.
//!
//! ```sh
//! cargo bench --profile dev --package tp-benches --bench samples
//! ```
//!
//! Both sides write at most the same number of tokens with the shipped model and hand every text to
//! the same Localizer. The naive loop is what one would write without this crate: for each sample
//! look at the image, describe the point, locate the words.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use talking_points::{
    ModelDir, Models,
    core::{DescribeOptions, DescribePoint, LocalizePoint, Sampling, Seed, Style},
    evaluation::EvalSet,
    reinforcement::{DescriptorPolicy, LocalizerJudge, SeenPoints, family_scenes},
    rl::{PointSource, Reward, SampleOptions, roll_out},
};

const GROUP_SIZE: usize = 8;
const MAX_NEW_TOKENS: usize = 48;

fn at_once(models: &Models, set: &EvalSet) -> usize {
    let (policy, judge, source) = (
        DescriptorPolicy::new(models, Style::CoarseToFine),
        LocalizerJudge::new(models),
        SeenPoints::new(models, set),
    );
    let options = SampleOptions {
        group_size: GROUP_SIZE,
        max_new_tokens: MAX_NEW_TOKENS,
        sampling: Sampling::at_temperature(1.0),
        seed: Seed(1),
    };
    let images = (0..source.len())
        .map(|index| source.image(index).expect("a scene can be encoded"))
        .collect();
    let rollout = roll_out(
        &policy,
        &DescriptorPolicy::weights(models),
        &judge,
        &Reward::paper(),
        images,
        &options,
        0,
    );
    rollout.expect("a rollout of scenes").samples.len()
}

fn one_by_one(models: &Models, set: &EvalSet) -> usize {
    let mut n = 0;
    for (image, point) in set.points() {
        for sample in 0..GROUP_SIZE {
            let encoded = models.encode(&set.images[image].image).expect("a scene can be encoded");
            let how = DescribeOptions {
                max_new_tokens: MAX_NEW_TOKENS,
                sampling: Sampling::at_temperature(1.0),
                seed: sample as u64,
                ..Default::default()
            };
            let described = models
                .descriptor
                .describe(&encoded, &[point.point], &how)
                .expect("a point can be described");
            black_box(models.localizer.locate(&encoded, &[&described[0].text]).ok());
            n += 1;
        }
    }
    n
}

fn samples(criterion: &mut Criterion) {
    let device = talking_points::DeviceName::Flex.open().expect("the processor is always there");
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/tiny");
    let models =
        ModelDir::open(folder).and_then(|folder| folder.load(&device)).expect("the shipped model");
    let side = u32::try_from(models.config.vision.image_size).expect("a side in pixels");
    let set = family_scenes("Bovidae", side, 4, 2, Seed(3)).expect("a family of the scenes");
    let mut group = criterion.benchmark_group("samples");
    group.sample_size(10).throughput(Throughput::Elements((set.n_points() * GROUP_SIZE) as u64));
    group.bench_function("a group at once", |bench| bench.iter(|| at_once(&models, &set)));
    group.bench_function("one by one", |bench| bench.iter(|| one_by_one(&models, &set)));
    group.finish();
}

criterion_group!(benches, samples);
criterion_main!(benches);
