//! What points cost: attention within their windows beside the dense masked body at full size; 1 to
//! 1,000 points on one image, in time and in memory.
//!
//! ```sh
//! cargo bench --profile dev --package tp-benches --bench points
//! ```

use std::hint::black_box;

use burn::tensor::{Device, Distribution, Tensor, TensorData};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use talking_points::{
    ModelDir, Models,
    core::{ModelXy, RgbImage, UnitXy},
    data::{DecodeOptions, decode_image},
    descriptor::GaussianMask,
    vision::PromptMask,
};
use tp_benches::{forget_peak, peak_bytes};
use tp_kernels::windowed_attention;

/// Points in a spiral, so that no two see the same cells.
fn points(n: usize) -> Vec<(f64, f64)> {
    let place = |index: usize| {
        let (radius, angle) = (0.48 * ((index as f64 + 0.5) / n as f64).sqrt(), 2.4 * index as f64);
        (0.5 + radius * angle.cos(), 0.5 + radius * angle.sin())
    };
    (0..n).map(place).collect()
}

/// 64 points at the levels of an image of 1024 pixels: width 256, eight heads, the default mask.
fn windows(criterion: &mut Criterion) {
    const POINTS: usize = 64;
    const WIDTH: usize = 256;
    const HEADS: usize = 8;
    const LEVELS: [[usize; 2]; 3] = [[32, 32], [64, 64], [128, 128]];
    let mask = GaussianMask::new();
    let places: Vec<ModelXy> = points(POINTS).into_iter().map(|(x, y)| ModelXy { x, y }).collect();
    let PromptMask::Fixed(fixed) = mask.prompt_mask(std::slice::from_ref(&places), LEVELS) else {
        unreachable!("the default rule is a Gaussian")
    };
    let mut group = criterion.benchmark_group("64 points");
    for (level, size) in LEVELS.into_iter().enumerate() {
        for (device, direction) in
            [(Device::flex(), "forward"), (Device::flex().autodiff(), "forward and backward")]
        {
            let cells = size[0] * size[1];
            let random = |n: usize| {
                Tensor::<3>::random([1, n, WIDTH], Distribution::Normal(0.0, 1.0), &device)
            };
            let [queries, keys, values] = [POINTS, cells, cells].map(random);
            let learns = direction != "forward";
            let [queries, keys, values] =
                [queries, keys, values].map(|x| if learns { x.require_grad() } else { x });
            let run = |read: Tensor<3>| {
                if learns {
                    black_box(read.sum().backward());
                } else {
                    black_box(read.into_data());
                }
            };
            let name = |body: &str| {
                BenchmarkId::new(format!("{body}, {direction}"), format!("{}²", size[0]))
            };
            group.bench_function(name("windowed"), |bench| {
                bench.iter(|| {
                    run(windowed_attention(
                        queries.clone(),
                        keys.clone(),
                        values.clone(),
                        &fixed[level],
                        HEADS,
                    ))
                });
            });
            let mut bias = vec![-1e9_f32; POINTS * cells];
            for (row, &place) in places.iter().enumerate() {
                mask.window(place, size)
                    .into_iter()
                    .for_each(|(cell, logit)| bias[row * cells + cell as usize] = logit);
            }
            let bias =
                Tensor::<4>::from_data(TensorData::new(bias, [1, 1, POINTS, cells]), &device);
            group.bench_function(name("dense, masked"), |bench| {
                bench.iter(|| {
                    let heads = |x: &Tensor<3>, n: usize| {
                        x.clone().reshape([1, n, HEADS, WIDTH / HEADS]).swap_dims(1, 2)
                    };
                    let scores = heads(&queries, POINTS)
                        .matmul(heads(&keys, cells).swap_dims(2, 3))
                        * (1.0 / ((WIDTH / HEADS) as f64).sqrt());
                    let read =
                        tp_kernels::softmax(scores + bias.clone()).matmul(heads(&values, cells));
                    run(read.swap_dims(1, 2).reshape([1, POINTS, WIDTH]));
                });
            });
        }
    }
}

/// The shipped model and a photograph.
fn model_and_photograph() -> (Models, RgbImage) {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let models = ModelDir::open(format!("{root}/models/tiny"))
        .and_then(|folder| folder.load(&Device::flex()))
        .expect("the shipped model");
    let image = decode_image(
        format!("{root}/examples/images/horse.jpg").as_ref(),
        &DecodeOptions::default(),
    );
    (models, image.expect("a bundled photograph"))
}

/// `n` of [`points`] in the unit square.
fn places(n: usize) -> Vec<UnitXy> {
    points(n).into_iter().map(|(x, y)| UnitXy::new(x, y).expect("inside")).collect()
}

/// One look, then the features of points.
fn many_points(criterion: &mut Criterion) {
    let (models, image) = model_and_photograph();
    let mut group = criterion.benchmark_group("one image");
    group.bench_function("encode", |bench| {
        bench.iter(|| black_box(models.encode(&image).expect("it fits")))
    });
    let encoded = models.encode(&image).expect("it fits");
    for n in [1, 3, 10, 30, 100, 300, 1000] {
        let places = places(n);
        group.bench_function(BenchmarkId::new("features of points", n), |bench| {
            bench.iter(|| {
                black_box(models.descriptor.point_features(&encoded, &places).into_data())
            });
        });
    }
}

/// What a point takes while its feature is made: the slope of the most memory held, from 1,000
/// points to 20,000.
#[expect(clippy::print_stdout, reason = "its result")]
fn bytes_per_point(_: &mut Criterion) {
    let (models, image) = model_and_photograph();
    let encoded = models.encode(&image).expect("it fits");
    let [few, many] = [1_000, 20_000].map(|n| {
        let places = places(n);
        forget_peak();
        black_box(models.descriptor.point_features(&encoded, &places).into_data());
        peak_bytes()
    });
    println!("one image/bytes per point: {:.0}", (many as f64 - few as f64) / 19_000.0);
}

criterion_group! {
    name = what_points_cost;
    config = Criterion::default().sample_size(20);
    targets = windows, many_points, bytes_per_point
}
criterion_main!(what_points_cost);
