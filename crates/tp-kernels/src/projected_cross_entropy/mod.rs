//! Cross-entropy from hidden states, without materializing the logits of all rows.
//!
//! With a vocabulary of a hundred thousand tokens, the logits, their gradient and the saved softmax
//! are the largest tensors of a training step. Here the loss is computed for one block of rows at a
//! time; the backward pass projects it again.

mod gradient;

use burn::backend::{
    Backend, Dispatch, TensorMetadata, backend_extension,
    flex::Flex,
    tensor::{FloatTensor, IntTensor},
};
use burn::tensor::{Int, Slice, Tensor};

use crate::ops::{CrossEntropyOps, ProductOps};

/// Approximate number of logits that exist at once: 32 MiB.
const LOGITS: usize = 8 << 20;

/// Cross-entropy from hidden states as a backend operator, composed of products and
/// [`token_cross_entropy`](crate::token_cross_entropy).
#[backend_extension(Flex, LibTorch: cfg(feature = "libtorch"), Cube: cfg(feature = "cuda"), Autodiff)]
pub trait ProjectedCrossEntropyOps: CrossEntropyOps + ProductOps {
    /// See [`projected_cross_entropy`](crate::projected_cross_entropy). Returns the losses and, for
    /// the gradient, the logarithm of `Σ e^logit` of every row; both `[rows]`.
    fn fused_projected_cross_entropy(
        hidden: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        targets: IntTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let (mut losses, mut log_sums) = (Vec::new(), Vec::new());
        for block in blocks(&hidden, &weight) {
            let logits = Self::matrix_product(rows::<Self>(hidden.clone(), block), weight.clone());
            let (loss, log_sum) = Self::fused_cross_entropy(
                logits,
                Self::int_slice(targets.clone(), &[Slice::from(block[0]..block[1])]),
            );
            losses.push(loss);
            log_sums.push(log_sum);
        }
        (Self::float_cat(losses, 0), Self::float_cat(log_sums, 0))
    }

    /// Gradients with respect to `hidden` and, unless `frozen`, `weight`.
    fn fused_projected_cross_entropy_backward(
        hidden: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        targets: IntTensor<Self>,
        log_sums: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        frozen: bool,
    ) -> (FloatTensor<Self>, Option<FloatTensor<Self>>) {
        let across = Self::float_swap_dims(weight.clone(), 0, 1);
        let (mut dhidden, mut dweight) = (Vec::new(), None);
        for block in blocks(&hidden, &weight) {
            let cut = |x: &FloatTensor<Self>| {
                Self::float_slice(x.clone(), &[Slice::from(block[0]..block[1])])
            };
            let states = rows::<Self>(hidden.clone(), block);
            let logits = Self::matrix_product(states.clone(), weight.clone());
            let targets = Self::int_slice(targets.clone(), &[Slice::from(block[0]..block[1])]);
            let dlogits =
                Self::fused_cross_entropy_backward(logits, targets, cut(&log_sums), cut(&dy));
            dhidden.push(Self::matrix_product(dlogits.clone(), across.clone()));
            if !frozen {
                let part = Self::matrix_product(Self::float_swap_dims(states, 0, 1), dlogits);
                dweight = Some(match dweight {
                    Some(sum) => Self::float_add(sum, part),
                    None => part,
                });
            }
        }
        (Self::float_cat(dhidden, 0), dweight)
    }
}

/// The products and the cross-entropy of a block have fast paths.
impl ProjectedCrossEntropyOps for Flex {}

/// First and last row of every block.
fn blocks<T: TensorMetadata>(hidden: &T, weight: &T) -> impl Iterator<Item = [usize; 2]> + use<T> {
    let (rows, vocabulary) = (hidden.shape()[0], weight.shape()[1]);
    let at_once = (LOGITS / vocabulary.max(1)).max(1);
    (0..rows).step_by(at_once).map(move |from| [from, rows.min(from + at_once)])
}

fn rows<B: Backend>(x: FloatTensor<B>, [from, to]: [usize; 2]) -> FloatTensor<B> {
    B::float_slice(x, &[Slice::from(from..to)])
}

/// `-ln softmax(hidden · weight)[target]` for every row.
///
/// # Shapes
///
/// - `hidden`: `[rows, width]`
/// - `weight`: `[width, vocabulary]`
/// - `targets`: `[rows]`, each in `0..vocabulary`
/// - output: `[rows]`
///
/// # Panics
///
/// If the shapes are inconsistent, there is no row, or a target is not in the vocabulary.
pub fn projected_cross_entropy(
    hidden: Tensor<2>,
    weight: Tensor<2>,
    targets: Tensor<1, Int>,
) -> Tensor<1> {
    assert_eq!(hidden.dims()[1], weight.dims()[0], "projected_cross_entropy: width of the states");
    assert_eq!(
        hidden.dims()[0],
        targets.dims()[0],
        "projected_cross_entropy needs one target per row"
    );
    assert!(hidden.dims()[0] > 0, "projected_cross_entropy needs a row");
    let (hidden, weight) = (hidden.into_dispatch(), weight.into_dispatch());
    let (losses, _) =
        Dispatch::fused_projected_cross_entropy(hidden, weight, targets.into_dispatch());
    Tensor::from_dispatch(losses)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device, TensorData};

    use super::*;
    use crate::testing::{Tolerance, check, devices, random};
    use crate::token_cross_entropy;

    #[test]
    fn equals_logits_and_their_cross_entropy() {
        let [rows, width, vocabulary] = [7, 3, 5];
        let targets = |like: &Tensor<1>| {
            Tensor::<1, Int>::from_data(
                TensorData::new(vec![0_i64, 4, 2, 2, 1, 3, 0], [rows]),
                (&like.device(), DType::I64),
            )
        };
        let shaped = |x: &[Tensor<1>]| {
            (
                x[0].clone().reshape([rows, width]),
                x[1].clone().reshape([width, vocabulary]),
                targets(&x[0]),
            )
        };
        let ours = |x: &[Tensor<1>]| {
            let (hidden, weight, targets) = shaped(x);
            projected_cross_entropy(hidden, weight, targets)
        };
        let composed = |x: &[Tensor<1>]| {
            let (hidden, weight, targets) = shaped(x);
            token_cross_entropy(hidden.matmul(weight), targets)
        };
        let inputs = [random(1, rows * width, 2.0), random(2, width * vocabulary, 2.0)];
        check(&ours, &composed, &inputs, Tolerance { output: 2e-6, gradient: 1e-5 });
    }

    #[test]
    fn blocks_cover_all_rows_and_a_frozen_weight_gets_no_gradient() {
        // 5 rows of 4 million logits are three blocks.
        for device in devices().into_iter().map(Device::autodiff) {
            let hidden = Tensor::<2>::ones([5, 1], &device).require_grad();
            let weight = Tensor::<2>::zeros([1, LOGITS / 2], &device);
            let targets = Tensor::<1, Int>::zeros([5], &device);
            let losses = projected_cross_entropy(hidden.clone(), weight.clone(), targets);
            let expected = ((LOGITS / 2) as f32).ln();
            assert!(
                losses.clone().into_data().iter::<f32>().all(|loss| (loss - expected).abs() < 1e-3)
            );
            let gradients = losses.sum().backward();
            assert!(hidden.grad(&gradients).is_some() && weight.grad(&gradients).is_none());
        }
    }
}
