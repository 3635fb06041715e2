//! Our kernels beside Burn's own composition of the same thing, forward and with gradients.
//!
//! ```sh
//! cargo bench --package tp-benches --bench kernels
//! ```

use std::hint::black_box;

use burn::tensor::{Device, Distribution, Tensor, activation};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};

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
        bench.iter_batched(|| x.clone(), |x| black_box(run(x).sum().backward()), BatchSize::SmallInput);
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

criterion_group! {
    name = kernels;
    config = Criterion::default().sample_size(20);
    targets = activations, normalizations
}
criterion_main!(kernels);
