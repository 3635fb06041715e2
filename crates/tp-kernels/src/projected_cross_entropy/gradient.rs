//! Cross-entropy from hidden states as a node of the autodiff graph.

use burn::backend::autodiff::{
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::{
    Autodiff,
    tensor::{FloatTensor, IntTensor},
};

use super::ProjectedCrossEntropyOps;

impl<B: ProjectedCrossEntropyOps, C: CheckpointStrategy> ProjectedCrossEntropyOps
    for Autodiff<B, C>
{
    /// The second output is a constant of the graph.
    fn fused_projected_cross_entropy(
        hidden: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        targets: IntTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        #[derive(Debug)]
        struct ProjectedCrossEntropy;
        impl<B: ProjectedCrossEntropyOps> Backward<B, 2> for ProjectedCrossEntropy {
            type State = (FloatTensor<B>, FloatTensor<B>, IntTensor<B>, FloatTensor<B>);
            fn backward(
                self,
                ops: Ops<Self::State, 2>,
                grads: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                let ((hidden, weight, targets, log_sums), [of_hidden, of_weight]) =
                    (ops.state, ops.parents);
                let dy = grads.consume::<B>(&ops.node);
                let frozen = of_weight.is_none();
                let (dhidden, dweight) = B::fused_projected_cross_entropy_backward(
                    hidden, weight, targets, log_sums, dy, frozen,
                );
                if let Some(node) = of_hidden {
                    grads.register::<B>(node.id, dhidden);
                }
                if let (Some(node), Some(dweight)) = (of_weight, dweight) {
                    grads.register::<B>(node.id, dweight);
                }
            }
        }

        let nodes = [hidden.node(), weight.node()];
        let (hidden, weight) = (hidden.into_primitive(), weight.into_primitive());
        let (losses, log_sums) =
            B::fused_projected_cross_entropy(hidden.clone(), weight.clone(), targets.clone());
        let losses = match ProjectedCrossEntropy.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(op) => op.finish((hidden, weight, targets, log_sums.clone()), losses),
            OpsKind::UnTracked(op) => op.finish(losses),
        };
        (losses, <Self as burn::backend::AutodiffBackend>::from_inner(log_sums))
    }
}
