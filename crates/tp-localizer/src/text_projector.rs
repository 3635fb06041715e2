//! From the language model's hidden state at `[SEG]` to the width of the query decoder.
//!
//! Source: OMG-LLaVA, `projector_text2vision`: linear, GELU, linear; the first half of the result
//! is the content query, the second the position query.

use burn::{
    config::Config,
    module::Module,
    nn::{Linear, LinearConfig},
    tensor::{Device, Tensor},
};
use tp_kernels::{gelu, linear};
use tp_weights::KeyMap;

/// Shape of the projector.
#[derive(Config, Debug)]
pub struct TextProjectorConfig {
    /// Width of the language model.
    pub hidden_size: usize,
    /// Width of content and position query together, `2 · feat_channels`.
    pub text2vision_dim: usize,
}

impl TextProjectorConfig {
    /// A projector to be trained.
    #[must_use]
    pub fn init(&self, device: &Device) -> TextProjector {
        TextProjector {
            input: LinearConfig::new(self.hidden_size, self.text2vision_dim).init(device),
            output: LinearConfig::new(self.text2vision_dim, self.text2vision_dim).init(device),
        }
    }
}

/// Hidden state → query of the vision model.
#[derive(Module, Debug)]
pub struct TextProjector {
    input: Linear,
    output: Linear,
}

impl TextProjector {
    /// `[text, hidden_size]` → `[text, text2vision_dim]`.
    #[must_use]
    pub fn forward(&self, hidden: Tensor<2>) -> Tensor<2> {
        linear(&self.output, gelu(linear(&self.input, hidden)))
    }
}

/// Published names ↔ parameters of [`TextProjector`].
#[must_use]
pub fn text_projector_keys() -> KeyMap {
    KeyMap::new(&[
        ("projector_text2vision.model.0", "input"),
        ("projector_text2vision.model.2", "output"),
    ])
}
