//! Normalization as nodes of the autodiff graph.

use burn::backend::autodiff::{
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind, unary},
};
use burn::backend::{Autodiff, tensor::FloatTensor};

use super::NormalizationOps;

impl<B: NormalizationOps, C: CheckpointStrategy> NormalizationOps for Autodiff<B, C> {
    fn fused_softmax(x: FloatTensor<Self>) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Softmax;
        impl<B: NormalizationOps> Backward<B, 1> for Softmax {
            type State = FloatTensor<B>;
            fn backward(
                self,
                ops: Ops<Self::State, 1>,
                grads: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                unary::<B, _>(ops.parents, ops.node, grads, |dy| {
                    B::fused_softmax_backward(ops.state, dy)
                });
            }
        }

        let node = x.node();
        let y = B::fused_softmax(x.into_primitive());
        match Softmax.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(op) => op.finish(y.clone(), y),
            OpsKind::UnTracked(op) => op.finish(y),
        }
    }

    fn fused_layer_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        eps: f64,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct LayerNorm;
        impl<B: NormalizationOps> Backward<B, 3> for LayerNorm {
            type State = (FloatTensor<B>, FloatTensor<B>, f64);
            fn backward(
                self,
                ops: Ops<Self::State, 3>,
                grads: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                let ((x, gamma, eps), nodes) = (ops.state, ops.parents);
                let (dx, dgamma, dbeta) =
                    B::fused_layer_norm_backward(x, gamma, grads.consume::<B>(&ops.node), eps);
                for (node, grad) in nodes.into_iter().zip([dx, dgamma, dbeta]) {
                    if let Some(node) = node {
                        grads.register::<B>(node.id, grad);
                    }
                }
            }
        }

        let nodes = [x.node(), gamma.node(), beta.node()];
        let (x, gamma, beta) = (x.into_primitive(), gamma.into_primitive(), beta.into_primitive());
        match LayerNorm.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(op) => {
                op.finish((x.clone(), gamma.clone(), eps), B::fused_layer_norm(x, gamma, beta, eps))
            }
            OpsKind::UnTracked(op) => op.finish(B::fused_layer_norm(x, gamma, beta, eps)),
        }
    }

    fn fused_rms_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        eps: f64,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct RmsNorm;
        impl<B: NormalizationOps> Backward<B, 2> for RmsNorm {
            type State = (FloatTensor<B>, FloatTensor<B>, f64);
            fn backward(
                self,
                ops: Ops<Self::State, 2>,
                grads: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                let ((x, gamma, eps), nodes) = (ops.state, ops.parents);
                let (dx, dgamma) =
                    B::fused_rms_norm_backward(x, gamma, grads.consume::<B>(&ops.node), eps);
                for (node, grad) in nodes.into_iter().zip([dx, dgamma]) {
                    if let Some(node) = node {
                        grads.register::<B>(node.id, grad);
                    }
                }
            }
        }

        let nodes = [x.node(), gamma.node()];
        let (x, gamma) = (x.into_primitive(), gamma.into_primitive());
        match RmsNorm.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(op) => {
                op.finish((x.clone(), gamma.clone(), eps), B::fused_rms_norm(x, gamma, eps))
            }
            OpsKind::UnTracked(op) => op.finish(B::fused_rms_norm(x, gamma, eps)),
        }
    }
}
