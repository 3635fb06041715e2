//! Low-rank adapters beside a frozen decoder.
//!
//! `y = x W + (alpha / rank) · (x A) B` (LoRA, arXiv 2106.09685). The adapter is a module of its
//! own, handed to every pass: several adapters share one base, the base may live on a device
//! without gradients, and leaving the adapter out gives the base model back without copying it.

use std::ops::Range;

use burn::{
    config::Config,
    module::{Module, Param},
    nn::{Dropout, DropoutConfig, Initializer, Linear, LinearConfig},
    tensor::{Device, Tensor},
};
use serde::{Deserialize, Serialize};
use tp_kernels::{affine, linear};

use crate::{DecoderConfig, LanguageError};

/// A layer of the decoder that an adapter can change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoraTarget {
    /// Queries, keys and values.
    Wqkv,
    /// The attention's output.
    Wo,
    /// The feed-forward gate.
    W1,
    /// The feed-forward network's way back.
    W2,
    /// What is gated.
    W3,
    /// The output layer, tied or not.
    Output,
}

impl LoraTarget {
    /// Every linear layer of the blocks.
    #[must_use]
    pub fn blocks() -> Vec<Self> {
        vec![Self::Wqkv, Self::Wo, Self::W1, Self::W2, Self::W3]
    }
}

/// Shape of an adapter.
#[derive(Config, Debug, PartialEq)]
pub struct LoraConfig {
    /// Width of the narrow middle.
    pub rank: usize,
    /// The update counts `alpha / rank`.
    pub alpha: f64,
    /// Share of the adapter's inputs that training leaves out.
    #[config(default = 0.0)]
    pub dropout: f64,
    /// The layers that are adapted.
    #[config(default = "LoraTarget::blocks()")]
    pub targets: Vec<LoraTarget>,
}

impl LoraConfig {
    /// Checks that an adapter of this shape exists.
    ///
    /// # Errors
    ///
    /// [`LanguageError::InvalidConfig`] names the first field that does not fit.
    pub fn validate(&self) -> Result<(), LanguageError> {
        let refuse = |field, value: String, accepted: &str| {
            Err(LanguageError::InvalidConfig { field, value, accepted: accepted.to_owned() })
        };
        if !(1..=65_536).contains(&self.rank) {
            return refuse("rank", self.rank.to_string(), "from 1 to 65536 is accepted");
        }
        if !self.alpha.is_finite() {
            return refuse("alpha", self.alpha.to_string(), "a finite number is accepted");
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return refuse("dropout", self.dropout.to_string(), "a share in [0, 1) is accepted");
        }
        Ok(())
    }

    /// A fresh adapter, which changes nothing until it has learned: `B` is zero.
    ///
    /// # Panics
    ///
    /// If [`LoraConfig::validate`] refuses this configuration.
    #[must_use]
    pub fn init(&self, decoder: &DecoderConfig, device: &Device) -> LoraAdapter {
        if let Err(error) = self.validate() {
            panic!("{error}");
        }
        let (hidden, intermediate) = (decoder.hidden_size, decoder.intermediate_size);
        let pair = |target, d_input, d_output| {
            self.targets.contains(&target).then(|| LoraPair::new(self, d_input, d_output, device))
        };
        LoraAdapter {
            layers: (0..decoder.num_hidden_layers)
                .map(|_| LoraLayer {
                    wqkv: pair(LoraTarget::Wqkv, hidden, decoder.d_qkv()),
                    wo: pair(LoraTarget::Wo, decoder.d_queries(), hidden),
                    w1: pair(LoraTarget::W1, hidden, intermediate),
                    w2: pair(LoraTarget::W2, intermediate, hidden),
                    w3: pair(LoraTarget::W3, hidden, intermediate),
                })
                .collect(),
            output: pair(LoraTarget::Output, hidden, decoder.vocab_size),
        }
    }
}

/// The updates of a whole decoder.
#[derive(Module, Debug)]
pub struct LoraAdapter {
    /// One for every block.
    pub layers: Vec<LoraLayer>,
    /// Of the output layer.
    pub output: Option<LoraPair>,
}

/// The updates of one block.
#[derive(Module, Debug)]
pub struct LoraLayer {
    /// Of queries, keys and values.
    pub wqkv: Option<LoraPair>,
    /// Of the attention's output.
    pub wo: Option<LoraPair>,
    /// Of the feed-forward gate.
    pub w1: Option<LoraPair>,
    /// Of the feed-forward network's way back.
    pub w2: Option<LoraPair>,
    /// Of what is gated.
    pub w3: Option<LoraPair>,
}

/// The update of one linear layer.
#[derive(Module, Debug)]
pub struct LoraPair {
    /// `A`, `[in, rank]`.
    pub lora_a: Linear,
    /// `B`, `[rank, out]`.
    pub lora_b: Linear,
    dropout: Dropout,
    scale: f64,
}

impl LoraPair {
    fn new(config: &LoraConfig, d_input: usize, d_output: usize, device: &Device) -> Self {
        Self {
            lora_a: LinearConfig::new(d_input, config.rank).with_bias(false).init(device),
            lora_b: LinearConfig::new(config.rank, d_output)
                .with_bias(false)
                .with_initializer(Initializer::Zeros)
                .init(device),
            dropout: DropoutConfig::new(config.dropout).init(),
            scale: config.alpha / config.rank as f64,
        }
    }

    /// A pair of given matrices, `[in, rank]` and `[rank, out]`.
    pub(crate) fn from_parts(a: Tensor<2>, b: Tensor<2>, scale: f64, dropout: f64) -> Self {
        let layer = |weight: Tensor<2>| Linear { weight: Param::from_tensor(weight), bias: None };
        Self {
            lora_a: layer(a),
            lora_b: layer(b),
            dropout: DropoutConfig::new(dropout).init(),
            scale,
        }
    }

    /// Width of the narrow middle.
    pub(crate) fn rank(&self) -> usize {
        self.lora_b.weight.dims()[0]
    }

    /// `alpha / rank`
    pub(crate) fn scale(&self) -> f64 {
        self.scale
    }

    /// Share of the inputs that training leaves out.
    pub(crate) fn dropout_share(&self) -> f64 {
        self.dropout.prob
    }

    pub(crate) fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        // The scale on the narrow middle: the fewest multiplications.
        linear(&self.lora_b, linear(&self.lora_a, self.dropout.forward(x)) * self.scale)
    }

    /// What the pair adds to some outputs' numbers of its layer, `[outputs, in]`.
    pub(crate) fn update_of_outputs(&self, outputs: Range<usize>) -> Tensor<2> {
        let b = self.lora_b.weight.val().narrow(1, outputs.start, outputs.len()); // [rank, outputs]
        affine(b.transpose(), self.lora_a.weight.val().transpose(), None) * self.scale
    }

    /// `(alpha / rank) · A B`, `[in, out]`: what the pair adds to the weight of its layer.
    pub(crate) fn update(&self) -> Tensor<2> {
        self.lora_a.weight.val().matmul(self.lora_b.weight.val()) * self.scale
    }
}
