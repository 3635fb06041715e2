use burn::tensor::activation;

use super::*;
use crate::testing::{Tolerance, check, devices, elements, random, random_on, random_tensor};
use burn::tensor::{Device, Int, TensorData};

#[derive(Clone, Copy)]
struct Case {
    lengths: &'static [usize],
    prefix: usize,
    rows: usize,
    tokens: usize,
    heads: AttentionHeads,
    d_head: usize,
    angle_groups: usize,
}

/// Angles at positions that differ between groups.
fn angles(case: Case, like: &Tensor<1>) -> RotaryAngles {
    let half = case.d_head / 2;
    let angle = |group: usize, token: usize, j: usize| {
        ((3 * group + token) as f64 * 0.7_f64.powi(j as i32)).sin() * 2.0
    };
    let all = || {
        (0..case.angle_groups).flat_map(move |g| {
            (0..case.tokens).flat_map(move |t| (0..half).map(move |j| angle(g, t, j)))
        })
    };
    let tensor = |f: fn(f64) -> f64| {
        let data = TensorData::new(all().map(f).collect(), [case.angle_groups, case.tokens, half]);
        Tensor::<3>::from_data(data, (&like.device(), like.dtype()))
    };
    RotaryAngles { cos: tensor(f64::cos), sin: tensor(f64::sin) }
}

fn inputs(case: Case) -> [Tensor<1>; 3] {
    let batch = case.lengths.len() * case.rows;
    let qkv =
        batch * case.tokens * case.heads.kv_heads * (case.heads.queries_per_key + 2) * case.d_head;
    let prefix = case.lengths.len() * case.heads.kv_heads * case.prefix * case.d_head;
    [qkv, prefix, prefix].map(|n| random_tensor(n as u64, [n], 1.5))
}

fn shaped(case: Case, x: &[Tensor<1>]) -> (Tensor<3>, AttentionPrefix<'static>, RotaryAngles) {
    let AttentionHeads { kv_heads, queries_per_key, .. } = case.heads;
    let groups = case.lengths.len();
    let qkv = x[0].clone().reshape([
        groups * case.rows,
        case.tokens,
        kv_heads * (queries_per_key + 2) * case.d_head,
    ]);
    let [keys, values] =
        [1, 2].map(|i: usize| x[i].clone().reshape([groups * kv_heads, case.prefix, case.d_head]));
    (qkv, AttentionPrefix { keys, values, lengths: case.lengths }, angles(case, &x[0]))
}

fn ours(case: Case, x: &[Tensor<1>]) -> Tensor<1> {
    let (qkv, prefix, angles) = shaped(case, x);
    causal_attention(qkv, case.heads, Some(prefix), angles).reshape([-1])
}

/// The keys of prefix and row concatenated, row by row and head by head.
fn composed(case: Case, x: &[Tensor<1>]) -> Tensor<1> {
    let (qkv, prefix, angles) = shaped(case, x);
    let AttentionHeads { kv_heads, queries_per_key, window } = case.heads;
    let (d, half, tokens) = (case.d_head, case.d_head / 2, case.tokens);
    let mut rows = Vec::new();
    for row in 0..case.lengths.len() * case.rows {
        let group = row / case.rows;
        let length = case.lengths[group];
        let at = if case.angle_groups == 1 { 0 } else { group };
        let [cos, sin] =
            [&angles.cos, &angles.sin].map(|a| a.clone().narrow(0, at, 1).reshape([tokens, half]));
        let turn = |x: Tensor<2>| {
            let (a, b) = (x.clone().narrow(1, 0, half), x.narrow(1, half, half));
            Tensor::cat(
                vec![
                    a.clone() * cos.clone() - b.clone() * sin.clone(),
                    b * cos.clone() + a * sin.clone(),
                ],
                1,
            )
        };
        let mut heads = Vec::new();
        for head in 0..kv_heads {
            let slot = |slot: usize| {
                let start = (head * (queries_per_key + 2) + slot) * d;
                qkv.clone().narrow(0, row, 1).narrow(2, start, d).reshape([tokens, d])
            };
            let shared = |x: &Tensor<3>| {
                x.clone().narrow(0, group * kv_heads + head, 1).reshape([case.prefix, d])
            };
            let join = |x: &Tensor<3>, own: Tensor<2>| {
                if length == 0 {
                    own
                } else {
                    Tensor::cat(vec![shared(x).narrow(0, 0, length), own], 0)
                }
            };
            let keys = join(&prefix.keys, turn(slot(queries_per_key)));
            let values = join(&prefix.values, slot(queries_per_key + 1));
            for query in 0..queries_per_key {
                // Burn's division by a scalar computes its gradient in single precision.
                let scores =
                    turn(slot(query)).matmul(keys.clone().transpose()) * (1.0 / (d as f64).sqrt());
                let token = Tensor::<1, Int>::arange(0..tokens as i64, &scores.device())
                    .reshape([tokens, 1]);
                let key = Tensor::<1, Int>::arange(0..(length + tokens) as i64, &scores.device())
                    .reshape([1, length + tokens]);
                let shape = [tokens, length + tokens];
                let place = token.add_scalar(length as i64).expand(shape);
                let key = key.expand(shape);
                let late = key.clone().greater(place.clone());
                let mut scores = scores.mask_fill(late, -1e9);
                if let Some(window) = window {
                    let early = key.lower_equal(place.sub_scalar(window as i64));
                    scores = scores.mask_fill(early, -1e9);
                }
                heads.push(activation::softmax(scores, 1).matmul(values.clone()));
            }
        }
        rows.push(Tensor::cat(heads, 1));
    }
    Tensor::cat(rows, 0).reshape([-1])
}

const CASES: [Case; 4] = [
    // Two rows for each of two images, one of them with padding; two queries share a key.
    Case {
        lengths: &[3, 2],
        prefix: 3,
        rows: 2,
        tokens: 4,
        heads: AttentionHeads { kv_heads: 2, queries_per_key: 2, window: None },
        d_head: 4,
        angle_groups: 2,
    },
    // A fully masked prefix.
    Case {
        lengths: &[0],
        prefix: 1,
        rows: 3,
        tokens: 3,
        heads: AttentionHeads { kv_heads: 1, queries_per_key: 1, window: None },
        d_head: 6,
        angle_groups: 1,
    },
    // One token per row, as in decoding.
    Case {
        lengths: &[2, 2],
        prefix: 2,
        rows: 1,
        tokens: 1,
        heads: AttentionHeads { kv_heads: 2, queries_per_key: 1, window: None },
        d_head: 2,
        angle_groups: 1,
    },
    // A window that reaches from the first tokens back into the prefix, and from the last ones not.
    Case {
        lengths: &[3, 2],
        prefix: 3,
        rows: 2,
        tokens: 5,
        heads: AttentionHeads { kv_heads: 2, queries_per_key: 2, window: Some(3) },
        d_head: 4,
        angle_groups: 2,
    },
];

#[test]
fn equals_rows_and_heads_one_by_one() {
    for case in CASES {
        let inputs = inputs(case).map(elements);
        let tolerance = Tolerance { output: 2e-6, gradient: 1e-5 };
        // The composition has no gradients of a fully masked prefix.
        if case.lengths == [0] {
            let [prefix_keys, prefix_values] = [1, 2].map(|i| inputs[i].clone());
            let with_prefix = |x: &[Tensor<1>]| {
                let fixed = [&prefix_keys, &prefix_values].map(|p| {
                    Tensor::<1>::from_data(
                        TensorData::new(p.clone(), [p.len()]),
                        (&x[0].device(), x[0].dtype()),
                    )
                });
                [x[0].clone(), fixed[0].clone(), fixed[1].clone()]
            };
            check(
                &|x| ours(case, &with_prefix(x)),
                &|x| composed(case, &with_prefix(x)),
                &inputs[..1],
                tolerance,
            );
        } else {
            check(&|x| ours(case, x), &|x| composed(case, x), &inputs, tolerance);
        }
    }
}

#[test]
fn several_blocks_of_queries_equal_the_composition() {
    let windows = [None, Some(70)];
    for (device, window) in devices()
        .into_iter()
        .map(Device::autodiff)
        .flat_map(|device| windows.map(|window| (device.clone(), window)))
    {
        let case = Case {
            lengths: &[5, 9],
            prefix: 9,
            rows: 2,
            tokens: 150,
            heads: AttentionHeads { kv_heads: 2, queries_per_key: 2, window },
            d_head: 32,
            angle_groups: 2,
        };
        let run = |operator: fn(Case, &[Tensor<1>]) -> Tensor<1>| {
            let leaves =
                inputs(case).map(|x| Tensor::<1>::from_data(x.into_data(), &device).require_grad());
            let y = operator(case, &leaves);
            let grads = y.clone().square().sum().backward();
            (elements(y), leaves.map(|leaf| elements(leaf.grad(&grads).unwrap())))
        };
        let (fast, slow) = (run(ours), run(composed));
        crate::testing::assert_close("output", &fast.0, &slow.0, 1e-5);
        for (i, (fast, slow)) in fast.1.iter().zip(&slow.1).enumerate() {
            crate::testing::assert_close(&format!("gradient {i}"), fast, slow, 2e-4);
        }
    }
}

#[test]
fn first_token_without_a_prefix_answers_with_its_own_value() {
    let case = Case { tokens: 2, ..CASES[1] };
    for device in devices() {
        let x = random(7, 3 * 2 * 3 * 6, 1.0);
        let qkv = Tensor::<1>::from_data(TensorData::new(x.clone(), [x.len()]), &device);
        let unseen = random_on(&device, 1, [6], 1.0);
        let y = elements(ours(case, &[qkv, unseen.clone(), unseen]));
        // A row has 2 tokens of 3 slots of 6 numbers; its outputs are 2 × 6.
        for row in 0..3 {
            let value = &x[row * 36 + 12..row * 36 + 18];
            for (y, value) in y[row * 12..].iter().zip(value) {
                assert!((y - value).abs() < 1e-6);
            }
        }
    }
}
