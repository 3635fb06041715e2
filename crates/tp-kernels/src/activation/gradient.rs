//! The activations as nodes of the autodiff graph.

use burn::backend::autodiff::{
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind, unary},
};
use burn::backend::{Autodiff, tensor::FloatTensor};

use super::ActivationOps;

impl<B: ActivationOps, C: CheckpointStrategy> ActivationOps for Autodiff<B, C> {
    fn fused_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Gelu;
        impl<B: ActivationOps> Backward<B, 1> for Gelu {
            type State = FloatTensor<B>;
            fn backward(
                self,
                ops: Ops<Self::State, 1>,
                grads: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                unary::<B, _>(ops.parents, ops.node, grads, |dy| {
                    B::fused_gelu_backward(ops.state, dy)
                });
            }
        }

        let node = x.node();
        let x = x.into_primitive();
        match Gelu.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(op) => op.finish(x.clone(), B::fused_gelu(x)),
            OpsKind::UnTracked(op) => op.finish(B::fused_gelu(x)),
        }
    }

    fn fused_silu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Silu;
        impl<B: ActivationOps> Backward<B, 1> for Silu {
            type State = FloatTensor<B>;
            fn backward(
                self,
                ops: Ops<Self::State, 1>,
                grads: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                unary::<B, _>(ops.parents, ops.node, grads, |dy| {
                    B::fused_silu_backward(ops.state, dy)
                });
            }
        }

        let node = x.node();
        let x = x.into_primitive();
        match Silu.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(op) => op.finish(x.clone(), B::fused_silu(x)),
            OpsKind::UnTracked(op) => op.finish(B::fused_silu(x)),
        }
    }

    fn fused_silu_gate(a: FloatTensor<Self>, b: FloatTensor<Self>) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct SiluGate;
        impl<B: ActivationOps> Backward<B, 2> for SiluGate {
            type State = (FloatTensor<B>, FloatTensor<B>);
            fn backward(
                self,
                ops: Ops<Self::State, 2>,
                grads: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                let ((a, b), [node_a, node_b]) = (ops.state, ops.parents);
                let (da, db) = B::fused_silu_gate_backward(a, b, grads.consume::<B>(&ops.node));
                for (node, grad) in [(node_a, da), (node_b, db)] {
                    if let Some(node) = node {
                        grads.register::<B>(node.id, grad);
                    }
                }
            }
        }

        let nodes = [a.node(), b.node()];
        let (a, b) = (a.into_primitive(), b.into_primitive());
        match SiluGate.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(op) => op.finish((a.clone(), b.clone()), B::fused_silu_gate(a, b)),
            OpsKind::UnTracked(op) => op.finish(B::fused_silu_gate(a, b)),
        }
    }

    fn fused_relu6(x: FloatTensor<Self>) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Relu6;
        impl<B: ActivationOps> Backward<B, 1> for Relu6 {
            type State = FloatTensor<B>;
            fn backward(
                self,
                ops: Ops<Self::State, 1>,
                grads: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                unary::<B, _>(ops.parents, ops.node, grads, |dy| {
                    B::fused_relu6_backward(ops.state, dy)
                });
            }
        }

        let node = x.node();
        let y = B::fused_relu6(x.into_primitive());
        match Relu6.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(op) => op.finish(y.clone(), y),
            OpsKind::UnTracked(op) => op.finish(y),
        }
    }
}
