//! Our kernels beside Burn's own composition of the same thing, forward and with gradients.
//!
//! ```sh
//! cargo bench --profile dev --package tp-benches --bench kernels
//! ```

use std::hint::black_box;

use burn::nn::LinearConfig;
use burn::tensor::{Device, Distribution, Tensor, activation};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use tp_kernels::{AttentionHeads, AttentionPrefix, RotaryAngles, causal_attention};

/// Rows and columns of an activation in the language model's training step.
const SHAPE: [usize; 2] = [6400, 384];

fn random(device: &Device) -> Tensor<2> {
    Tensor::random(SHAPE, Distribution::Normal(0.0, 1.0), device)
}

/// Times one operator, forward alone and together with its gradient.
fn operator(criterion: &mut Criterion, name: &str, run: impl Fn(Tensor<2>) -> Tensor<2>) {
    let plain = Device::flex();
    let differentiable = plain.clone().autodiff();
    let x = random(&plain);
    criterion.bench_function(&format!("{name}, forward"), |bench| {
        bench.iter_batched(|| x.clone(), |x| black_box(run(x)), BatchSize::SmallInput);
    });
    let x = random(&differentiable).require_grad();
    criterion.bench_function(&format!("{name}, forward and backward"), |bench| {
        bench.iter_batched(
            || x.clone(),
            |x| black_box(run(x).sum().backward()),
            BatchSize::SmallInput,
        );
    });
}

fn activations(criterion: &mut Criterion) {
    operator(criterion, "gelu, burn", activation::gelu);
    operator(criterion, "gelu, ours", tp_kernels::gelu);
    operator(criterion, "silu, burn", activation::silu);
    operator(criterion, "silu, ours", tp_kernels::silu);
}

fn normalizations(criterion: &mut Criterion) {
    operator(criterion, "softmax, burn", |x| activation::softmax(x, 1));
    operator(criterion, "softmax, ours", tp_kernels::softmax);
    let gamma = |x: &Tensor<2>| Tensor::<1>::ones([SHAPE[1]], &x.device());
    operator(criterion, "rms norm, composed", move |x| {
        let gamma = gamma(&x);
        let mean_square = x.clone().square().mean_dim(1);
        x / (mean_square + 1e-5).sqrt() * gamma.unsqueeze()
    });
    operator(criterion, "rms norm, ours", move |x| {
        let gamma = gamma(&x);
        tp_kernels::rms_norm(x, gamma, 1e-5)
    });
}

/// A layer of the tiny language model on 128 rows of 77 tokens.
fn layers(criterion: &mut Criterion) {
    let device = Device::flex().autodiff();
    let layer = LinearConfig::new(192, 512).with_bias(false).init(&device);
    let x =
        Tensor::<3>::random([128, 77, 192], Distribution::Normal(0.0, 1.0), &device).require_grad();
    criterion.bench_function("linear, burn, forward and backward", |bench| {
        bench.iter(|| black_box(layer.forward(x.clone()).sum().backward()));
    });
    criterion.bench_function("linear, folded, forward and backward", |bench| {
        bench.iter(|| black_box(tp_kernels::linear(&layer, x.clone()).sum().backward()));
    });
}

/// Rows through a matrix of a language model of width 768.
fn products(criterion: &mut Criterion) {
    let device = Device::flex();
    let random =
        |shape: [usize; 2]| Tensor::<2>::random(shape, Distribution::Normal(0.0, 1.0), &device);
    // Several matrices, taken in turn, so that they come from memory as in a model of many layers.
    let matrices: Vec<Tensor<2>> = (0..12).map(|_| random([768, 4096])).collect();
    for rows in [1, 8, 64, 2048] {
        let x = random([rows, 768]);
        let mut turn = matrices.iter().cycle();
        let mut next = || turn.next().expect("a cycle does not end").clone();
        criterion.bench_function(&format!("product of {rows} rows, burn"), |bench| {
            bench.iter(|| black_box(x.clone().matmul(next())))
        });
        criterion.bench_function(&format!("product of {rows} rows, ours"), |bench| {
            bench.iter(|| black_box(tp_kernels::affine(x.clone(), next(), None)));
        });
    }
}

/// Eight texts about each of 16 images, as the tiny language model reads them; the composition has
/// the keys' rotation for free.
fn attention(criterion: &mut Criterion) {
    const GROUPS: usize = 16;
    const ROWS: usize = 8;
    const TOKENS: usize = 77;
    const PREFIX: usize = 26;
    const HEADS: usize = 6;
    const D_HEAD: usize = 32;
    let device = Device::flex().autodiff();
    let random = |shape: [usize; 3]| {
        Tensor::<3>::random(shape, Distribution::Normal(0.0, 1.0), &device).require_grad()
    };
    let qkv = random([GROUPS * ROWS, TOKENS, 3 * HEADS * D_HEAD]);
    let [keys, values] = [(); 2].map(|()| random([GROUPS * HEADS, PREFIX, D_HEAD]));
    let angles = RotaryAngles {
        cos: Tensor::ones([1, TOKENS, D_HEAD / 2], &device.clone().without_autodiff()),
        sin: Tensor::zeros([1, TOKENS, D_HEAD / 2], &device.clone().without_autodiff()),
    };
    let heads = AttentionHeads { kv_heads: HEADS, queries_per_key: 1, window: None };
    criterion.bench_function("attention, composed, forward and backward", |bench| {
        let late = Tensor::<2>::full([TOKENS, TOKENS], -1e9, &device).triu(1);
        let bias =
            Tensor::cat(vec![Tensor::zeros([TOKENS, PREFIX], &device), late], 1).unsqueeze::<4>();
        bench.iter(|| {
            let slots = qkv
                .clone()
                .reshape([GROUPS, ROWS, TOKENS, HEADS, 3, D_HEAD])
                .permute([0, 3, 1, 4, 2, 5]);
            let slot =
                |at| slots.clone().narrow(3, at, 1).reshape([GROUPS * HEADS, ROWS, TOKENS, D_HEAD]);
            let shared = |x: &Tensor<3>| {
                x.clone().unsqueeze_dim::<4>(1).expand([GROUPS * HEADS, ROWS, PREFIX, D_HEAD])
            };
            let [keys, values] = [(slot(1), &keys), (slot(2), &values)]
                .map(|(own, prefix)| Tensor::cat(vec![shared(prefix), own], 2));
            let scores = slot(0).matmul(keys.swap_dims(2, 3)) * (1.0 / (D_HEAD as f64).sqrt())
                + bias.clone();
            black_box(tp_kernels::softmax(scores).matmul(values).sum().backward())
        });
    });
    criterion.bench_function("attention, ours, forward and backward", |bench| {
        bench.iter(|| {
            let prefix = AttentionPrefix {
                keys: keys.clone(),
                values: values.clone(),
                lengths: &[PREFIX; GROUPS],
            };
            black_box(
                causal_attention(qkv.clone(), heads, Some(prefix), angles.clone()).sum().backward(),
            )
        });
    });
}

criterion_group! {
    name = kernels;
    config = Criterion::default().sample_size(20);
    targets = activations, normalizations, layers, products, attention
}
criterion_main!(kernels);
