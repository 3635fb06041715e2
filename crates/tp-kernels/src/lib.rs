//! Operators that Burn lacks or runs slowly, as extensions of its backend trait
#![allow(missing_docs)]
use burn::prelude::*;
use burn::tensor::{activation, module, ops::ConvOptions};

pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    activation::gelu(x)
}

pub fn silu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    activation::silu(x)
}

pub fn silu_gate<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
    activation::silu(a) * b
}

/// Over the last dimension.
pub fn softmax<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    activation::softmax(x, D - 1)
}

/// Over the last dimension.
pub fn layer_norm<const D: usize>(x: Tensor<D>, gamma: Tensor<1>, beta: Tensor<1>, eps: f64) -> Tensor<D> {
    let centered = x.clone() - x.mean_dim(D - 1);
    let variance = centered.clone().square().mean_dim(D - 1);
    centered / (variance + eps).sqrt() * gamma.unsqueeze() + beta.unsqueeze()
}

/// Over the last dimension.
pub fn rms_norm<const D: usize>(x: Tensor<D>, gamma: Tensor<1>, eps: f64) -> Tensor<D> {
    let mean_square = x.clone().square().mean_dim(D - 1);
    x / (mean_square + eps).sqrt() * gamma.unsqueeze()
}

/// x `[batch, height, width, channels]`, weight `[channels, 1, k, k]` (odd k), bias `[channels]`; stride 1, same padding.
pub fn depthwise_conv2d(x: Tensor<4>, weight: Tensor<4>, bias: Tensor<1>) -> Tensor<4> {
    let [channels, _, k, _] = weight.dims();
    let options = ConvOptions::new([1, 1], [k / 2, k / 2], [1, 1], channels);
    module::conv2d(x.permute([0, 3, 1, 2]), weight, Some(bias), options).permute([0, 2, 3, 1])
}

/// value `[batch, cells, heads, d_head]`, spatial_shapes `[height, width]` per level (cells of the levels one after the other),
/// locations `[batch, queries, heads, levels, points, 2]` (x, y) in `[0, 1]`, weights `[batch, queries, heads, levels, points]`
/// -> `[batch, queries, heads * d_head]`.
pub fn deformable_attention(value: Tensor<4>, spatial_shapes: &[[usize; 2]], locations: Tensor<6>, weights: Tensor<5>) -> Tensor<3> {
    let [b, _, heads, d] = value.dims();
    let [_, q, _, _, p, _] = locations.dims();
    let mut start = 0;
    let mut out: Option<Tensor<3>> = None;
    for (level, &[h, w]) in spatial_shapes.iter().enumerate() {
        let cells = value.clone().narrow(1, start, h * w).swap_dims(1, 2).reshape([b * heads, h * w, d]);
        start += h * w;
        let loc = locations.clone().narrow(3, level, 1).permute([0, 2, 1, 3, 4, 5]).reshape([b * heads, q * p, 2]);
        let attention = weights.clone().narrow(3, level, 1).permute([0, 2, 1, 3, 4]).reshape([b * heads, q * p, 1]);
        let x = loc.clone().narrow(2, 0, 1) * w as f64 - 0.5;
        let y = loc.narrow(2, 1, 1) * h as f64 - 0.5;
        let (x0, y0) = (x.clone().detach().floor(), y.clone().detach().floor());
        let (fx, fy) = (x - x0.clone(), y - y0.clone());
        for (dx, dy) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
            let (xi, yi) = (x0.clone() + dx as f64, y0.clone() + dy as f64);
            let inside = xi.clone().greater_equal_elem(0.0).float() * xi.clone().lower_elem(w as f64).float()
                * yi.clone().greater_equal_elem(0.0).float() * yi.clone().lower_elem(h as f64).float();
            let index = (yi.clamp(0.0, h as f64 - 1.0) * w as f64 + xi.clamp(0.0, w as f64 - 1.0)).int();
            let sampled = cells.clone().gather(1, index.expand([b * heads, q * p, d]));
            let wx = if dx == 1 { fx.clone() } else { -fx.clone() + 1.0 };
            let wy = if dy == 1 { fy.clone() } else { -fy.clone() + 1.0 };
            let part = sampled * (wx * wy * inside * attention.clone());
            let part = part.reshape([b * heads, q, p, d]).sum_dim(2).reshape([b * heads, q, d]);
            out = Some(match out {
                Some(sum) => sum + part,
                None => part,
            });
        }
    }
    out.expect("at least one level").reshape([b, heads, q, d]).swap_dims(1, 2).reshape([b, q, heads * d])
}

/// Negative log-likelihood per row: logits `[n, vocabulary]`, targets `[n]` -> `[n]`.
pub fn token_cross_entropy(logits: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
    let log_probs = activation::log_softmax(logits, 1);
    -log_probs.gather(1, targets.unsqueeze_dim::<2>(1)).squeeze_dim::<1>(1)
}

/// `x · weight + bias` with weight `[in, out]`.
pub fn linear<const D: usize>(x: Tensor<D>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<D> {
    module::linear(x, weight, bias)
}
