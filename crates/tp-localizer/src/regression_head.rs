//! The paper's head: the projected state of `[SEG]` → two layers → (x, y).
//!
//! Source: Talking Points, Point Localizer. Width, depth and final activation are not published:
//! here two layers with a GELU between and, unless told otherwise, a sigmoid at the end.

use burn::{
    config::Config,
    module::Module,
    nn::{Linear, LinearConfig},
    tensor::{Device, Tensor, activation::sigmoid},
};
use tp_weights::KeyMap;

/// Shape of the regression head.
#[derive(Config, Debug)]
pub struct RegressionHeadConfig {
    /// Width of the projected `[SEG]` state, `2 · feat_channels`.
    pub d_state: usize,
    /// Width of the hidden layer.
    pub d_hidden: usize,
    /// Whether points are kept inside the image by a sigmoid.
    #[config(default = true)]
    pub bounded: bool,
}

impl RegressionHeadConfig {
    /// A head to be trained.
    #[must_use]
    pub fn init(&self, device: &Device) -> RegressionHead {
        RegressionHead {
            hidden: LinearConfig::new(self.d_state, self.d_hidden).init(device),
            output: LinearConfig::new(self.d_hidden, 2).init(device),
            bounded: self.bounded,
        }
    }
}

/// State → (x, y).
#[derive(Module, Debug)]
pub struct RegressionHead {
    hidden: Linear,
    output: Linear,
    bounded: bool,
}

impl RegressionHead {
    /// Points in the unit square of the model's input.
    ///
    /// # Shapes
    ///
    /// - `state`: `[text, d_state]`
    /// - output: `[text, 2]`, (x, y)
    #[must_use]
    pub fn forward(&self, state: Tensor<2>) -> Tensor<2> {
        let point = self.output.forward(tp_kernels::gelu(self.hidden.forward(state)));
        if self.bounded { sigmoid(point) } else { point }
    }
}

/// Names of the head's layers in PyTorch's fashion ↔ parameters of [`RegressionHead`]. The paper
/// publishes no names.
#[must_use]
pub fn regression_head_keys() -> KeyMap {
    KeyMap::new(&[("point_head.0", "hidden"), ("point_head.2", "output")])
}
