//! The cross-entropy as a node of the autodiff graph.

use burn::backend::autodiff::{
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind, unary},
};
use burn::backend::{
    Autodiff,
    tensor::{FloatTensor, IntTensor},
};

use super::CrossEntropyOps;

impl<B: CrossEntropyOps, C: CheckpointStrategy> CrossEntropyOps for Autodiff<B, C> {
    /// The second output is a constant of the graph.
    fn fused_cross_entropy(
        logits: FloatTensor<Self>,
        targets: IntTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        #[derive(Debug)]
        struct CrossEntropy;
        impl<B: CrossEntropyOps> Backward<B, 1> for CrossEntropy {
            type State = (FloatTensor<B>, IntTensor<B>, FloatTensor<B>);
            fn backward(
                self,
                ops: Ops<Self::State, 1>,
                grads: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                let (logits, targets, log_sum_exp) = ops.state;
                unary::<B, _>(ops.parents, ops.node, grads, |dy| {
                    B::fused_cross_entropy_backward(logits, targets, log_sum_exp, dy)
                });
            }
        }

        let node = logits.node();
        let logits = logits.into_primitive();
        let (losses, log_sum_exp) = B::fused_cross_entropy(logits.clone(), targets.clone());
        let losses = match CrossEntropy.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(op) => op.finish((logits, targets, log_sum_exp.clone()), losses),
            OpsKind::UnTracked(op) => op.finish(losses),
        };
        (losses, <Self as burn::backend::AutodiffBackend>::from_inner(log_sum_exp))
    }
}
