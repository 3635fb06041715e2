//! Negative log-likelihood of one token per row of logits.

mod fast;
mod gradient;
mod reference;

use burn::backend::{
    Backend, Dispatch, backend_extension,
    tensor::{FloatTensor, IntTensor},
};
use burn::tensor::{Int, Tensor};

/// Cross-entropy as a backend operator. The default bodies define the semantics; a backend may
/// override them with faster ones.
#[backend_extension(Flex, LibTorch: cfg(feature = "libtorch"), Cube: cfg(feature = "cuda"), Autodiff)]
pub trait CrossEntropyOps: Backend {
    /// See [`token_cross_entropy`](crate::token_cross_entropy). Returns the losses and, for the
    /// gradient, the logarithm of `Σ e^logit` of every row; both `[rows]`.
    fn fused_cross_entropy(
        logits: FloatTensor<Self>,
        targets: IntTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        reference::cross_entropy::<Self>(logits, targets)
    }

    /// Gradient with respect to `logits`, from the logits and the second output of the forward
    /// pass.
    fn fused_cross_entropy_backward(
        logits: FloatTensor<Self>,
        targets: IntTensor<Self>,
        log_sum_exp: FloatTensor<Self>,
        dy: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        reference::cross_entropy_backward::<Self>(logits, targets, log_sum_exp, dy)
    }
}

/// `-ln softmax(logits)[target]` for every row.
///
/// The gradient, `softmax(logits) - one_hot(target)`, is computed from the logits, so no
/// probabilities are stored.
///
/// # Shapes
///
/// - `logits`: `[rows, vocabulary]`
/// - `targets`: `[rows]`, each in `0..vocabulary`
/// - output: `[rows]`
///
/// # Panics
///
/// If the numbers of rows differ, or a target is not in the vocabulary.
pub fn token_cross_entropy(logits: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
    assert_eq!(
        logits.dims()[0],
        targets.dims()[0],
        "token_cross_entropy needs one target per row of logits"
    );
    let (losses, _) =
        Dispatch::fused_cross_entropy(logits.into_dispatch(), targets.into_dispatch());
    Tensor::from_dispatch(losses)
}

#[cfg(test)]
mod tests;
