use burn::prelude::*;
use burn::tensor::{
    module,
    ops::{PadMode, UnfoldOptions},
};

use super::*;
use crate::testing::{Tolerance, check, devices, elements, random};

/// Burn's own patches, with explicit zeros for SAME padding.
fn composed(images: Tensor<4>, side: usize, stride: usize) -> Tensor<4> {
    let [batch, channels, height, width] = images.dims();
    let zeros = |n: usize| ((n.div_ceil(stride) - 1) * stride + side).saturating_sub(n);
    let [rows, columns] = [height, width].map(|n| (zeros(n) / 2, zeros(n) - zeros(n) / 2));
    let options = UnfoldOptions::new([stride; 2], [0, 0], [1, 1]);
    let patches =
        module::unfold4d(images.pad([rows, columns], PadMode::Constant(0.0)), [side; 2], options);
    let size = [batch, height.div_ceil(stride), width.div_ceil(stride), channels * side * side];
    patches.swap_dims(1, 2).reshape(size)
}

#[test]
fn equal_burns_patches() {
    for (shape, side, stride) in
        [([2, 3, 6, 5], 3, 2), ([1, 2, 3, 4], 3, 1), ([1, 1, 5, 7], 2, 3), ([1, 2, 1, 2], 5, 2)]
    {
        let run = |operator: fn(Tensor<4>, usize, usize) -> Tensor<4>| {
            move |x: &[Tensor<1>]| operator(x[0].clone().reshape(shape), side, stride).reshape([-1])
        };
        let inputs = [random(1, shape.iter().product(), 1.0)];
        check(
            &run(image_patches),
            &run(composed),
            &inputs,
            Tolerance { output: 1e-6, gradient: 1e-6 },
        );
    }
}

#[test]
fn numbers_of_a_patch_lie_as_in_a_filter() {
    for device in devices() {
        // Two channels of two rows and three columns; one zero row below, and zero columns on both
        // sides.
        let images = Tensor::<4>::from_data(
            [[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], [[7.0, 8.0, 9.0], [1.0, 2.0, 3.0]]]],
            &device,
        );
        let patches = image_patches(images, 3, 2);
        assert_eq!(patches.dims(), [1, 1, 2, 18]);
        let first = [
            0.0, 1.0, 2.0, 0.0, 4.0, 5.0, 0.0, 0.0, 0.0, 0.0, 7.0, 8.0, 0.0, 1.0, 2.0, 0.0, 0.0,
            0.0,
        ];
        let second = [
            2.0, 3.0, 0.0, 5.0, 6.0, 0.0, 0.0, 0.0, 0.0, 8.0, 9.0, 0.0, 2.0, 3.0, 0.0, 0.0, 0.0,
            0.0,
        ];
        assert_eq!(elements(patches), [first, second].concat(), "{device:?}");
    }
}
