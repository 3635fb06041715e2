use burn::prelude::*;
use burn::tensor::{module, ops::ConvOptions};

use super::*;
use crate::testing::{Tolerance, assert_close, check, devices, elements, random, random_tensor};

fn composed(x: Tensor<4>, weight: Tensor<4>, bias: Tensor<1>) -> Tensor<4> {
    let [channels, _, k, _] = weight.dims();
    let options = ConvOptions::new([1, 1], [k / 2, k / 2], [1, 1], channels);
    module::conv2d(x.permute([0, 3, 1, 2]), weight, Some(bias), options).permute([0, 2, 3, 1])
}

fn check_size(shape @ [_, _, _, channels]: [usize; 4], k: usize) {
    let run = |operator: fn(Tensor<4>, Tensor<4>, Tensor<1>) -> Tensor<4>| {
        move |x: &[Tensor<1>]| {
            let weight = x[1].clone().reshape([channels, 1, k, k]);
            operator(x[0].clone().reshape(shape), weight, x[2].clone()).reshape([-1])
        }
    };
    let inputs = [random(1, shape.iter().product(), 1.0), random(2, channels * k * k, 1.0), random(3, channels, 1.0)];
    check(&run(depthwise_conv2d), &run(composed), &inputs, Tolerance { output: 2e-6, gradient: 1e-5 });
}

#[test]
fn equals_the_grouped_convolution() {
    check_size([2, 3, 5, 3], 3);
    check_size([1, 4, 2, 2], 7);
    check_size([1, 2, 3, 2], 1);
    check_size([1, 3, 3, 2], 9); // no compiled loop
}

#[test]
fn bands_tiles_and_channel_groups_meet() {
    for device in devices().into_iter().map(Device::autodiff) {
        for (shape @ [_, _, _, channels], k) in [([2, 19, 17, 12], 7), ([1, 8, 8, 16], 5), ([3, 9, 1, 8], 3)] {
            let leaf = |seed, shape| Tensor::<4>::from_data(random_tensor(seed, shape, 1.0).into_data(), &device).require_grad();
            // Permuted inputs and a sliced filter: nothing here is contiguous.
            let x = leaf(4, [shape[0], channels, shape[1], shape[2]]);
            let weight = leaf(5, [channels, 2, k, k]);
            let bias = leaf(6, [1, 1, 1, channels]);
            let [fast, slow] = [depthwise_conv2d, composed].map(|operator| {
                let y = operator(x.clone().permute([0, 2, 3, 1]), weight.clone().narrow(1, 1, 1), bias.clone().reshape([channels]));
                let weights = Tensor::from_data(random_tensor(7, shape, 1.0).into_data(), &device);
                let grads = (y.clone() * weights).sum().backward();
                [Some(y.inner()), x.grad(&grads), weight.grad(&grads), bias.grad(&grads)].map(|t| elements(t.unwrap()))
            });
            for (i, (fast, slow)) in fast.iter().zip(&slow).enumerate() {
                assert_close(&format!("{shape:?}, {k}, tensor {i}"), fast, slow, 2e-5);
            }
        }
    }
}
