use burn::prelude::*;
use burn::tensor::DType;

use super::*;
use crate::testing::{Tolerance, assert_close, check, devices, elements, random, random_tensor};

fn composed(
    value: Tensor<4>,
    spatial_shapes: &[[usize; 2]],
    locations: Tensor<6>,
    weights: Tensor<5>,
) -> Tensor<3> {
    let [b, _, heads, d] = value.dims();
    let [_, q, _, _, p, _] = locations.dims();
    let mut start = 0;
    let mut out: Option<Tensor<3>> = None;
    for (level, &[h, w]) in spatial_shapes.iter().enumerate() {
        let cells =
            value.clone().narrow(1, start, h * w).swap_dims(1, 2).reshape([b * heads, h * w, d]);
        start += h * w;
        let loc = locations.clone().narrow(3, level, 1).permute([0, 2, 1, 3, 4, 5]).reshape([
            b * heads,
            q * p,
            2,
        ]);
        let attention = weights.clone().narrow(3, level, 1).permute([0, 2, 1, 3, 4]).reshape([
            b * heads,
            q * p,
            1,
        ]);
        let x = loc.clone().narrow(2, 0, 1) * w as f64 - 0.5;
        let y = loc.narrow(2, 1, 1) * h as f64 - 0.5;
        let (x0, y0) = (x.clone().detach().floor(), y.clone().detach().floor());
        let (fx, fy) = (x - x0.clone(), y - y0.clone());
        for (dx, dy) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
            let (xi, yi) = (x0.clone() + dx as f64, y0.clone() + dy as f64);
            let inside = |place: &Tensor<3>, size: usize| {
                let place = place.clone();
                place
                    .clone()
                    .greater_equal_elem(0.0)
                    .bool_and(place.lower_elem(size as f64))
                    .float()
                    .cast(value.dtype())
            };
            let inside = inside(&xi, w) * inside(&yi, h);
            let index =
                (yi.clamp(0.0, h as f64 - 1.0) * w as f64 + xi.clamp(0.0, w as f64 - 1.0)).int();
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
    out.expect("at least one level").reshape([b, heads, q, d]).swap_dims(1, 2).reshape([
        b,
        q,
        heads * d,
    ])
}

const SHAPES: [[usize; 2]; 3] = [[2, 3], [4, 5], [1, 2]];
const CELLS: usize = 28;

#[test]
fn equals_a_composition_of_gathers() {
    for (d_head, points) in [(3, 2), (9, 1)] {
        let [batch, queries, heads, levels] = [2, 3, 2, 3];
        let run = |operator: fn(Tensor<4>, &[[usize; 2]], Tensor<6>, Tensor<5>) -> Tensor<3>| {
            move |x: &[Tensor<1>]| {
                let value = x[0].clone().reshape([batch, CELLS, heads, d_head]);
                let locations = x[1].clone().reshape([batch, queries, heads, levels, points, 2]);
                let weights = x[2].clone().reshape([batch, queries, heads, levels, points]);
                operator(value, &SHAPES, locations, weights).reshape([-1])
            }
        };
        let samples = batch * queries * heads * levels * points;
        // Some locations are outside the maps, some far outside.
        let locations = random(2, samples * 2, 1.0).into_iter().map(|x| 0.5 + 0.9 * x).collect();
        let inputs =
            [random(1, batch * CELLS * heads * d_head, 1.0), locations, random(3, samples, 1.0)];
        check(
            &run(deformable_attention),
            &run(composed),
            &inputs,
            Tolerance { output: 2e-6, gradient: 1e-5 },
        );
    }
}

#[test]
fn one_place_by_hand() {
    for (device, dtype) in
        devices().iter().flat_map(|device| [DType::F32, DType::F64].map(|dtype| (device, dtype)))
    {
        let value =
            Tensor::<1>::from_data([1.0, 2.0, 3.0, 4.0], (device, dtype)).reshape([1, 4, 1, 1]);
        let at = |x: f32, y: f32| {
            let location =
                Tensor::<1>::from_data([x, y], (device, dtype)).reshape([1, 1, 1, 1, 1, 2]);
            elements(deformable_attention(
                value.clone(),
                &[[2, 2]],
                location,
                Tensor::ones([1, 1, 1, 1, 1], (device, dtype)),
            ))[0]
        };
        assert_eq!(at(0.25, 0.25), 1.0, "center of the first cell");
        assert_eq!(at(0.5, 0.5), 2.5, "mean of all four");
        assert_eq!(at(1.0, 0.75), 2.0, "half of the last cell, half of the outside");
        assert_eq!(at(-1.0, 0.5), 0.0);
        for nowhere in [f32::NAN, f32::INFINITY, f32::MIN] {
            assert_eq!(at(nowhere, 0.5), 0.0, "{nowhere} on {device:?} in {dtype:?}");
        }
    }
}

#[test]
fn blocks_of_queries_and_views() {
    for device in devices().into_iter().map(Device::autodiff) {
        let [batch, queries, heads, levels, points, d_head] = [3, 45, 4, 3, 4, 16];
        let leaf = |seed, shape: [usize; 4]| {
            Tensor::<4>::from_data(random_tensor(seed, shape, 1.0).into_data(), &device)
                .require_grad()
        };
        let value = leaf(4, [batch, heads, CELLS, d_head]);
        let locations = leaf(5, [batch, queries, heads, levels * points * 2]);
        let weights = leaf(6, [heads, queries, batch, levels * points]);
        let [fast, slow] = [deformable_attention, composed].map(|operator| {
            let places =
                (locations.clone() * 0.7 + 0.5).reshape([batch, queries, heads, levels, points, 2]);
            let shares =
                weights.clone().swap_dims(0, 2).reshape([batch, queries, heads, levels, points]);
            let y = operator(value.clone().swap_dims(1, 2), &SHAPES, places, shares);
            let grads = y.clone().square().sum().backward();
            let leaves = [&value, &locations, &weights].map(|t| elements(t.grad(&grads).unwrap()));
            (elements(y), leaves)
        });
        assert_close("output", &fast.0, &slow.0, 1e-5);
        for (i, (fast, slow)) in fast.1.iter().zip(&slow.1).enumerate() {
            assert_close(&format!("gradient {i}"), fast, slow, 1e-4);
        }
    }
}
