//! The depthwise convolution as a node of the autodiff graph.

use burn::backend::autodiff::{
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::{Autodiff, AutodiffBackend, tensor::FloatTensor};

use super::DepthwiseConvOps;
use crate::ops::ActivationOps;

impl<B: DepthwiseConvOps, C: CheckpointStrategy> DepthwiseConvOps for Autodiff<B, C> {
    fn fused_depthwise_conv2d(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        stride: usize,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct DepthwiseConv;
        impl<B: DepthwiseConvOps> Backward<B, 3> for DepthwiseConv {
            type State = (FloatTensor<B>, FloatTensor<B>, usize);
            fn backward(
                self,
                ops: Ops<Self::State, 3>,
                grads: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                let ((x, weight, stride), [node_x, node_weight, node_bias]) =
                    (ops.state, ops.parents);
                let dy = grads.consume::<B>(&ops.node);
                if let Some(node) = node_x {
                    let dx = B::fused_depthwise_conv2d_x_backward(
                        x.clone(),
                        weight.clone(),
                        dy.clone(),
                        stride,
                    );
                    grads.register::<B>(node.id, dx);
                }
                if node_weight.is_none() && node_bias.is_none() {
                    return;
                }
                let (dweight, dbias) =
                    B::fused_depthwise_conv2d_weight_backward(x, weight, dy, stride);
                for (node, grad) in [(node_weight, dweight), (node_bias, dbias)] {
                    if let Some(node) = node {
                        grads.register::<B>(node.id, grad);
                    }
                }
            }
        }

        let nodes = [x.node(), weight.node(), bias.node()];
        let (x, weight, bias) =
            (x.into_primitive(), weight.into_primitive(), bias.into_primitive());
        match DepthwiseConv.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(op) => op.finish(
                (x.clone(), weight.clone(), stride),
                B::fused_depthwise_conv2d(x, weight, bias, stride),
            ),
            OpsKind::UnTracked(op) => op.finish(B::fused_depthwise_conv2d(x, weight, bias, stride)),
        }
    }

    fn fused_depthwise_conv2d_relu6(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        stride: usize,
    ) -> FloatTensor<Self> {
        if x.is_tracked() || weight.is_tracked() || bias.is_tracked() {
            return Self::fused_relu6(Self::fused_depthwise_conv2d(x, weight, bias, stride));
        }
        // No input requires a gradient, so the inner backend is used without a node in the graph.
        let (x, weight, bias) =
            (x.into_primitive(), weight.into_primitive(), bias.into_primitive());
        Self::from_inner(B::fused_depthwise_conv2d_relu6(x, weight, bias, stride))
    }
}
