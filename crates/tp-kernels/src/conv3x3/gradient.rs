//! The convolution as a node of the autodiff graph.

use burn::backend::autodiff::{
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind, binary},
};
use burn::backend::{Autodiff, Backend, tensor::FloatTensor};

use super::Conv3x3Ops;

/// The filter whose convolution is the gradient of the input: rotated by 180 degrees, with its two
/// channel dimensions swapped.
fn turned<B: Backend>(weight: FloatTensor<B>) -> FloatTensor<B> {
    B::float_flip(B::float_swap_dims(weight, 0, 1), &[2, 3])
}

impl<B: Conv3x3Ops, C: CheckpointStrategy> Conv3x3Ops for Autodiff<B, C> {
    fn fused_conv3x3(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Conv3x3;
        impl<B: Conv3x3Ops> Backward<B, 2> for Conv3x3 {
            type State = (FloatTensor<B>, FloatTensor<B>);
            fn backward(
                self,
                ops: Ops<Self::State, 2>,
                grads: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                let (x, weight) = ops.state;
                let of_x = |dy| B::fused_conv3x3(dy, turned::<B>(weight.clone()));
                let of_weight = |dy| B::fused_conv3x3_weight_backward(x, weight.clone(), dy);
                binary::<B, _, _>(ops.parents, ops.node, grads, of_x, of_weight);
            }
        }

        let nodes = [x.node(), weight.node()];
        let (x, weight) = (x.into_primitive(), weight.into_primitive());
        match Conv3x3.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(op) => {
                op.finish((x.clone(), weight.clone()), B::fused_conv3x3(x, weight))
            }
            OpsKind::UnTracked(op) => op.finish(B::fused_conv3x3(x, weight)),
        }
    }
}
