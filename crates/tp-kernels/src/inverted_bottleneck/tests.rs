use burn::prelude::*;

use super::*;
use crate::testing::{assert_close, devices, elements, random_tensor};
use crate::{affine, depthwise_conv2d_same, relu6};

/// A random block of the given sizes on a device.
struct Block {
    x: Tensor<4>,
    weights: BottleneckWeights,
}

impl Block {
    fn random(shape: [usize; 4], inside: usize, to: usize, k: usize, device: &Device) -> Self {
        let on = |seed, shape: [usize; 4]| {
            Tensor::<4>::from_data(random_tensor(seed, shape, 1.5).into_data(), device)
        };
        let matrix = |seed, rows, columns| on(seed, [1, 1, rows, columns]).reshape([rows, columns]);
        let vector = |seed, n| on(seed, [1, 1, 1, n]).reshape([n]);
        let weights = BottleneckWeights {
            expand_weight: matrix(2, inside, shape[3]),
            expand_bias: vector(3, inside),
            depthwise_weight: on(4, [inside, 1, k, k]),
            depthwise_bias: vector(5, inside),
            project_weight: matrix(6, to, inside),
            project_bias: vector(7, to),
        };
        Self { x: on(1, shape), weights }
    }

    /// The three layers separately.
    fn composed(&self, form: BottleneckForm) -> Tensor<4> {
        let weights = self.weights.clone();
        let wide = relu6(affine(
            self.x.clone(),
            weights.expand_weight.transpose(),
            Some(weights.expand_bias),
        ));
        let filtered = relu6(depthwise_conv2d_same(
            wide,
            weights.depthwise_weight,
            weights.depthwise_bias,
            form.stride,
        ));
        let y = affine(filtered, weights.project_weight.transpose(), Some(weights.project_bias));
        if form.adds_input { y + self.x.clone() } else { y }
    }
}

/// Sizes that are not multiples of any block size: `[batch, height, width, from]`, inside, to,
/// side, stride.
const SIZES: [([usize; 4], usize, usize, usize, usize); 8] = [
    ([2, 9, 10, 4], 24, 4, 3, 1),
    ([1, 13, 21, 16], 96, 24, 3, 2),
    ([1, 12, 12, 24], 144, 24, 5, 1),
    ([2, 11, 8, 5], 30, 33, 5, 2),
    ([1, 1, 2, 3], 18, 3, 5, 1),
    ([1, 2, 1, 3], 7, 9, 5, 2),
    // No compiled loop.
    ([1, 6, 7, 3], 18, 3, 7, 1),
    ([1, 6, 7, 3], 18, 4, 3, 3),
];

#[test]
fn block_is_its_three_layers() {
    for device in devices().into_iter().flat_map(|device| [device.clone(), device.autodiff()]) {
        for (shape, inside, to, k, stride) in SIZES {
            let block = Block::random(shape, inside, to, k, &device);
            for adds_input in [false, stride == 1 && shape[3] == to] {
                let form = BottleneckForm { stride, adds_input };
                let made = inverted_bottleneck(block.x.clone(), block.weights.clone(), form);
                let expected = block.composed(form);
                assert_eq!(made.dims(), expected.dims());
                assert_close(
                    &format!("{shape:?}, {k}, {form:?}"),
                    &elements(made),
                    &elements(expected),
                    2e-5,
                );
            }
        }
    }
}

#[test]
fn slabs_meet() {
    // 40 columns of 1152 channels: eleven rows fit into a slab. A sum has 1152 terms of up to 9.
    for stride in [1, 2] {
        let block = Block::random([2, 47, 40, 8], 1152, 8, 5, &Device::flex());
        let form = BottleneckForm { stride, adds_input: stride == 1 };
        let made = elements(inverted_bottleneck(block.x.clone(), block.weights.clone(), form));
        assert_close("slabs", &made, &elements(block.composed(form)), 1e-3);
        assert_eq!(
            made,
            elements(inverted_bottleneck(block.x.clone(), block.weights.clone(), form)),
            "two runs must be equal"
        );
    }
}

#[test]
fn gradients_are_those_of_the_layers() {
    for device in devices().into_iter().map(Device::autodiff) {
        let mut block = Block::random([2, 5, 6, 3], 18, 3, 3, &device);
        block.x = block.x.require_grad();
        block.weights.expand_weight = block.weights.expand_weight.require_grad();
        block.weights.depthwise_weight = block.weights.depthwise_weight.require_grad();
        block.weights.project_bias = block.weights.project_bias.require_grad();
        let form = BottleneckForm { stride: 1, adds_input: true };
        let gradients = |y: Tensor<4>| {
            let gradients = y.square().sum().backward();
            let weights = &block.weights;
            [
                elements(block.x.grad(&gradients).unwrap()),
                elements(weights.expand_weight.grad(&gradients).unwrap()),
                elements(weights.depthwise_weight.grad(&gradients).unwrap()),
                elements(weights.project_bias.grad(&gradients).unwrap()),
            ]
        };
        let fused = gradients(inverted_bottleneck(block.x.clone(), block.weights.clone(), form));
        for (fused, apart) in fused.iter().zip(&gradients(block.composed(form))) {
            assert_close("gradient", fused, apart, 1e-4);
        }
    }
}
