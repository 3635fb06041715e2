//! Our side of `against_pytorch.py`: does what each line of standard input names, and answers with
//! the seconds that it took, on the clock and of all processors, and a number by which both sides
//! are seen to have computed the same.

use std::{
    io::{self, BufRead, Write},
    time::Instant,
};

use burn::{
    module::Module,
    tensor::{
        Device, Tensor, TensorData,
        ops::{GridSampleOptions, InterpolateMode},
    },
};
use talking_points::{
    ModelDir,
    vision::{VisionFeatures, VisionModel},
};
use tp_benches::processor_seconds;
use tp_kernels::deformable_attention;

/// The environment variable that names the folder of the model; without it, the shipped one.
const MODEL: &str = "TALKING_POINTS_MODEL";

/// Places that a query reads in each level.
const POINTS: usize = 4;

fn main() -> io::Result<()> {
    let shipped = || concat!(env!("CARGO_MANIFEST_DIR"), "/../models/tiny").to_owned();
    let folder = std::env::var(MODEL).unwrap_or_else(|_| shipped());
    let eyes = ModelDir::open(folder)
        .and_then(|folder| folder.load(&Device::flex()))
        .expect("a model folder")
        .network
        .eyes;
    let pupil = eyes.clone().unfreeze().train();
    for task in io::stdin().lock().lines() {
        let task = task?;
        let Answer { seconds, processor, mean } = match task.as_str() {
            "encode" => encode(&eyes),
            "encode backward" => encode_backward(&pupil),
            _ => sample(&task),
        };
        let mut out = io::stdout();
        writeln!(out, r#"{{"seconds": {seconds}, "processor": {processor}, "mean": {mean}}}"#)?;
        out.flush()?;
    }
    Ok(())
}

struct Answer {
    seconds: f64,
    processor: f64,
    mean: f32,
}

fn timed(run: impl FnOnce() -> Tensor<1>) -> Answer {
    let (processor, began) = (processor_seconds(), Instant::now());
    let mean = run().into_scalar::<f32>();
    Answer {
        seconds: began.elapsed().as_secs_f64(),
        processor: processor_seconds() - processor,
        mean,
    }
}

/// The same picture as in `against_pytorch.py`.
fn image(side: usize, device: &Device) -> Tensor<4> {
    let cell =
        |c: usize, y: usize, x: usize| (0.05 * x as f32 + 0.11 * y as f32 + 2.0 * c as f32).sin();
    let values: Vec<f32> = (0..3)
        .flat_map(|c| (0..side).flat_map(move |y| (0..side).map(move |x| cell(c, y, x))))
        .collect();
    Tensor::from_data(TensorData::new(values, [1, 3, side, side]), device)
}

fn encode(eyes: &VisionModel) -> Answer {
    let image = image(256, &Device::flex());
    timed(|| eyes.forward(image).queries.mask_logits.abs().mean())
}

fn encode_backward(eyes: &VisionModel) -> Answer {
    let image = image(256, &Device::flex().autodiff());
    timed(|| {
        let VisionFeatures { queries, .. } = eyes.forward(image);
        let mean_square = |x: Tensor<1>| x.square().mean();
        let loss = mean_square(queries.mask_logits.flatten(0, 3))
            + mean_square(queries.class_logits.flatten(0, 2))
            + mean_square(queries.query_features.flatten(0, 2));
        let _gradients = loss.backward();
        loss.inner()
    })
}

/// Deformable attention among the cells of three levels: `[composed ]sample tiny|full[ backward]`.
fn sample(task: &str) -> Answer {
    let (sides, heads, d_head) =
        if task.contains("full") { ([32, 64, 128], 8, 32) } else { ([8, 16, 32], 4, 24) };
    let backward = task.ends_with("backward");
    let device = if backward { Device::flex().autodiff() } else { Device::flex() };
    let sizes = sides.map(|side| [side, side]);
    let cells: usize = sides.iter().map(|side| side * side).sum();
    let leaf = |values: Vec<f32>| {
        let n = values.len();
        let leaf = Tensor::<1>::from_data(TensorData::new(values, [n]), &device);
        if backward { leaf.require_grad() } else { leaf }
    };
    let value = leaf((0..cells * heads * d_head).map(|i| (0.3 * i as f64).cos() as f32).collect());
    let weights = leaf(vec![1.0 / (3 * POINTS) as f32; cells * heads * 3 * POINTS]);
    let places = leaf(places(&sides, heads));
    timed(|| {
        let value = value.reshape([1, cells, heads, d_head]);
        let places = places.reshape([1, cells, heads, 3, POINTS, 2]);
        let weights = weights.reshape([1, cells, heads, 3, POINTS]);
        let body = if task.starts_with("composed") { composed } else { deformable_attention };
        let read = body(value, &sizes, places, weights);
        if !backward {
            return read.abs().mean();
        }
        let loss = read.square().mean();
        let _gradients = loss.backward();
        loss.inner()
    })
}

/// Around every cell, some cells of the read level away; the same places as in
/// `against_pytorch.py`.
fn places(sides: &[usize], heads: usize) -> Vec<f32> {
    let mut places = Vec::new();
    for &side in sides {
        for cell in 0..side * side {
            let centre = [cell % side, cell / side].map(|at| (at as f32 + 0.5) / side as f32);
            for _ in 0..heads {
                for level in sides.iter().flat_map(|&level| [level; POINTS]) {
                    for at in centre {
                        let offset = 2.0 * (0.7 * places.len() as f64).sin();
                        places.push(at + offset as f32 / level as f32);
                    }
                }
            }
        }
    }
    places
}

/// What one would write without a kernel: one `grid_sample` for each level.
fn composed(
    value: Tensor<4>,
    sizes: &[[usize; 2]],
    locations: Tensor<6>,
    weights: Tensor<5>,
) -> Tensor<3> {
    let [batch, _, heads, d_head] = value.dims();
    let [_, queries, _, levels, points, _] = locations.dims();
    let grids = locations * 2.0 - 1.0;
    let mut start = 0;
    let sampled = sizes.iter().enumerate().map(|(level, &[height, width])| {
        let map = value.clone().narrow(1, start, height * width).permute([0, 2, 3, 1]).reshape([
            batch * heads,
            d_head,
            height,
            width,
        ]);
        start += height * width;
        let grid = grids.clone().narrow(3, level, 1).squeeze_dim::<5>(3).swap_dims(1, 2).reshape([
            batch * heads,
            queries,
            points,
            2,
        ]);
        map.grid_sample_2d(grid, GridSampleOptions::new(InterpolateMode::Bilinear))
    });
    let sampled = Tensor::cat(sampled.collect(), 3); // [batch · head, d_head, query, level · point]
    let weights = weights.swap_dims(1, 2).reshape([batch * heads, 1, queries, levels * points]);
    (sampled * weights).sum_dim(3).reshape([batch, heads * d_head, queries]).swap_dims(1, 2)
}
