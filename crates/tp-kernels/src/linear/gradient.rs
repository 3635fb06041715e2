//! Products as nodes of the autodiff graph.

use burn::backend::autodiff::{
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::{Autodiff, AutodiffBackend, Backend, TensorMetadata, tensor::FloatTensor};

use super::ProductOps;
use crate::ops::ActivationOps;

/// Two factors, each kept if the other one requires a gradient.
#[derive(Clone, Debug)]
struct Factors<B: Backend> {
    left: Option<FloatTensor<B>>,
    right: Option<FloatTensor<B>>,
}

impl<B: ProductOps> Factors<B> {
    fn kept(
        [left_has, right_has]: [bool; 2],
        left: &FloatTensor<B>,
        right: &FloatTensor<B>,
    ) -> Self {
        Self { left: right_has.then(|| left.clone()), right: left_has.then(|| right.clone()) }
    }

    fn of_left(&self, dy: FloatTensor<B>) -> FloatTensor<B> {
        let right = self.right.clone().expect("kept because the left factor requires a gradient");
        B::matrix_product(dy, B::float_transpose(right))
    }

    fn of_right(&self, dy: FloatTensor<B>) -> FloatTensor<B> {
        let left = self.left.clone().expect("kept because the right factor requires a gradient");
        B::matrix_product(B::float_transpose(left), dy)
    }
}

impl<B: ProductOps, C: CheckpointStrategy> ProductOps for Autodiff<B, C> {
    fn matrix_product(a: FloatTensor<Self>, b: FloatTensor<Self>) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Product;
        impl<B: ProductOps> Backward<B, 2> for Product {
            type State = Factors<B>;
            fn backward(
                self,
                ops: Ops<Self::State, 2>,
                grads: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                let ([of_a, of_b], factors) = (ops.parents, ops.state);
                let dy = grads.consume::<B>(&ops.node);
                if let Some(node) = of_a {
                    grads.register::<B>(node.id, factors.of_left(dy.clone()));
                }
                if let Some(node) = of_b {
                    grads.register::<B>(node.id, factors.of_right(dy));
                }
            }
        }

        let (nodes, tracked) = ([a.node(), b.node()], [a.is_tracked(), b.is_tracked()]);
        let (a, b) = (a.into_primitive(), b.into_primitive());
        match Product.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(op) => {
                op.finish(Factors::kept(tracked, &a, &b), B::matrix_product(a, b))
            }
            OpsKind::UnTracked(op) => op.finish(B::matrix_product(a, b)),
        }
    }

    fn affine_product(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Affine;
        impl<B: ProductOps> Backward<B, 3> for Affine {
            type State = Factors<B>;
            fn backward(
                self,
                ops: Ops<Self::State, 3>,
                grads: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                let ([of_x, of_weight, of_bias], factors) = (ops.parents, ops.state);
                let dy = grads.consume::<B>(&ops.node);
                if let Some(node) = of_bias {
                    let out = dy.shape()[1];
                    grads.register::<B>(
                        node.id,
                        B::float_reshape(B::float_sum_dim(dy.clone(), 0), [out].into()),
                    );
                }
                if let Some(node) = of_x {
                    grads.register::<B>(node.id, factors.of_left(dy.clone()));
                }
                if let Some(node) = of_weight {
                    grads.register::<B>(node.id, factors.of_right(dy));
                }
            }
        }

        let (nodes, tracked) =
            ([x.node(), weight.node(), bias.node()], [x.is_tracked(), weight.is_tracked()]);
        let (x, weight, bias) =
            (x.into_primitive(), weight.into_primitive(), bias.into_primitive());
        match Affine.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(op) => {
                op.finish(Factors::kept(tracked, &x, &weight), B::affine_product(x, weight, bias))
            }
            OpsKind::UnTracked(op) => op.finish(B::affine_product(x, weight, bias)),
        }
    }

    fn affine_relu6_product(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        if x.is_tracked() || weight.is_tracked() || bias.is_tracked() {
            return Self::fused_relu6(Self::affine_product(x, weight, bias));
        }
        // No input requires a gradient, so the inner backend is used without a node in the graph.
        Self::from_inner(B::affine_relu6_product(
            x.into_primitive(),
            weight.into_primitive(),
            bias.into_primitive(),
        ))
    }
}
