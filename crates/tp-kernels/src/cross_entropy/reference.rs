//! Reference implementation of the cross-entropy, in operators that every backend has.

use burn::backend::{
    Backend, TensorMetadata,
    tensor::{FloatTensor, IntTensor},
};
use burn::tensor::IndexingUpdateOp;

fn column<B: Backend>(targets: IntTensor<B>) -> IntTensor<B> {
    let rows = targets.shape()[0];
    B::int_reshape(targets, [rows, 1].into())
}

pub(super) fn cross_entropy<B: Backend>(
    logits: FloatTensor<B>,
    targets: IntTensor<B>,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let rows = logits.shape()[0];
    let chosen = B::float_gather(1, logits.clone(), column::<B>(targets));
    let greatest = B::float_max_dim(logits.clone(), 1);
    let total = B::float_sum_dim(B::float_exp(B::float_sub(logits, greatest.clone())), 1);
    let log_sum_exp = B::float_add(B::float_log(total), greatest);
    let losses = B::float_sub(log_sum_exp.clone(), chosen);
    (B::float_reshape(losses, [rows].into()), B::float_reshape(log_sum_exp, [rows].into()))
}

pub(super) fn cross_entropy_backward<B: Backend>(
    logits: FloatTensor<B>,
    targets: IntTensor<B>,
    log_sum_exp: FloatTensor<B>,
    dy: FloatTensor<B>,
) -> FloatTensor<B> {
    let rows = logits.shape()[0];
    let log_sum_exp = B::float_reshape(log_sum_exp, [rows, 1].into());
    let dy = B::float_reshape(dy, [rows, 1].into());
    let spread = B::float_mul(B::float_exp(B::float_sub(logits, log_sum_exp)), dy.clone());
    B::float_scatter(1, spread, column::<B>(targets), B::float_neg(dy), IndexingUpdateOp::Add)
}
