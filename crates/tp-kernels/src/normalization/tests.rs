use burn::prelude::*;
use burn::tensor::activation;

use super::*;
use crate::testing::{Tolerance, assert_close, check, devices, elements, random, random_tensor};

const TOLERANCE: Tolerance = Tolerance { output: 2e-6, gradient: 1e-5 };

fn composed_layer_norm<const D: usize>(
    x: Tensor<D>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    eps: f64,
) -> Tensor<D> {
    let centered = x.clone() - x.mean_dim(D - 1);
    let variance = centered.clone().square().mean_dim(D - 1);
    centered / (variance + eps).sqrt() * gamma.unsqueeze() + beta.unsqueeze()
}

fn composed_rms_norm<const D: usize>(x: Tensor<D>, gamma: Tensor<1>, eps: f64) -> Tensor<D> {
    let mean_square = x.clone().square().mean_dim(D - 1);
    x / (mean_square + eps).sqrt() * gamma.unsqueeze()
}

#[test]
fn softmax_is_burns_and_its_gradient_is_the_slope() {
    for width in [1, 5, 39] {
        let shape = [2, 3, width];
        check(
            &|x| softmax(x[0].clone().reshape(shape)).reshape([-1]),
            &|x| activation::softmax(x[0].clone().reshape(shape), 2).reshape([-1]),
            &[random(1, 6 * width, 6.0)],
            TOLERANCE,
        );
    }
}

#[test]
fn softmax_of_closed_cells_is_exactly_zero() {
    for device in devices() {
        let x =
            Tensor::<2>::from_data([[0.0f32, -1e9, 1.0], [f32::NEG_INFINITY, 1e4, 1e4]], &device);
        let y = elements(softmax(x));
        assert_eq!((y[1], y[3], y[4], y[5]), (0.0, 0.0, 0.5, 0.5), "{device:?}");
    }
}

#[test]
fn layer_norm_is_its_formula() {
    let shape = [2, 4, 37];
    check(
        &|x| {
            layer_norm(x[0].clone().reshape(shape), x[1].clone(), x[2].clone(), 1e-6).reshape([-1])
        },
        &|x| {
            composed_layer_norm(x[0].clone().reshape(shape), x[1].clone(), x[2].clone(), 1e-6)
                .reshape([-1])
        },
        &[random(2, 296, 2.0), random(3, 37, 1.0), random(4, 37, 1.0)],
        TOLERANCE,
    );
}

#[test]
fn rms_norm_is_its_formula() {
    let shape = [8, 37];
    check(
        &|x| rms_norm(x[0].clone().reshape(shape), x[1].clone(), 1e-5).reshape([-1]),
        &|x| composed_rms_norm(x[0].clone().reshape(shape), x[1].clone(), 1e-5).reshape([-1]),
        &[random(5, 296, 2.0), random(6, 37, 1.0)],
        TOLERANCE,
    );
}

#[test]
fn views_and_shared_buffers_are_left_alone() {
    let x = random_tensor(7, [40, 70, 30], 3.0); // several pieces, the last one partial
    let gamma = random_tensor(8, [60], 1.0).narrow(0, 15, 30);
    let before = elements(x.clone());
    let view = x.clone().swap_dims(0, 1);
    let copy = Tensor::<3>::from_data(view.clone().into_data(), &Device::flex());
    assert_eq!(elements(softmax(view.clone())), elements(softmax(copy.clone())));
    assert_eq!(
        elements(rms_norm(view.clone(), gamma.clone(), 1e-5)),
        elements(rms_norm(copy.clone(), gamma.clone(), 1e-5))
    );
    let [of_view, of_copy] =
        [view, copy].map(|x| elements(layer_norm(x, gamma.clone(), gamma.clone(), 1e-5)));
    assert_eq!(of_view, of_copy);
    assert_eq!(elements(x), before);
}

#[test]
fn gradients_of_several_pieces() {
    for device in devices().into_iter().map(Device::autodiff) {
        let leaf = |seed, shape| {
            Tensor::<2>::from_data(random_tensor(seed, shape, 2.0).into_data(), &device)
                .require_grad()
        };
        let (x, gamma) = (leaf(9, [257, 130]), leaf(10, [1, 130]));
        let weights =
            Tensor::<2>::from_data(random_tensor(11, [257, 130], 1.0).into_data(), &device);
        let gradients = |y: Tensor<2>| {
            let grads = (y * weights.clone()).sum().backward();
            [x.grad(&grads), gamma.grad(&grads)].map(|g| elements(g.unwrap()))
        };
        let row = || gamma.clone().reshape([130]);
        let fast =
            gradients(softmax(rms_norm(layer_norm(x.clone(), row(), row(), 1e-5), row(), 1e-5)));
        let slow =
            composed_rms_norm(composed_layer_norm(x.clone(), row(), row(), 1e-5), row(), 1e-5);
        let slow = gradients(activation::softmax(slow, 1));
        assert_close("dx", &fast[0], &slow[0], 1e-5);
        assert_close("dgamma", &fast[1], &slow[1], 1e-4);
    }
}
