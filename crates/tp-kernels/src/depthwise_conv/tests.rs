use burn::prelude::*;
use burn::tensor::{
    module,
    ops::{ConvOptions, PadMode},
};

use super::*;
use crate::testing::{Tolerance, assert_close, check, devices, elements, random, random_tensor};

/// Burn's own grouped convolution, with explicit zeros for SAME padding.
fn composed(x: Tensor<4>, weight: Tensor<4>, bias: Tensor<1>, stride: usize) -> Tensor<4> {
    let ([_, height, width, channels], [_, _, k, _]) = (x.dims(), weight.dims());
    let zeros = |side: usize| ((side.div_ceil(stride) - 1) * stride + k).saturating_sub(side);
    let [rows, columns] =
        [height, width].map(|side| (zeros(side) / 2, zeros(side) - zeros(side) / 2));
    let options = ConvOptions::new([stride; 2], [0, 0], [1, 1], channels);
    let x = x.permute([0, 3, 1, 2]).pad([rows, columns], PadMode::Constant(0.0));
    module::conv2d(x, weight, Some(bias), options).permute([0, 2, 3, 1])
}

fn check_size(shape @ [_, _, _, channels]: [usize; 4], k: usize, stride: usize) {
    let run = |operator: fn(Tensor<4>, Tensor<4>, Tensor<1>, usize) -> Tensor<4>| {
        move |x: &[Tensor<1>]| {
            let weight = x[1].clone().reshape([channels, 1, k, k]);
            operator(x[0].clone().reshape(shape), weight, x[2].clone(), stride).reshape([-1])
        }
    };
    let inputs = [
        random(1, shape.iter().product(), 1.0),
        random(2, channels * k * k, 1.0),
        random(3, channels, 1.0),
    ];
    check(
        &run(depthwise_conv2d_same),
        &run(composed),
        &inputs,
        Tolerance { output: 2e-6, gradient: 1e-5 },
    );
}

#[test]
fn equals_the_grouped_convolution() {
    check_size([2, 3, 5, 3], 3, 1);
    check_size([1, 4, 2, 2], 7, 1);
    check_size([1, 2, 3, 2], 1, 1);
    check_size([1, 3, 3, 2], 9, 1); // no compiled loop
}

#[test]
fn stride_is_that_of_same_padding() {
    check_size([2, 4, 5, 3], 3, 2); // one zero below, two columns of zeros
    check_size([1, 5, 4, 2], 5, 2);
    check_size([1, 4, 3, 2], 1, 2);
    check_size([1, 1, 2, 2], 7, 2);
    check_size([1, 5, 7, 2], 3, 3); // no compiled loop
}

#[test]
fn an_even_side_has_its_odd_zero_behind() {
    // A filter of ones over 1, 2, 4, 8: the first sum begins at the first number, and the last one
    // ends in the padding.
    let x = Tensor::<4>::from_data([[[[1.0], [2.0], [4.0], [8.0]]]], &Device::flex());
    let y = depthwise_conv2d_same(
        x,
        Tensor::ones([1, 1, 3, 3], &Device::flex()),
        Tensor::zeros([1], &Device::flex()),
        2,
    );
    assert_eq!(elements(y), [7.0, 12.0]);
}

#[test]
fn relu6_behind_it_is_relu6_behind_it() {
    for device in devices().into_iter().flat_map(|device| [device.clone(), device.autodiff()]) {
        for (k, stride) in [(3, 1), (5, 2), (9, 1)] {
            let leaf = |seed, shape: [usize; 4]| {
                Tensor::<4>::from_data(random_tensor(seed, shape, 3.0).into_data(), &device)
            };
            let (x, weight, bias) = (
                leaf(8, [1, 9, 10, 12]),
                leaf(9, [12, 1, k, k]),
                leaf(10, [1, 1, 1, 12]).reshape([12]),
            );
            let expected = crate::relu6(depthwise_conv2d_same(
                x.clone(),
                weight.clone(),
                bias.clone(),
                stride,
            ));
            let learned = depthwise_conv2d_relu6(x.clone(), weight.clone(), bias.clone(), stride);
            assert_close("relu6", &elements(learned), &elements(expected.clone()), 1e-6);
            assert!(elements(expected).iter().filter(|&&y| y == 6.0).count() > 10);
        }
    }
}

#[test]
fn gradient_passes_the_relu6_behind_it() {
    for device in devices().into_iter().map(Device::autodiff) {
        let weight =
            Tensor::<4>::from_data(random_tensor(9, [12, 1, 3, 3], 3.0).into_data(), &device)
                .require_grad();
        let (x, bias) = (random_tensor(8, [1, 9, 10, 12], 3.0), Tensor::zeros([12], &device));
        let x = Tensor::<4>::from_data(x.into_data(), &device);
        let of = |y: Tensor<4>| elements(weight.grad(&y.square().sum().backward()).unwrap());
        let fused = of(depthwise_conv2d_relu6(x.clone(), weight.clone(), bias.clone(), 2));
        let apart = of(composed(x.clone(), weight.clone(), bias.clone(), 2).clamp(0.0, 6.0));
        assert_close("gradient", &fused, &apart, 1e-5);
    }
}

#[test]
fn bands_tiles_and_channel_groups_meet() {
    for device in devices().into_iter().map(Device::autodiff) {
        for (shape @ [_, _, _, channels], k, stride) in [
            ([2, 19, 17, 12], 7, 1),
            ([1, 8, 8, 16], 5, 1),
            ([3, 9, 1, 8], 3, 1),
            ([2, 37, 18, 12], 3, 2),
            ([1, 70, 19, 8], 5, 2),
            ([1, 6, 33, 4], 7, 2),
        ] {
            let leaf = |seed, shape| {
                Tensor::<4>::from_data(random_tensor(seed, shape, 1.0).into_data(), &device)
                    .require_grad()
            };
            // Permuted inputs and a sliced filter: nothing here is contiguous.
            let x = leaf(4, [shape[0], channels, shape[1], shape[2]]);
            let weight = leaf(5, [channels, 2, k, k]);
            let bias = leaf(6, [1, 1, 1, channels]);
            let [fast, slow] = [depthwise_conv2d_same, composed].map(|operator| {
                let y = operator(
                    x.clone().permute([0, 2, 3, 1]),
                    weight.clone().narrow(1, 1, 1),
                    bias.clone().reshape([channels]),
                    stride,
                );
                let weights =
                    Tensor::from_data(random_tensor(7, y.dims(), 1.0).into_data(), &device);
                let grads = (y.clone() * weights).sum().backward();
                [Some(y.inner()), x.grad(&grads), weight.grad(&grads), bias.grad(&grads)]
                    .map(|t| elements(t.unwrap()))
            });
            for (i, (fast, slow)) in fast.iter().zip(&slow).enumerate() {
                assert_close(&format!("{shape:?}, {k}, {stride}, tensor {i}"), fast, slow, 2e-5);
            }
        }
    }
}
