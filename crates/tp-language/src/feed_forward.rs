//! The gated half of a block: `w2(silu(w1 x) · w3 x)`.
//!
//! `w1` and `w3` stay two layers, as published: each has its own adapter, and their gradients need
//! no split.

use burn::{
    module::Module,
    tensor::{Device, Tensor},
};

use crate::{DecoderConfig, LoraLayer, projection::Projection};

/// The feed-forward half of a block.
#[derive(Module, Debug)]
pub struct FeedForward {
    /// The gate, `[hidden, intermediate]`.
    pub w1: Projection,
    /// What is gated, `[hidden, intermediate]`.
    pub w3: Projection,
    /// Back to the residual stream, `[intermediate, hidden]`.
    pub w2: Projection,
}

impl FeedForward {
    pub(crate) fn new(config: &DecoderConfig, device: &Device) -> Self {
        let (hidden, intermediate) = (config.hidden_size, config.intermediate_size);
        let built = |layer: Projection| {
            if config.has_mlp_bias() { layer.with_bias(device) } else { layer }
        };
        Self {
            w1: built(Projection::new(hidden, intermediate, device)),
            w3: built(Projection::new(hidden, intermediate, device)),
            w2: built(Projection::residual(intermediate, hidden, config.num_hidden_layers, device)),
        }
    }

    /// `x`: `[batch, tokens, hidden]`, already normalized.
    pub(crate) fn forward(&self, x: Tensor<3>, lora: Option<&LoraLayer>) -> Tensor<3> {
        let gate = self.w1.forward(x.clone(), lora.and_then(|lora| lora.w1.as_ref()));
        let up = self.w3.forward(x, lora.and_then(|lora| lora.w3.as_ref()));
        self.w2.forward(tp_kernels::silu_gate(gate, up), lora.and_then(|lora| lora.w2.as_ref()))
    }
}
