use burn::prelude::*;
use burn::tensor::activation;

use super::*;
use crate::testing::{Tolerance, assert_close, check, devices, elements, random, random_tensor};

fn composed(logits: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
    -activation::log_softmax(logits, 1).gather(1, targets.unsqueeze_dim::<2>(1)).squeeze_dim::<1>(1)
}

#[test]
fn equals_log_softmax_and_gather() {
    let targets = |device: &Device| Tensor::<1, Int>::from_data([3, 0, 40, 7, 7], device);
    check(
        &|x| token_cross_entropy(x[0].clone().reshape([5, 41]), targets(&x[0].device())),
        &|x| composed(x[0].clone().reshape([5, 41]), targets(&x[0].device())),
        &[random(1, 205, 6.0)],
        Tolerance { output: 1e-6, gradient: 1e-6 },
    );
}

#[test]
fn many_rows_of_a_view() {
    for device in devices().into_iter().map(Device::autodiff) {
        let logits = Tensor::<2>::from_data(random_tensor(2, [1003, 90], 4.0).into_data(), &device)
            .require_grad();
        let targets = Tensor::<1, Int>::arange(0..90, &device);
        let [fast, slow] = [token_cross_entropy, composed].map(|operator| {
            let y = operator(logits.clone().swap_dims(0, 1), targets.clone());
            elements(logits.grad(&y.square().sum().backward()).unwrap())
        });
        assert_close("gradient", &fast, &slow, 1e-5);
    }
}

#[test]
fn huge_logits_stay_finite() {
    for device in devices() {
        let logits = Tensor::<2>::from_data([[1e4f32, -1e9, 0.0]], &device);
        let loss = |target: i32| {
            elements(token_cross_entropy(logits.clone(), Tensor::from_data([target], &device)))[0]
        };
        assert_eq!((loss(0), loss(2)), (0.0, 1e4), "{device:?}");
    }
}

#[test]
#[should_panic(expected = "target 3 is not in a vocabulary of 3")]
fn a_target_outside_of_the_vocabulary_is_named() {
    let targets = Tensor::<1, Int>::from_data([3], &Device::flex());
    token_cross_entropy(random_tensor(1, [1, 3], 1.0), targets);
}
