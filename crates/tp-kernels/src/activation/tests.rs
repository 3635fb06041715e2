use burn::prelude::*;
use burn::tensor::{DType, activation};

use super::*;
use crate::testing::{Tolerance, check, devices, elements, random, random_tensor};

const TOLERANCE: Tolerance = Tolerance { output: 3e-7, gradient: 5e-7 };

#[test]
fn gelu_is_burns_and_its_gradient_is_the_slope() {
    check(
        &|x| gelu(x[0].clone()),
        &|x| activation::gelu(x[0].clone()),
        &[random(1, 77, 5.0)],
        TOLERANCE,
    );
}

#[test]
fn silu_is_burns_and_its_gradient_is_the_slope() {
    check(
        &|x| silu(x[0].clone()),
        &|x| activation::silu(x[0].clone()),
        &[random(2, 77, 8.0)],
        TOLERANCE,
    );
}

#[test]
fn silu_gate_is_a_product() {
    let composed = |x: &[Tensor<1>]| activation::silu(x[0].clone()) * x[1].clone();
    let inputs = [random(3, 77, 5.0), random(4, 77, 2.0)];
    check(
        &|x| silu_gate(x[0].clone(), x[1].clone()),
        &composed,
        &inputs,
        Tolerance { output: 1e-6, gradient: 1e-6 },
    );
}

#[test]
fn relu6_is_flat_outside_of_its_slope() {
    let composed = |x: &[Tensor<1>]| x[0].clone().clamp(0.0, 6.0);
    check(&|x| relu6(x[0].clone()), &composed, &[random(7, 77, 9.0)], TOLERANCE);
    for device in devices().into_iter().map(Device::autodiff) {
        let x = Tensor::<1>::from_data([-1.0f32, 0.0, 0.5, 6.0, 7.0], (&device, DType::F32))
            .require_grad();
        let y = relu6(x.clone());
        assert_eq!(elements(y.clone()), [0.0, 0.0, 0.5, 6.0, 6.0]);
        let gradients = (y * 3.0).sum().backward();
        assert_eq!(elements(x.grad(&gradients).unwrap()), [0.0, 0.0, 3.0, 0.0, 0.0], "{device:?}");
    }
    let nothing = elements(relu6(Tensor::<1>::from_data([f32::NAN], &Device::flex())));
    assert!(nothing[0].is_nan());
}

#[test]
fn views_and_shared_buffers_are_left_alone() {
    let x = random_tensor(5, [40, 70, 30], 3.0); // several pieces, the last one partial
    let view = x.clone().slice([3..33, 1..70, 2..29]).swap_dims(0, 2);
    let copy = Tensor::<3>::from_data(view.clone().into_data(), &Device::flex());
    let before = elements(x.clone());
    assert_eq!(elements(gelu(view.clone())), elements(gelu(copy.clone())));
    assert_eq!(elements(silu(view.clone())), elements(silu(copy.clone())));
    assert_eq!(
        elements(silu_gate(view.clone(), view.clone() + 1.0)),
        elements(silu_gate(copy.clone(), copy + 1.0))
    );
    drop(view);
    assert_eq!(
        elements(gelu(x.clone())),
        elements(gelu(x.clone() * 1.0)),
        "out of place and in place"
    );
    assert_eq!(elements(x), before);
}

#[test]
fn gradients_of_several_pieces() {
    for device in devices().into_iter().map(Device::autodiff) {
        let x = Tensor::<2>::from_data(random_tensor(6, [300, 129], 3.0).into_data(), &device)
            .require_grad();
        let fast = silu_gate(gelu(x.clone()), silu(x.clone().swap_dims(0, 1)).swap_dims(0, 1));
        let slow = activation::silu(activation::gelu(x.clone())) * activation::silu(x.clone());
        let [fast, slow] =
            [fast, slow].map(|y| elements(x.grad(&(y.clone() * y).sum().backward()).unwrap()));
        crate::testing::assert_close("gradient", &fast, &slow, 1e-5);
    }
}

#[test]
fn extremes_do_not_overflow() {
    for device in devices() {
        let x = Tensor::<1>::from_data(
            [-1e30f32, -200.0, -0.0, 0.0, 200.0, 1e30],
            (&device, DType::F32),
        );
        assert_eq!(
            elements(gelu(x.clone())),
            [0.0, 0.0, 0.0, 0.0, 200.0, f64::from(1e30f32)],
            "{device:?}"
        );
        let silu = elements(silu(x));
        assert!(
            silu[1].abs() < 1e-30 && silu[4] == 200.0 && silu.iter().all(|y| y.is_finite()),
            "{device:?}: {silu:?}"
        );
    }
}

#[test]
fn nothing_in_nothing_out() {
    assert_eq!(gelu(Tensor::<2>::zeros([0, 4], &Device::flex())).dims(), [0, 4]);
}
