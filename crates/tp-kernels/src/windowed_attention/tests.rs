use burn::tensor::{Device, TensorData, activation};

use super::*;
use crate::testing::{Tolerance, assert_close, check, devices, elements, random, random_tensor};

const CELLS: usize = 7;

/// Windows of different sizes in two images of three queries: a whole row among them.
fn windows() -> Arc<Windows> {
    let bias = |cell: usize| (cell as f32 * 0.37).sin();
    let window = |cells: &[u32]| cells.iter().map(|&cell| (cell, bias(cell as usize))).collect();
    Arc::new(Windows::new(
        [&[2][..], &[0, 6], &[0, 1, 2, 3, 4, 5, 6], &[5, 3, 1], &[6], &[2, 4]].map(window),
    ))
}

/// Attention over all cells under a dense mask.
fn dense(
    queries: Tensor<3>,
    keys: Tensor<3>,
    values: Tensor<3>,
    windows: &Arc<Windows>,
    heads: usize,
) -> Tensor<3> {
    let [batch, n_queries, width] = queries.dims();
    let cells = keys.dims()[1];
    let mut bias = vec![-1e9_f32; batch * n_queries * cells];
    for query in 0..windows.len() {
        let (own, own_bias) = windows.get(query);
        own.iter()
            .zip(own_bias)
            .for_each(|(&cell, &added)| bias[query * cells + cell as usize] = added);
    }
    let bias = Tensor::<4>::from_data(
        TensorData::new(bias, [batch, 1, n_queries, cells]),
        (&queries.device(), queries.dtype()),
    );
    let split =
        |x: Tensor<3>, n: usize| x.reshape([batch, n, heads, width / heads]).swap_dims(1, 2);
    let scores = split(queries, n_queries).matmul(split(keys, cells).swap_dims(2, 3))
        * (1.0 / ((width / heads) as f64).sqrt())
        + bias;
    activation::softmax(scores, 3)
        .matmul(split(values, cells))
        .swap_dims(1, 2)
        .reshape([batch, n_queries, width])
}

type Operator = fn(Tensor<3>, Tensor<3>, Tensor<3>, &Arc<Windows>, usize) -> Tensor<3>;

#[test]
fn equals_dense_attention_under_the_same_mask() {
    for (heads, width) in [(1, 3), (2, 8), (9, 18)] {
        let run = |operator: Operator| {
            move |x: &[Tensor<1>]| {
                let [queries, keys, values] = [(0, 3), (1, CELLS), (2, CELLS)]
                    .map(|(i, n)| x[i].clone().reshape([2, n, width]));
                operator(queries, keys, values, &windows(), heads).reshape([-1])
            }
        };
        let inputs = [
            random(1, 6 * width, 2.0),
            random(2, 2 * CELLS * width, 2.0),
            random(3, 2 * CELLS * width, 2.0),
        ];
        check(
            &run(windowed_attention),
            &run(dense),
            &inputs,
            Tolerance { output: 2e-6, gradient: 1e-5 },
        );
    }
}

#[test]
fn many_queries_over_many_cells() {
    for device in devices().into_iter().map(Device::autodiff) {
        let [batch, n_queries, cells, heads, width] = [2, 70, 300, 4, 64];
        let mut at = random(9, batch * n_queries * 40, 1.0).into_iter();
        let mut window = || {
            let mut cells: Vec<u32> =
                at.by_ref().take(40).map(|x| ((x + 1.0) * 150.0) as u32 % 300).collect();
            cells.sort_unstable();
            cells.dedup();
            cells.into_iter().map(|cell| (cell, -0.01 * cell as f32)).collect::<Vec<_>>()
        };
        let windows = Arc::new(Windows::new((0..batch * n_queries).map(|_| window())));
        let leaf = |seed, n| {
            Tensor::<3>::from_data(random_tensor(seed, [batch, n, width], 1.0).into_data(), &device)
                .require_grad()
        };
        let leaves = [leaf(1, n_queries), leaf(2, cells), leaf(3, cells)];
        let [fast, slow] = [windowed_attention as Operator, dense].map(|operator| {
            let [queries, keys, values] = leaves.clone();
            let y = operator(queries, keys, values, &windows, heads);
            let grads = y.clone().square().sum().backward();
            (elements(y), leaves.each_ref().map(|leaf| elements(leaf.grad(&grads).unwrap())))
        });
        assert_close("output", &fast.0, &slow.0, 1e-5);
        for (fast, slow) in fast.1.iter().zip(&slow.1) {
            assert_close("gradient", fast, slow, 1e-5);
        }
    }
}

#[test]
#[should_panic(expected = "window 1 is empty")]
fn window_without_cells_is_refused() {
    let _ = Windows::new([vec![(0, 0.0)], Vec::new()]);
}
