//! The inverted bottleneck on an autodiff device: as separate nodes of the graph if any input
//! requires a gradient, otherwise as that of the inner backend.

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::{Autodiff, AutodiffBackend, tensor::FloatTensor};

use super::{BottleneckForm, InvertedBottleneckOps, reference};

impl<B: InvertedBottleneckOps, C: CheckpointStrategy> InvertedBottleneckOps for Autodiff<B, C> {
    fn fused_inverted_bottleneck(
        x: FloatTensor<Self>,
        expand_weight: FloatTensor<Self>,
        expand_bias: FloatTensor<Self>,
        depthwise_weight: FloatTensor<Self>,
        depthwise_bias: FloatTensor<Self>,
        project_weight: FloatTensor<Self>,
        project_bias: FloatTensor<Self>,
        form: BottleneckForm,
    ) -> FloatTensor<Self> {
        let tensors = [
            &x,
            &expand_weight,
            &expand_bias,
            &depthwise_weight,
            &depthwise_bias,
            &project_weight,
            &project_bias,
        ];
        if tensors.iter().any(|tensor| tensor.is_tracked()) {
            let weights = reference::Weights {
                expand_weight,
                expand_bias,
                depthwise_weight,
                depthwise_bias,
                project_weight,
                project_bias,
            };
            return reference::inverted_bottleneck::<Self>(x, weights, form);
        }
        Self::from_inner(B::fused_inverted_bottleneck(
            x.into_primitive(),
            expand_weight.into_primitive(),
            expand_bias.into_primitive(),
            depthwise_weight.into_primitive(),
            depthwise_bias.into_primitive(),
            project_weight.into_primitive(),
            project_bias.into_primitive(),
            form,
        ))
    }
}
