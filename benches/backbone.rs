//! Our side of `backbone_against.py`: sees a picture of the side that each line of standard input
//! names through EfficientNet-Lite0, and answers with the seconds that it took, on the clock and of
//! all processors, and a number by which both sides are seen to have computed the same.

use std::{
    io::{self, BufRead, Write},
    time::Instant,
};

use burn::tensor::{Device, Tensor, TensorData};
use talking_points::{
    vision::{VisionConfig, VisionModel},
    weights::Checkpoint,
};
use tp_benches::processor_seconds;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut eyes = VisionConfig::lite0(256).init(&Device::flex());
    // `cargo bench` adds an argument of its own.
    let weights = std::env::args()
        .nth(1)
        .filter(|path| !path.starts_with("--"))
        .ok_or("usage: backbone FILE.safetensors")?;
    eyes.load_backbone(Checkpoint::open(weights)?)?;
    for side in io::stdin().lock().lines() {
        let picture = picture(side?.trim().parse()?);
        let (processor, began) = (processor_seconds(), Instant::now());
        let mean = mean_of_maps(&eyes, picture);
        let (seconds, processor) = (began.elapsed().as_secs_f64(), processor_seconds() - processor);
        let mut out = io::stdout();
        writeln!(out, r#"{{"seconds": {seconds}, "processor": {processor}, "mean": {mean}}}"#)?;
        out.flush()?;
    }
    Ok(())
}

fn mean_of_maps(eyes: &VisionModel, picture: Tensor<4>) -> f32 {
    let maps = eyes.encoder.backbone().forward(picture);
    maps.into_iter().map(|map| map.abs().mean().into_scalar::<f32>()).sum()
}

/// The same picture as in `backbone_against.py`.
fn picture(side: usize) -> Tensor<4> {
    let cell =
        |c: usize, y: usize, x: usize| (0.05 * x as f32 + 0.11 * y as f32 + 2.0 * c as f32).sin();
    let values: Vec<f32> = (0..3)
        .flat_map(|c| (0..side).flat_map(move |y| (0..side).map(move |x| cell(c, y, x))))
        .collect();
    Tensor::from_data(TensorData::new(values, [1, 3, side, side]), &Device::flex())
}
