//! Reference implementation of normalization, in operators that every backend has.

use burn::backend::{Backend, TensorMetadata, tensor::FloatTensor};
use burn::tensor::Shape;

/// The last dimension.
fn last<B: Backend>(x: &FloatTensor<B>) -> usize {
    x.shape().num_dims() - 1
}

/// `[width]` in the rank of `x`, with leading dimensions of size 1.
fn row<B: Backend>(gamma: FloatTensor<B>, x: &FloatTensor<B>) -> FloatTensor<B> {
    let mut shape = vec![1; last::<B>(x)];
    shape.push(gamma.shape().num_elements());
    B::float_reshape(gamma, Shape::from(shape))
}

/// Sum over all dimensions but the last: `[width]`.
fn sum_of_rows<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let shape = x.shape();
    let width = shape[last::<B>(&x)];
    let rows = shape.num_elements().checked_div(width).unwrap_or(0);
    let sum = B::float_sum_dim(B::float_reshape(x, Shape::from([rows, width])), 0);
    B::float_reshape(sum, Shape::from([width]))
}

/// `1 / √(mean(x²) + eps)` along the last dimension.
fn inverse_root_mean_square<B: Backend>(x: FloatTensor<B>, eps: f64) -> FloatTensor<B> {
    let last = last::<B>(&x);
    let mean_square = B::float_mean_dim(B::float_mul(x.clone(), x), last);
    B::float_recip(B::float_sqrt(B::float_add_scalar(mean_square, eps.into())))
}

fn centered<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let last = last::<B>(&x);
    B::float_sub(x.clone(), B::float_mean_dim(x, last))
}

pub(super) fn softmax<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let last = last::<B>(&x);
    let e = B::float_exp(B::float_sub(x.clone(), B::float_max_dim(x, last)));
    B::float_div(e.clone(), B::float_sum_dim(e, last))
}

/// `y (dy - Σ y dy)`
pub(super) fn softmax_backward<B: Backend>(
    y: FloatTensor<B>,
    dy: FloatTensor<B>,
) -> FloatTensor<B> {
    let last = last::<B>(&y);
    let shared = B::float_sum_dim(B::float_mul(y.clone(), dy.clone()), last);
    B::float_mul(y, B::float_sub(dy, shared))
}

pub(super) fn layer_norm<B: Backend>(
    x: FloatTensor<B>,
    gamma: FloatTensor<B>,
    beta: FloatTensor<B>,
    eps: f64,
) -> FloatTensor<B> {
    let beta = row::<B>(beta, &x);
    B::float_add(rms_norm::<B>(centered::<B>(x), gamma, eps), beta)
}

pub(super) fn layer_norm_backward<B: Backend>(
    x: FloatTensor<B>,
    gamma: FloatTensor<B>,
    dy: FloatTensor<B>,
    eps: f64,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let dbeta = sum_of_rows::<B>(dy.clone());
    let (dcentered, dgamma) = rms_norm_backward::<B>(centered::<B>(x), gamma, dy, eps);
    // Centering is a projection, which is its own gradient.
    (centered::<B>(dcentered), dgamma, dbeta)
}

pub(super) fn rms_norm<B: Backend>(
    x: FloatTensor<B>,
    gamma: FloatTensor<B>,
    eps: f64,
) -> FloatTensor<B> {
    let gamma = row::<B>(gamma, &x);
    let scale = inverse_root_mean_square::<B>(x.clone(), eps);
    B::float_mul(B::float_mul(x, scale), gamma)
}

/// With `r` the inverse root mean square, `n = x r` and `d = dy γ`: `dx = r (d - n mean(d n))`, `dγ
/// = Σ dy n`.
pub(super) fn rms_norm_backward<B: Backend>(
    x: FloatTensor<B>,
    gamma: FloatTensor<B>,
    dy: FloatTensor<B>,
    eps: f64,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let last = last::<B>(&x);
    let gamma = row::<B>(gamma, &x);
    let scale = inverse_root_mean_square::<B>(x.clone(), eps);
    let normal = B::float_mul(x, scale.clone());
    let dgamma = sum_of_rows::<B>(B::float_mul(dy.clone(), normal.clone()));
    let d = B::float_mul(dy, gamma);
    let shared = B::float_mean_dim(B::float_mul(d.clone(), normal.clone()), last);
    (B::float_mul(scale, B::float_sub(d, B::float_mul(normal, shared))), dgamma)
}
