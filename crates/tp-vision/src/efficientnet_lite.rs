//! The backbone EfficientNet-Lite: inverted bottlenecks of inexpensive operators that mobile
//! devices support.
//!
//! Source: Tan and Le, "EfficientNet" (arXiv 1905.11946), in its authors' variant "Lite": without
//! squeeze-and-excitation, with ReLU6 instead of swish, and with stem and head of the same width in
//! all sizes. Matches the PyPI package `efficientnet-lite-pytorch`.
//!
//! Batch norms are folded into the preceding convolutions when weights are loaded
//! ([`folded_efficientnet_lite`](crate::folded_efficientnet_lite)), so their statistics do not
//! change in training.

use burn::{
    module::Module,
    nn::{Initializer, Linear, LinearConfig},
    tensor::{Device, Tensor},
};
use serde::{Deserialize, Serialize};
use tp_kernels::{BottleneckForm, BottleneckWeights, inverted_bottleneck, linear};

use crate::convolution::{Convolution, Depthwise};

/// The stages, with what all sizes share: filter side, stride of the first block, and expansion
/// factor.
const STAGES: [Stage; 7] = [
    Stage { side: 3, stride: 1, expansion: 1 },
    Stage { side: 3, stride: 2, expansion: 6 },
    Stage { side: 5, stride: 2, expansion: 6 },
    Stage { side: 3, stride: 2, expansion: 6 },
    Stage { side: 5, stride: 1, expansion: 6 },
    Stage { side: 5, stride: 2, expansion: 6 },
    Stage { side: 3, stride: 1, expansion: 6 },
];

/// The stages that end with C2 … C5: the last ones of strides 4, 8, 16 and 32.
const LAST_STAGES: [usize; 4] = [1, 2, 4, 6];

struct Stage {
    side: usize,
    stride: usize,
    expansion: usize,
}

/// Configuration of an EfficientNet-Lite.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EfficientNetLiteConfig {
    /// Channels of the first convolution.
    pub stem_channels: usize,
    /// Channels of the seven stages.
    pub stage_channels: [usize; 7],
    /// Blocks of the seven stages.
    pub stage_depths: [usize; 7],
    /// The classification head, if it is needed.
    pub classifier: Option<ClassifierConfig>,
}

/// Configuration of the classification head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassifierConfig {
    /// Channels before the last layer.
    pub channels: usize,
    /// The number of classes.
    pub classes: usize,
}

impl EfficientNetLiteConfig {
    /// 4.65 M parameters with its classifier; published for inputs of 224 pixels.
    #[must_use]
    pub fn lite0() -> Self {
        Self {
            stem_channels: 32,
            stage_channels: [16, 24, 40, 80, 112, 192, 320],
            stage_depths: [1, 2, 2, 3, 3, 4, 1],
            // The classes of ImageNet.
            classifier: Some(ClassifierConfig { channels: 1280, classes: 1000 }),
        }
    }

    /// 5.42 M parameters with its classifier; published for inputs of 240 pixels.
    #[must_use]
    pub fn lite1() -> Self {
        Self { stage_depths: [1, 3, 3, 4, 4, 5, 1], ..Self::lite0() }
    }

    /// 6.09 M parameters with its classifier; published for inputs of 260 pixels.
    #[must_use]
    pub fn lite2() -> Self {
        Self { stage_channels: [16, 24, 48, 88, 120, 208, 352], ..Self::lite1() }
    }

    /// Channels of C2 … C5.
    #[must_use]
    pub fn map_channels(&self) -> [usize; 4] {
        LAST_STAGES.map(|stage| self.stage_channels[stage])
    }

    /// The number of blocks between consecutive maps of C2 … C5, the first ones counted from the
    /// stem.
    #[must_use]
    pub fn map_depths(&self) -> [usize; 4] {
        let mut from = 0;
        LAST_STAGES.map(|last| {
            let depth = self.stage_depths[from..=last]
                .iter()
                .fold(0_usize, |sum, &depth| sum.saturating_add(depth));
            from = last + 1;
            depth
        })
    }

    /// Every number in the configuration, with the name of its field.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (&'static str, usize)> {
        let head = self.classifier.iter().flat_map(|head| {
            [("classifier.channels", head.channels), ("classifier.classes", head.classes)]
        });
        let stages = self.stage_channels.iter().map(|&n| ("stage_channels", n));
        let depths = self.stage_depths.iter().map(|&n| ("stage_depths", n));
        [("stem_channels", self.stem_channels)].into_iter().chain(stages).chain(depths).chain(head)
    }

    /// The number of parameters with folded batch norms.
    pub(crate) fn parameter_count(&self) -> u64 {
        let convolution =
            |from: usize, to: usize, taps: usize| (from * taps + 1) as u64 * to as u64;
        let block = |shape: BlockShape| {
            let inside = shape.inside();
            let expand = if shape.expansion == 1 { 0 } else { convolution(shape.from, inside, 1) };
            expand
                + convolution(1, inside, shape.side * shape.side)
                + convolution(inside, shape.to, 1)
        };
        let head = self.classifier.map_or(0, |head| {
            convolution(self.stage_channels[6], head.channels, 1)
                + convolution(head.channels, head.classes, 1)
        });
        // The blocks of a stage after its first one are equal, and a file may state a very large
        // number of them.
        let mut from = self.stem_channels;
        let stages: u64 = STAGES
            .iter()
            .zip(self.stage_channels.iter().zip(self.stage_depths))
            .map(|(stage, (&to, depth))| {
                let first = block(BlockShape::new(stage, from, to, stage.stride));
                from = to;
                first + depth.saturating_sub(1) as u64 * block(BlockShape::new(stage, to, to, 1))
            })
            .sum();
        convolution(3, self.stem_channels, 9) + stages + head
    }

    /// Every block, in order.
    fn blocks(&self) -> impl Iterator<Item = BlockShape> {
        let mut from = self.stem_channels;
        STAGES.iter().zip(self.stage_channels.into_iter().zip(self.stage_depths)).flat_map(
            move |(stage, (to, depth))| {
                let first = BlockShape::new(stage, from, to, stage.stride);
                from = to;
                (0..depth).map(
                    move |index| if index == 0 { first } else { BlockShape::new(stage, to, to, 1) },
                )
            },
        )
    }
}

/// The configuration of a block.
#[derive(Clone, Copy)]
struct BlockShape {
    from: usize,
    to: usize,
    side: usize,
    stride: usize,
    expansion: usize,
}

impl BlockShape {
    fn new(stage: &Stage, from: usize, to: usize, stride: usize) -> Self {
        Self { from, to, side: stage.side, stride, expansion: stage.expansion }
    }

    fn inside(&self) -> usize {
        self.from * self.expansion
    }
}

/// Stem, blocks and classification head.
#[derive(Module, Debug)]
pub struct EfficientNetLite {
    conv_stem: Convolution,
    blocks: Vec<InvertedBottleneck>,
    classifier: Option<Classifier>,
    #[module(skip)]
    map_depths: [usize; 4],
}

impl EfficientNetLite {
    /// Initializes the weights, for training or loading.
    #[must_use]
    pub fn init(config: &EfficientNetLiteConfig, device: &Device) -> Self {
        Self {
            conv_stem: Convolution::init([config.stem_channels, 3, 3], &HE, device),
            blocks: config.blocks().map(|shape| InvertedBottleneck::init(shape, device)).collect(),
            classifier: config
                .classifier
                .map(|head| Classifier::init(head, config.stage_channels[6], device)),
            map_depths: config.map_depths(),
        }
    }

    /// `[batch, 3, height, width]` of any size → C2 … C5, each `[batch, ⌈height / stride⌉, ⌈width /
    /// stride⌉, channels]`.
    #[must_use]
    pub fn forward(&self, images: Tensor<4>) -> [Tensor<4>; 4] {
        let mut x = self.conv_stem.overlapping_patches_relu6(images, 2);
        let mut blocks = self.blocks.iter();
        self.map_depths.map(|depth| {
            x = blocks.by_ref().take(depth).fold(x.clone(), |x, block| block.forward(x));
            x.clone()
        })
    }

    /// The classification head, if it was kept.
    #[must_use]
    pub fn classifier(&self) -> Option<&Classifier> {
        self.classifier.as_ref()
    }
}

/// Initialization suitable for ReLU networks.
const HE: Initializer =
    Initializer::KaimingNormal { gain: std::f64::consts::SQRT_2, fan_out_only: false };

/// `x + project(ReLU6(depthwise(ReLU6(expand(x)))))`; without the skip connection if shapes differ.
#[derive(Module, Debug)]
struct InvertedBottleneck {
    expand_conv: Option<Convolution>,
    depthwise_conv: Depthwise,
    project_conv: Convolution,
    stride: usize,
    adds_its_input: bool,
}

impl InvertedBottleneck {
    fn init(shape: BlockShape, device: &Device) -> Self {
        let inside = shape.inside();
        Self {
            expand_conv: (shape.expansion > 1)
                .then(|| Convolution::init([inside, shape.from, 1], &HE, device)),
            depthwise_conv: Depthwise::init(inside, shape.side, &HE, device),
            // No ReLU follows.
            project_conv: Convolution::init(
                [shape.to, inside, 1],
                &Initializer::XavierNormal { gain: 1.0 },
                device,
            ),
            stride: shape.stride,
            adds_its_input: shape.stride == 1 && shape.from == shape.to,
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let Some(expand) = &self.expand_conv else {
            let y = self
                .project_conv
                .pointwise(self.depthwise_conv.strided_relu6(x.clone(), self.stride));
            return if self.adds_its_input { x + y } else { y };
        };
        let (expand_weight, expand_bias) = expand.matrix();
        let (depthwise_weight, depthwise_bias) = self.depthwise_conv.filters();
        let (project_weight, project_bias) = self.project_conv.matrix();
        let weights = BottleneckWeights {
            expand_weight,
            expand_bias,
            depthwise_weight,
            depthwise_bias,
            project_weight,
            project_bias,
        };
        inverted_bottleneck(
            x,
            weights,
            BottleneckForm { stride: self.stride, adds_input: self.adds_its_input },
        )
    }
}

/// The classification head, for single cells or the whole image.
#[derive(Module, Debug)]
pub struct Classifier {
    conv_head: Convolution,
    fc: Linear,
}

impl Classifier {
    fn init(config: ClassifierConfig, from: usize, device: &Device) -> Self {
        Self {
            conv_head: Convolution::init([config.channels, from, 1], &HE, device),
            fc: LinearConfig::new(config.channels, config.classes).init(device),
        }
    }

    /// The input of the last layer: `[batch, height, width, from]` → `[batch, height, width,
    /// channels]`.
    #[must_use]
    pub fn features(&self, coarse: Tensor<4>) -> Tensor<4> {
        self.conv_head.pointwise_relu6(coarse)
    }

    /// Logits from [`features`](Self::features), or from any mean of them: `[.., channels]` → `[..,
    /// classes]`.
    #[must_use]
    pub fn logits<const D: usize>(&self, features: Tensor<D>) -> Tensor<D> {
        linear(&self.fc, features)
    }

    /// Logits of every cell, as if it were the whole image: `[batch, height, width, from]` →
    /// `[batch, height, width, classes]`.
    ///
    /// Because the last layer is linear, a weighted mean of these logits equals the logits of the
    /// mean features.
    #[must_use]
    pub fn dense(&self, coarse: Tensor<4>) -> Tensor<4> {
        self.logits(self.features(coarse))
    }

    /// The published logits, of the mean over all cells: `[batch, height, width, from]` → `[batch,
    /// classes]`.
    #[must_use]
    pub fn pooled(&self, coarse: Tensor<4>) -> Tensor<2> {
        let features = self.features(coarse);
        let [batch, height, width, channels] = features.dims();
        self.logits(
            features
                .reshape([batch, height * width, channels])
                .mean_dim(1)
                .reshape([batch, channels]),
        )
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Distribution, Tolerance};

    use super::*;

    fn small() -> EfficientNetLiteConfig {
        EfficientNetLiteConfig {
            stem_channels: 4,
            stage_channels: [3, 4, 5, 6, 7, 8, 9],
            stage_depths: [1, 2, 1, 2, 1, 1, 1],
            classifier: Some(ClassifierConfig { channels: 11, classes: 5 }),
        }
    }

    #[test]
    fn published_networks_have_their_parameters() {
        // Parameter counts of the package's modules, minus what folding merges: one of the two
        // vectors of each batch norm remains.
        for (config, parameters, norm_channels) in [
            (EfficientNetLiteConfig::lite0(), 4_652_008, 21_008),
            (EfficientNetLiteConfig::lite1(), 5_416_680, 26_832),
            (EfficientNetLiteConfig::lite2(), 6_092_072, 29_048),
        ] {
            assert_eq!(config.parameter_count(), parameters - norm_channels);
        }
        let network = EfficientNetLite::init(&small(), &Device::flex());
        assert_eq!(network.num_params() as u64, small().parameter_count());
    }

    #[test]
    fn maps_end_where_the_stride_doubles() {
        let ends = |config: EfficientNetLiteConfig| {
            let mut blocks = 0;
            config.map_depths().map(|depth| {
                blocks += depth;
                blocks - 1
            })
        };
        assert_eq!(ends(EfficientNetLiteConfig::lite0()), [2, 4, 10, 15]);
        assert_eq!(ends(EfficientNetLiteConfig::lite1()), [3, 6, 14, 20]);
        assert_eq!(EfficientNetLiteConfig::lite0().map_channels(), [24, 40, 112, 320]);
        assert_eq!(EfficientNetLiteConfig::lite2().map_channels(), [24, 48, 120, 352]);
    }

    #[test]
    fn every_size_of_image_is_taken() {
        let device = Device::flex();
        let network = EfficientNetLite::init(&small(), &device);
        for (height, width) in [(64_usize, 96_usize), (65, 33), (1, 7)] {
            let maps = network.forward(Tensor::random(
                [2, 3, height, width],
                Distribution::Default,
                &device,
            ));
            let side = |stride: usize| [height.div_ceil(stride), width.div_ceil(stride)];
            for (map, (stride, channels)) in maps.iter().zip([(4, 4), (8, 5), (16, 7), (32, 9)]) {
                let [rows, columns] = side(stride);
                assert_eq!(map.dims(), [2, rows, columns, channels]);
            }
        }
    }

    #[test]
    fn classes_of_the_mean_are_the_mean_of_the_cells() {
        let device = Device::flex();
        let network = EfficientNetLite::init(&small(), &device);
        let [.., coarse] = network.forward(Tensor::random(
            [2, 3, 64, 96],
            Distribution::Normal(0.0, 1.0),
            &device,
        ));
        let classifier = network.classifier().unwrap();
        let mean = classifier.dense(coarse.clone()).reshape([2, 6, 5]).mean_dim(1).reshape([2, 5]);
        classifier
            .pooled(coarse)
            .into_data()
            .assert_approx_eq::<f32>(&mean.into_data(), Tolerance::absolute(1e-5));
    }
}
