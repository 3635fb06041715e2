//! Causal attention as a node of the autodiff graph: the inputs are kept, the scores are
//! recomputed.

use burn::backend::autodiff::{
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::{Autodiff, tensor::FloatTensor};

use super::{AttentionHeads, CausalAttentionOps};

/// The inputs of the operator: projections, prefix keys, prefix values, cosines, sines.
#[derive(Clone, Debug)]
struct Inputs<T> {
    tensors: [T; 5],
    lengths: Vec<usize>,
    heads: AttentionHeads,
}

impl<B: CausalAttentionOps, C: CheckpointStrategy> CausalAttentionOps for Autodiff<B, C> {
    fn fused_causal_attention(
        qkv: FloatTensor<Self>,
        prefix_keys: FloatTensor<Self>,
        prefix_values: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
        lengths: Vec<usize>,
        heads: AttentionHeads,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct CausalAttention;
        impl<B: CausalAttentionOps> Backward<B, 3> for CausalAttention {
            type State = Inputs<FloatTensor<B>>;
            fn backward(
                self,
                ops: Ops<Self::State, 3>,
                grads: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                let Inputs { tensors: [qkv, keys, values, cos, sin], lengths, heads } = ops.state;
                let dy = grads.consume::<B>(&ops.node);
                let (dqkv, dkeys, dvalues) = B::fused_causal_attention_backward(
                    qkv, keys, values, cos, sin, lengths, heads, dy,
                );
                for (node, grad) in ops.parents.into_iter().zip([dqkv, dkeys, dvalues]) {
                    if let Some(node) = node {
                        grads.register::<B>(node.id, grad);
                    }
                }
            }
        }

        let nodes = [qkv.node(), prefix_keys.node(), prefix_values.node()];
        let tensors =
            [qkv, prefix_keys, prefix_values, cos, sin].map(|tensor| tensor.into_primitive());
        let [qkv, keys, values, cos, sin] = tensors.clone();
        let y = B::fused_causal_attention(qkv, keys, values, cos, sin, lengths.clone(), heads);
        match CausalAttention.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(op) => op.finish(Inputs { tensors, lengths, heads }, y),
            OpsKind::UnTracked(op) => op.finish(y),
        }
    }
}
