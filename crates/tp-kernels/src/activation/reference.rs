//! Reference implementation of the activations, in operators that every backend has.

use burn::backend::{Backend, tensor::FloatTensor};

/// `Φ(x)`, the cumulative distribution of the standard normal.
fn normal_cdf<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let erf = B::float_erf(B::float_mul_scalar(x, std::f64::consts::FRAC_1_SQRT_2.into()));
    B::float_mul_scalar(B::float_add_scalar(erf, 1.0.into()), 0.5.into())
}

pub(super) fn gelu<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    B::float_mul(x.clone(), normal_cdf::<B>(x))
}

/// `dy (Φ(x) + x φ(x))`
pub(super) fn gelu_backward<B: Backend>(x: FloatTensor<B>, dy: FloatTensor<B>) -> FloatTensor<B> {
    let inverse_sqrt_tau = (2.0 * std::f64::consts::PI).sqrt().recip();
    let half_square = B::float_mul_scalar(B::float_mul(x.clone(), x.clone()), (-0.5).into());
    let density = B::float_mul_scalar(B::float_exp(half_square), inverse_sqrt_tau.into());
    let slope = B::float_add(normal_cdf::<B>(x.clone()), B::float_mul(x, density));
    B::float_mul(dy, slope)
}

pub(super) fn silu<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    B::float_mul(x.clone(), B::sigmoid(x))
}

/// `s (1 + x (1 - s))`, with `s` the sigmoid of `x`
fn silu_slope<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let s = B::sigmoid(x.clone());
    let one_minus_s = B::float_add_scalar(B::float_neg(s.clone()), 1.0.into());
    B::float_mul(s, B::float_add_scalar(B::float_mul(x, one_minus_s), 1.0.into()))
}

pub(super) fn silu_backward<B: Backend>(x: FloatTensor<B>, dy: FloatTensor<B>) -> FloatTensor<B> {
    B::float_mul(dy, silu_slope::<B>(x))
}

pub(super) fn silu_gate<B: Backend>(a: FloatTensor<B>, b: FloatTensor<B>) -> FloatTensor<B> {
    B::float_mul(silu::<B>(a), b)
}

pub(super) fn silu_gate_backward<B: Backend>(
    a: FloatTensor<B>,
    b: FloatTensor<B>,
    dy: FloatTensor<B>,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let da = B::float_mul(B::float_mul(dy.clone(), b), silu_slope::<B>(a.clone()));
    (da, B::float_mul(dy, silu::<B>(a)))
}

pub(super) fn relu6<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    B::float_clamp(x, 0.0.into(), 6.0.into())
}

/// `dy` where `0 < y < 6`, i.e. where both `y` and `6 - y` have the sign 1.
pub(super) fn relu6_backward<B: Backend>(y: FloatTensor<B>, dy: FloatTensor<B>) -> FloatTensor<B> {
    let below_six = B::float_sign(B::float_add_scalar(B::float_neg(y.clone()), 6.0.into()));
    B::float_mul(dy, B::float_mul(B::float_sign(y), below_six))
}
