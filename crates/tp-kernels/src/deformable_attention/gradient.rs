//! Deformable attention as a node of the autodiff graph.

use burn::backend::autodiff::{
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::{Autodiff, tensor::FloatTensor};

use super::DeformableAttentionOps;

impl<B: DeformableAttentionOps, C: CheckpointStrategy> DeformableAttentionOps for Autodiff<B, C> {
    fn fused_deformable_attention(
        value: FloatTensor<Self>,
        spatial_shapes: Vec<[usize; 2]>,
        locations: FloatTensor<Self>,
        weights: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct DeformableAttention;
        impl<B: DeformableAttentionOps> Backward<B, 3> for DeformableAttention {
            type State = (FloatTensor<B>, Vec<[usize; 2]>, FloatTensor<B>, FloatTensor<B>);
            fn backward(
                self,
                ops: Ops<Self::State, 3>,
                grads: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                let (value, shapes, locations, weights) = ops.state;
                let dy = grads.consume::<B>(&ops.node);
                let (dvalue, dlocations, dweights) =
                    B::fused_deformable_attention_backward(value, shapes, locations, weights, dy);
                for (node, grad) in ops.parents.into_iter().zip([dvalue, dlocations, dweights]) {
                    if let Some(node) = node {
                        grads.register::<B>(node.id, grad);
                    }
                }
            }
        }

        let nodes = [value.node(), locations.node(), weights.node()];
        let (value, locations, weights) =
            (value.into_primitive(), locations.into_primitive(), weights.into_primitive());
        let y = B::fused_deformable_attention(
            value.clone(),
            spatial_shapes.clone(),
            locations.clone(),
            weights.clone(),
        );
        match DeformableAttention.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(op) => op.finish((value, spatial_shapes, locations, weights), y),
            OpsKind::UnTracked(op) => op.finish(y),
        }
    }
}
