//! The activations on the CPU: a single fused, vectorized pass with a task per 16 thousand
//! elements.

use burn::backend::{TensorMetadata, flex::Flex, flex::FlexTensor};
use rayon::prelude::*;

use super::{ActivationOps, reference};
use crate::flex_buffer::{all_f32, floats, map_pieces, piece_of, tensor_of};
use crate::simd::{Kernel, dispatch};
use crate::vector_math::{mul_add, normal_distribution, sigmoid};

/// Elements per task: 64 KiB, small enough for the second-level cache and large enough to pay for a
/// task.
const PIECE: usize = 16 * 1024;

impl ActivationOps for Flex {
    fn fused_gelu(x: FlexTensor) -> FlexTensor {
        if !all_f32(&[&x]) {
            return reference::gelu::<Self>(x);
        }
        map_pieces(x, PIECE, |_, x| dispatch(Gelu { x }))
    }

    fn fused_gelu_backward(x: FlexTensor, dy: FlexTensor) -> FlexTensor {
        if !all_f32(&[&x, &dy]) {
            return reference::gelu_backward::<Self>(x, dy);
        }
        let x = x.to_contiguous();
        let x = floats(&x);
        map_pieces(dy, PIECE, |i, dy| dispatch(GeluBackward { x: piece_of(x, i, PIECE), dy }))
    }

    fn fused_silu(x: FlexTensor) -> FlexTensor {
        if !all_f32(&[&x]) {
            return reference::silu::<Self>(x);
        }
        map_pieces(x, PIECE, |_, x| dispatch(Silu { x }))
    }

    fn fused_silu_backward(x: FlexTensor, dy: FlexTensor) -> FlexTensor {
        if !all_f32(&[&x, &dy]) {
            return reference::silu_backward::<Self>(x, dy);
        }
        let x = x.to_contiguous();
        let x = floats(&x);
        map_pieces(dy, PIECE, |i, dy| dispatch(SiluBackward { x: piece_of(x, i, PIECE), dy }))
    }

    fn fused_silu_gate(a: FlexTensor, b: FlexTensor) -> FlexTensor {
        if !all_f32(&[&a, &b]) || a.shape() != b.shape() {
            return reference::silu_gate::<Self>(a, b);
        }
        let b = b.to_contiguous();
        let b = floats(&b);
        map_pieces(a, PIECE, |i, a| dispatch(SiluGate { a, b: piece_of(b, i, PIECE) }))
    }

    fn fused_silu_gate_backward(
        a: FlexTensor,
        b: FlexTensor,
        dy: FlexTensor,
    ) -> (FlexTensor, FlexTensor) {
        if !all_f32(&[&a, &b, &dy]) || a.shape() != b.shape() {
            return reference::silu_gate_backward::<Self>(a, b, dy);
        }
        let shape = a.shape();
        let (a, b, dy) = (a.to_contiguous(), b.to_contiguous(), dy.to_contiguous());
        let (mut da, mut db) = (floats(&a).to_vec(), floats(&b).to_vec());
        da.par_chunks_mut(PIECE)
            .zip(db.par_chunks_mut(PIECE))
            .zip(floats(&dy).par_chunks(PIECE))
            .for_each(|((a, b), dy)| dispatch(SiluGateBackward { a, b, dy }));
        (tensor_of(da, shape.clone()), tensor_of(db, shape))
    }

    fn fused_relu6(x: FlexTensor) -> FlexTensor {
        if !all_f32(&[&x]) {
            return reference::relu6::<Self>(x);
        }
        map_pieces(x, PIECE, |_, x| dispatch(Relu6 { x }))
    }

    fn fused_relu6_backward(y: FlexTensor, dy: FlexTensor) -> FlexTensor {
        if !all_f32(&[&y, &dy]) {
            return reference::relu6_backward::<Self>(y, dy);
        }
        let y = y.to_contiguous();
        let y = floats(&y);
        map_pieces(dy, PIECE, |i, dy| dispatch(Relu6Backward { y: piece_of(y, i, PIECE), dy }))
    }
}

/// ReLU6, element-wise and in place.
pub(crate) struct Relu6<'a> {
    pub(crate) x: &'a mut [f32],
}

impl Kernel for Relu6<'_> {
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for x in self.x.iter_mut() {
            // `max` and `min` would turn NaN into a number.
            *x = if *x < 0.0 { 0.0 } else { *x };
            *x = if *x > 6.0 { 6.0 } else { *x };
        }
    }
}

struct Relu6Backward<'a> {
    y: &'a [f32],
    dy: &'a mut [f32],
}

impl Kernel for Relu6Backward<'_> {
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for (dy, &y) in self.dy.iter_mut().zip(self.y) {
            *dy = if y > 0.0 && y < 6.0 { *dy } else { 0.0 };
        }
    }
}

struct Gelu<'a> {
    x: &'a mut [f32],
}

impl Kernel for Gelu<'_> {
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for x in self.x.iter_mut() {
            *x *= normal_distribution::<FMA>(*x).0;
        }
    }
}

struct GeluBackward<'a> {
    x: &'a [f32],
    dy: &'a mut [f32],
}

impl Kernel for GeluBackward<'_> {
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for (dy, &x) in self.dy.iter_mut().zip(self.x) {
            let (distribution, density) = normal_distribution::<FMA>(x);
            *dy *= mul_add::<FMA>(x, density, distribution);
        }
    }
}

struct Silu<'a> {
    x: &'a mut [f32],
}

impl Kernel for Silu<'_> {
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for x in self.x.iter_mut() {
            *x *= sigmoid::<FMA>(*x);
        }
    }
}

/// `s (1 + x (1 - s))`
#[inline(always)]
fn silu_slope<const FMA: bool>(x: f32, s: f32) -> f32 {
    s * mul_add::<FMA>(x, 1.0 - s, 1.0)
}

struct SiluBackward<'a> {
    x: &'a [f32],
    dy: &'a mut [f32],
}

impl Kernel for SiluBackward<'_> {
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for (dy, &x) in self.dy.iter_mut().zip(self.x) {
            *dy *= silu_slope::<FMA>(x, sigmoid::<FMA>(x));
        }
    }
}

struct SiluGate<'a> {
    a: &'a mut [f32],
    b: &'a [f32],
}

impl Kernel for SiluGate<'_> {
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for (a, &b) in self.a.iter_mut().zip(self.b) {
            *a *= sigmoid::<FMA>(*a) * b;
        }
    }
}

/// Replaces `a` and `b` by their gradients.
struct SiluGateBackward<'a> {
    a: &'a mut [f32],
    b: &'a mut [f32],
    dy: &'a [f32],
}

impl Kernel for SiluGateBackward<'_> {
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for ((a, b), &dy) in self.a.iter_mut().zip(self.b.iter_mut()).zip(self.dy) {
            let s = sigmoid::<FMA>(*a);
            let da = dy * *b * silu_slope::<FMA>(*a, s);
            *b = dy * *a * s;
            *a = da;
        }
    }
}
