//! Windowed attention as a node of the autodiff graph: the inputs are kept, the weights are made
//! again.

use std::sync::Arc;

use burn::backend::autodiff::{
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::{Autodiff, tensor::FloatTensor};

use super::{WindowedAttentionOps, Windows};

impl<B: WindowedAttentionOps, C: CheckpointStrategy> WindowedAttentionOps for Autodiff<B, C> {
    fn fused_windowed_attention(
        queries: FloatTensor<Self>,
        keys: FloatTensor<Self>,
        values: FloatTensor<Self>,
        windows: Arc<Windows>,
        heads: usize,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct WindowedAttention;
        impl<B: WindowedAttentionOps> Backward<B, 3> for WindowedAttention {
            type State = ([FloatTensor<B>; 3], Arc<Windows>, usize);
            fn backward(
                self,
                ops: Ops<Self::State, 3>,
                grads: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                let ([queries, keys, values], windows, heads) = ops.state;
                let dy = grads.consume::<B>(&ops.node);
                let (dqueries, dkeys, dvalues) =
                    B::fused_windowed_attention_backward(queries, keys, values, windows, heads, dy);
                for (node, grad) in ops.parents.into_iter().zip([dqueries, dkeys, dvalues]) {
                    if let Some(node) = node {
                        grads.register::<B>(node.id, grad);
                    }
                }
            }
        }

        let nodes = [queries.node(), keys.node(), values.node()];
        let inputs = [queries, keys, values].map(|tensor| tensor.into_primitive());
        let [queries, keys, values] = inputs.clone();
        let y = B::fused_windowed_attention(queries, keys, values, windows.clone(), heads);
        match WindowedAttention.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(op) => op.finish((inputs, windows, heads), y),
            OpsKind::UnTracked(op) => op.finish(y),
        }
    }
}
