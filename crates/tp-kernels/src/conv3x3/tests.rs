use burn::prelude::*;
use burn::tensor::{module, ops::ConvOptions};

use super::*;
use crate::testing::{Tolerance, assert_close, check, devices, elements, random, random_tensor};

fn composed(x: Tensor<4>, weight: Tensor<4>) -> Tensor<4> {
    let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
    module::conv2d(x.permute([0, 3, 1, 2]), weight, None, options).permute([0, 2, 3, 1])
}

#[test]
fn equals_the_channels_first_convolution() {
    for (shape, to) in [([2, 3, 4, 2], 3), ([1, 1, 1, 1], 2), ([1, 10, 2, 1], 1)] {
        let from = shape[3];
        let run = |operator: fn(Tensor<4>, Tensor<4>) -> Tensor<4>| {
            move |x: &[Tensor<1>]| {
                operator(x[0].clone().reshape(shape), x[1].clone().reshape([to, from, 3, 3]))
                    .reshape([-1])
            }
        };
        let inputs = [random(1, shape.iter().product(), 1.0), random(2, to * from * 9, 1.0)];
        check(&run(conv3x3), &run(composed), &inputs, Tolerance { output: 2e-6, gradient: 1e-5 });
    }
}

#[test]
fn bands_and_images_meet() {
    for device in devices().into_iter().map(Device::autodiff) {
        for (shape @ [batch, height, width, from], to) in
            [([2, 35, 7, 5], 9), ([1, 64, 3, 8], 4), ([3, 8, 1, 3], 2)]
        {
            // Permuted inputs and a sliced filter: nothing here is contiguous.
            let leaf = |seed, shape| {
                Tensor::<4>::from_data(random_tensor(seed, shape, 1.0).into_data(), &device)
                    .require_grad()
            };
            let (x, weight) =
                (leaf(4, [batch, from, height, width]), leaf(5, [to, from + 1, 3, 3]));
            let [fast, slow] = [conv3x3, composed].map(|operator| {
                let y =
                    operator(x.clone().permute([0, 2, 3, 1]), weight.clone().narrow(1, 1, from));
                let weights = Tensor::from_data(
                    random_tensor(7, [batch, height, width, to], 1.0).into_data(),
                    &device,
                );
                let grads = (y.clone() * weights).sum().backward();
                [Some(y.inner()), x.grad(&grads), weight.grad(&grads)].map(|t| elements(t.unwrap()))
            });
            for (i, (fast, slow)) in fast.iter().zip(&slow).enumerate() {
                assert_close(&format!("{shape:?}, tensor {i}"), fast, slow, 2e-5);
            }
        }
    }
}
