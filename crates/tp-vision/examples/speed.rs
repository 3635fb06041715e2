//! How long the tiny eyes take, part by part: `cargo run -p tp-vision --example speed`.
#![expect(clippy::print_stdout, reason = "the table is the point")]

use std::time::Instant;

use burn::{
    module::Module,
    tensor::{Device, Distribution, Tensor},
};
use tp_vision::{AuxPredictions, VisionConfig, VisionFeatures};

/// A part's name, and a run of it that ends in a loss.
type Part<'a> = (&'a str, Box<dyn Fn() -> Tensor<1> + 'a>);

/// Forward and backward milliseconds of the fastest of a few runs.
fn fastest(run: impl Fn() -> Tensor<1>) -> [f64; 2] {
    let mut best = [f64::INFINITY; 2];
    for _ in 0..7 {
        let start = Instant::now();
        let loss = run();
        let forward = start.elapsed().as_secs_f64() * 1e3;
        if loss.is_tracked() {
            let _ = loss.backward();
        }
        let backward = start.elapsed().as_secs_f64() * 1e3 - forward;
        best = [best[0].min(forward), best[1].min(backward)];
    }
    best
}

fn everything(features: VisionFeatures) -> Tensor<1> {
    let queries = features.queries;
    features.mask_features.mean() + features.tokens.embeddings.mean() + queries.class_logits.mean() + queries.mask_logits.mean()
}

fn main() {
    let config = VisionConfig::tiny();
    for (batch, side) in [(16, 128), (1, 256)] {
        let device = Device::flex().autodiff();
        let eyes = config.init(&device);
        let images = Tensor::<4>::random([batch, 3, side, side], Distribution::Default, &device);
        let plain = eyes.clone().valid();
        let alone = fastest(|| everything(plain.forward(images.clone().inner())));
        println!("\n{batch} × {side}², {} parameters; plain forward {:.1} ms", eyes.num_params(), alone[0]);
        println!("{:<16}{:>10}{:>10}", "ms", "forward", "backward");

        let leaf = |x: &Tensor<4>| x.clone().detach().require_grad();
        let maps = eyes.encoder.backbone().forward(images.clone());
        let features = eyes.forward(images.clone());
        let mut seen = features.queries.clone();
        seen.query_features = seen.query_features.detach();
        seen.class_logits = seen.class_logits.detach();
        seen.mask_logits = seen.mask_logits.detach();
        seen.query_positions = seen.query_positions.detach();
        let parts: [Part<'_>; 6] = [
            ("all", Box::new(|| everything(eyes.forward(images.clone())))),
            (
                "backbone",
                Box::new(|| {
                    eyes.encoder.backbone().forward(images.clone()).map(|map| map.mean()).into_iter().reduce(|a, b| a + b).expect("four")
                }),
            ),
            (
                "pixel decoder",
                Box::new(|| {
                    let (mask_features, memories) = eyes.encoder.pixel_decoder().forward(maps.each_ref().map(leaf));
                    memories.into_iter().fold(mask_features.mean(), |sum, memory| sum + memory.mean())
                }),
            ),
            (
                "query decoder",
                Box::new(|| {
                    let decoder = eyes.encoder.query_decoder();
                    let queries = decoder.forward(
                        &decoder.attend(&features.memories.each_ref().map(leaf)),
                        &leaf(&features.mask_features),
                        AuxPredictions::None,
                    );
                    queries.class_logits.mean() + queries.mask_logits.mean()
                }),
            ),
            (
                "… with aux",
                Box::new(|| {
                    let decoder = eyes.encoder.query_decoder();
                    let queries = decoder.forward(
                        &decoder.attend(&features.memories.each_ref().map(leaf)),
                        &leaf(&features.mask_features),
                        AuxPredictions::EveryLayer,
                    );
                    queries.aux.into_iter().fold(queries.class_logits.mean() + queries.mask_logits.mean(), |sum, aux| {
                        sum + aux.class_logits.mean() + aux.mask_logits.mean()
                    })
                }),
            ),
            ("projector", Box::new(|| eyes.projector.forward(leaf(&features.coarse), &seen).embeddings.mean())),
        ];
        for (name, part) in parts {
            let [forward, backward] = fastest(part);
            println!("{name:<16}{forward:>10.1}{backward:>10.1}");
        }
    }
}
