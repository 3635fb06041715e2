//! OMG-LLaVA's vision model at 1024 pixels with random weights: seconds for one look, and the most memory
//! that the process held.
//!
//! ```sh
//! cargo bench --profile dev --package tp-benches --bench full_size
//! ```

use std::{hint::black_box, time::Instant};

use burn::tensor::{Device, Distribution, Tensor};
use talking_points::vision::VisionConfig;
use tp_benches::peak_bytes;

#[expect(clippy::print_stdout, reason = "its result")]
fn main() {
    let rounds = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(3);
    let device = Device::flex();
    let config = VisionConfig::omg_llava_7b();
    let eyes = config.init(&device);
    let look = |_| {
        let image = Tensor::<4>::random(
            [1, 3, config.image_size, config.image_size],
            Distribution::Normal(0.0, 1.0),
            &device,
        );
        let began = Instant::now();
        black_box(eyes.forward(image).tokens.embeddings.into_data());
        began.elapsed().as_secs_f64()
    };
    let mut seconds: Vec<f64> = (0..rounds).map(look).collect();
    seconds.sort_by(f64::total_cmp);
    println!(r#"{{"seconds": {}, "peak_bytes": {}}}"#, seconds[rounds / 2], peak_bytes());
}
