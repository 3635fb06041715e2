use burn::prelude::*;
use burn::tensor::{Distribution, activation, module, ops::ConvOptions};
use std::time::Instant;
fn rnd<const D: usize>(s: [usize; D], d: &Device) -> Tensor<D> {
    Tensor::random(s, Distribution::Normal(0.0, 1.0), d)
}
fn median(mut f: impl FnMut()) -> f64 {
    f();
    f();
    let mut t = vec![];
    let start = Instant::now();
    while t.len() < 7 || (start.elapsed().as_millis() < 500 && t.len() < 60) {
        let s = Instant::now();
        f();
        t.push(s.elapsed().as_secs_f64() * 1e3);
    }
    t.sort_by(f64::total_cmp);
    t[0]
}
fn pair(name: &str, leaves: Vec<Tensor<1>>, f: &dyn Fn(&[Tensor<1>]) -> Tensor<1>) {
    let plain: Vec<_> = leaves.iter().map(|t| t.clone().inner()).collect();
    let fwd = median(|| {
        std::hint::black_box(f(&plain));
    });
    let n = f(&plain).dims()[0];
    let w = rnd([n], &leaves[0].device().inner());
    let wa = Tensor::from_inner(w);
    let both = median(|| {
        let l: Vec<_> = leaves.iter().map(|t| t.clone().detach().require_grad()).collect();
        let y = f(&l);
        let g = (y * wa.clone()).sum().backward();
        for t in &l {
            std::hint::black_box(t.grad(&g));
        }
    });
    println!("{name:58} fwd {fwd:8.3}  fwd+bwd {both:8.3}");
}
fn main() {
    let only = std::env::args().nth(1).unwrap_or_default();
    let d = Device::flex().autodiff();
    let has = |s: &str| only.is_empty() || s.contains(&only);
    let n = 16 * 1024;
    let w = 192;
    if has("gelu") {
        for s in [n * w] {
            pair("gelu burn", vec![rnd([s], &d)], &|x| activation::gelu(x[0].clone()));
            pair("gelu ours", vec![rnd([s], &d)], &|x| tp_kernels::gelu(x[0].clone()));
            pair("silu burn", vec![rnd([s], &d)], &|x| activation::silu(x[0].clone()));
            pair("silu ours", vec![rnd([s], &d)], &|x| tp_kernels::silu(x[0].clone()));
            pair("silu_gate burn", vec![rnd([s], &d), rnd([s], &d)], &|x| activation::silu(x[0].clone()) * x[1].clone());
            pair("silu_gate ours", vec![rnd([s], &d), rnd([s], &d)], &|x| tp_kernels::silu_gate(x[0].clone(), x[1].clone()));
        }
    }
    if has("norm") {
        let sh = [n, w];
        pair("softmax burn", vec![rnd([n * w], &d)], &|x| activation::softmax(x[0].clone().reshape(sh), 1).reshape([-1]));
        pair("softmax ours", vec![rnd([n * w], &d)], &|x| tp_kernels::softmax(x[0].clone().reshape(sh)).reshape([-1]));
        pair("layer_norm burn", vec![rnd([n * w], &d), rnd([w], &d), rnd([w], &d)], &|x| {
            module::layer_norm(x[0].clone().reshape(sh), x[1].clone(), Some(x[2].clone()), 1e-5).reshape([-1])
        });
        pair("layer_norm ours", vec![rnd([n * w], &d), rnd([w], &d), rnd([w], &d)], &|x| {
            tp_kernels::layer_norm(x[0].clone().reshape(sh), x[1].clone(), x[2].clone(), 1e-5).reshape([-1])
        });
        pair("rms_norm burn", vec![rnd([n * w], &d), rnd([w], &d)], &|x| {
            let a = x[0].clone().reshape(sh);
            (a.clone() / (a.square().mean_dim(1) + 1e-5).sqrt() * x[1].clone().unsqueeze()).reshape([-1])
        });
        pair("rms_norm ours", vec![rnd([n * w], &d), rnd([w], &d)], &|x| {
            tp_kernels::rms_norm(x[0].clone().reshape(sh), x[1].clone(), 1e-5).reshape([-1])
        });
    }
    if has("depthwise") {
        for sh in [[16, 32, 32, 48], [16, 64, 64, 24], [16, 8, 8, 192]] {
            let c = sh[3];
            let l = || vec![rnd([sh.iter().product()], &d), rnd([c * 49], &d), rnd([c], &d)];
            pair(&format!("depthwise 7x7 burn {sh:?}"), l(), &|x| {
                module::conv2d(
                    x[0].clone().reshape(sh).permute([0, 3, 1, 2]),
                    x[1].clone().reshape([c, 1, 7, 7]),
                    Some(x[2].clone()),
                    ConvOptions::new([1, 1], [3, 3], [1, 1], c),
                )
                .permute([0, 2, 3, 1])
                .reshape([-1])
            });
            pair(&format!("depthwise 7x7 ours {sh:?}"), l(), &|x| {
                tp_kernels::depthwise_conv2d(x[0].clone().reshape(sh), x[1].clone().reshape([c, 1, 7, 7]), x[2].clone()).reshape([-1])
            });
        }
    }
    if has("deform") {
        let (b, h, p, dh) = (4usize, 8usize, 4usize, 16usize);
        let shapes = [[8usize, 8usize], [16, 16], [32, 32]];
        let cells = 1344;
        let l = || {
            vec![
                rnd([b * cells * h * dh], &d),
                Tensor::random([b * cells * h * 3 * p * 2], Distribution::Uniform(0.0, 1.0), &d),
                rnd([b * cells * h * 3 * p], &d),
            ]
        };
        pair("deformable ours [4, 1344, 8, 16] 1344 queries", l(), &|x| {
            tp_kernels::deformable_attention(
                x[0].clone().reshape([b, cells, h, dh]),
                &shapes,
                x[1].clone().reshape([b, cells, h, 3, p, 2]),
                x[2].clone().reshape([b, cells, h, 3, p]),
            )
            .reshape([-1])
        });
        pair("deformable grid_sample [4, 1344, 8, 16]", l(), &|x| {
            let value = x[0].clone().reshape([b, cells, h, dh]);
            let loc = x[1].clone().reshape([b, cells, h, 3, p, 2]);
            let wt = x[2].clone().reshape([b, cells, h, 3, p]);
            let mut start = 0;
            let mut out: Option<Tensor<4>> = None;
            for (i, [hh, ww]) in shapes.into_iter().enumerate() {
                let v = value.clone().narrow(1, start, hh * ww).permute([0, 2, 3, 1]).reshape([b * h, dh, hh, ww]);
                start += hh * ww;
                let g = (loc.clone().narrow(3, i, 1).permute([0, 2, 1, 4, 5, 3]).reshape([b * h, cells, p, 2])) * 2.0 - 1.0;
                let s = v.grid_sample_2d(
                    g,
                    burn::tensor::ops::GridSampleOptions::new(burn::tensor::ops::InterpolateMode::Bilinear)
                        .with_padding_mode(burn::tensor::ops::GridSamplePaddingMode::Zeros)
                        .with_align_corners(false),
                );
                let a = wt.clone().narrow(3, i, 1).permute([0, 2, 3, 1, 4]).reshape([b * h, 1, cells, p]);
                let part = (s * a).sum_dim(3);
                out = Some(match out {
                    Some(o) => o + part,
                    None => part,
                });
            }
            out.unwrap().reshape([b, h, dh, cells]).permute([0, 3, 1, 2]).reshape([-1])
        });
    }
    if has("cross") {
        let (r, v) = (1500, 2048);
        let t = Tensor::<1, Int>::from_data(TensorData::new((0..r as i32).collect::<Vec<_>>(), [r]), &d);
        pair("cross entropy burn [1500, 2048]", vec![rnd([r * v], &d)], &|x| {
            -activation::log_softmax(x[0].clone().reshape([r, v]), 1).gather(1, t.clone().unsqueeze_dim::<2>(1)).squeeze_dim::<1>(1)
        });
        pair("cross entropy ours [1500, 2048]", vec![rnd([r * v], &d)], &|x| {
            tp_kernels::token_cross_entropy(x[0].clone().reshape([r, v]), t.clone())
        });
    }
    if has("linear") {
        for (m, k, n) in [(5120, 192, 512), (16384, 48, 192), (4096, 96, 384), (16384, 192, 48)] {
            let gf = 2.0 * (m * k * n) as f64 / 1e6;
            pair(&format!("matmul burn [{m},{k}]x[{k},{n}] {gf:.0} MFLOP"), vec![rnd([m * k], &d), rnd([k * n], &d)], &|x| {
                x[0].clone().reshape([m, k]).matmul(x[1].clone().reshape([k, n])).reshape([-1])
            });
            pair(&format!("linear burn 3d [{m},{k}]x[{k},{n}]+b"), vec![rnd([m * k], &d), rnd([k * n], &d), rnd([n], &d)], &|x| {
                module::linear(x[0].clone().reshape([16, m / 16, k]), x[1].clone().reshape([k, n]), Some(x[2].clone())).reshape([-1])
            });
            let a: Tensor<2> = rnd([m, k], &d.clone().inner());
            let b: Tensor<2> = rnd([k, n], &d.clone().inner());
            let y: Tensor<2> = rnd([m, n], &d.clone().inner());
            println!(
                "   forward {:.3}  dx {:.3}  dw {:.3}  dw as transposed product {:.3} y+b {:.3} sum rows {:.3}",
                median(|| {
                    std::hint::black_box(a.clone().matmul(b.clone()));
                }),
                median(|| {
                    std::hint::black_box(y.clone().matmul(b.clone().transpose()));
                }),
                median(|| {
                    std::hint::black_box(a.clone().transpose().matmul(y.clone()));
                }),
                median(|| {
                    std::hint::black_box(y.clone().transpose().matmul(a.clone()));
                }),
                median(|| {
                    std::hint::black_box(y.clone() + b.clone().narrow(0, 0, 1));
                }),
                median(|| {
                    std::hint::black_box(y.clone().sum_dim(0));
                })
            );
        }
    }
    if has("attention") {
        for (bh, q, k, dh) in [(768, 45, 45, 32), (96, 45, 405, 64), (96, 45, 360, 64)] {
            pair(&format!("q·kᵀ [{bh}, {q}x{dh}] x [{dh}x{k}]"), vec![rnd([bh * q * dh], &d), rnd([bh * k * dh], &d)], &|x| {
                x[0].clone().reshape([bh, q, dh]).matmul(x[1].clone().reshape([bh, k, dh]).swap_dims(1, 2)).reshape([-1])
            });
            pair(&format!("p·v [{bh}, {q}x{k}] x [{k}x{dh}]"), vec![rnd([bh * q * k], &d), rnd([bh * k * dh], &d)], &|x| {
                x[0].clone().reshape([bh, q, k]).matmul(x[1].clone().reshape([bh, k, dh])).reshape([-1])
            });
            let s = (dh as f64).sqrt().recip();
            pair(
                &format!("whole attention, our softmax [{bh}, {q}x{k}] d {dh}"),
                vec![rnd([bh * q * dh], &d), rnd([bh * k * dh], &d), rnd([bh * k * dh], &d)],
                &|x| {
                    let l = (x[0].clone() * s).reshape([bh, q, dh]).matmul(x[1].clone().reshape([bh, k, dh]).swap_dims(1, 2));
                    tp_kernels::softmax(l).matmul(x[2].clone().reshape([bh, k, dh])).reshape([-1])
                },
            );
            pair(
                &format!("whole attention, burn [{bh}, {q}x{k}] d {dh}"),
                vec![rnd([bh * q * dh], &d), rnd([bh * k * dh], &d), rnd([bh * k * dh], &d)],
                &|x| {
                    module::attention(
                        x[0].clone().reshape([1, bh, q, dh]),
                        x[1].clone().reshape([1, bh, k, dh]),
                        x[2].clone().reshape([1, bh, k, dh]),
                        None,
                        None,
                        Default::default(),
                    )
                    .reshape([-1])
                },
            );
        }
    }
}
