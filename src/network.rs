//! All weights of a model, and its configuration.

use std::sync::Arc;

use burn::{config::Config, module::Module, tensor::Device};
use tp_descriptor::{DescriptorConfig, DescriptorNet, GaussianMask, PointPromptConfig};
use tp_language::{Decoder, DecoderConfig, LoraConfig};
use tp_localizer::{
    HeatmapHeadConfig, LocalizerConfig, LocalizerNet, RegressionHeadConfig, TextProjectorConfig,
};
use tp_vision::{
    MENTION_CHANNELS, Namer, NounTable, Nouns, PointNamer, PointNamerConfig, VisionConfig,
    VisionModel,
};

/// The section in which a text is located a second time, as a share of the image. Of 0.5 and 0.7,
/// the latter loses fewer answers for texts that mention something outside the section
/// (`docs/experiments/sight.md`).
const CLOSER_LOOK: f64 = 0.7;

/// Width of the namer's hidden layer, and the share of its values that training hides. A narrower
/// one names fewer parts (`docs/experiments/sight.md`).
const NAMER_WIDTH: usize = 1024;
const NAMER_DROPOUT: f64 = 0.5;

/// What the published classes alone count in the name of an object (`docs/experiments/sight.md`).
const PUBLISHED_SHARE: f32 = 0.2;

/// The configuration of a whole model: base, Descriptor and Localizer.
#[derive(Config, Debug)]
pub struct NetworkConfig {
    /// The vision encoder and its projection into the language model.
    pub vision: VisionConfig,
    /// The language model.
    pub language: DecoderConfig,
    /// The Descriptor's own parts.
    pub descriptor: DescriptorConfig,
    /// The Localizer's own parts.
    pub localizer: LocalizerConfig,
    /// The names of the vision encoder's classes, in order; classes beyond the last name were not
    /// trained.
    pub class_names: Option<Vec<String>>,
    /// The namer, which names points for the Descriptor's request and locates the nouns of texts.
    pub namer: Option<PointNamerConfig>,
}

/// The base (vision encoder and language model) with both of its inverse tasks.
#[derive(Module, Debug)]
pub struct Network {
    /// The vision encoder.
    pub eyes: VisionModel,
    /// The language model.
    pub decoder: Decoder,
    /// The Descriptor's own weights.
    pub descriptor: DescriptorNet,
    /// The Localizer's own weights.
    pub localizer: LocalizerNet,
    /// The namer; a model folder with a namer also contains a table of nouns.
    pub namer: Option<PointNamer>,
}

impl NetworkConfig {
    /// The model for procedural scenes.
    #[must_use]
    pub fn tiny(vocab_size: usize) -> Self {
        Self::of(
            VisionConfig::tiny(),
            DecoderConfig::tiny(vocab_size),
            LoraConfig::new(16, 32.0),
            64,
        )
    }

    /// A model with an EfficientNet-Lite0 backbone and a namer, which knows everyday objects once
    /// the backbone has its published weights.
    #[must_use]
    pub fn everyday(vocab_size: usize, nouns: &NounTable) -> Self {
        let vision = VisionConfig::lite0(320);
        let [_, maps @ ..] = vision.backbone_dims;
        let namer = PointNamerConfig::new(maps, nouns.objects.len(), nouns.parts.len())
            .with_n_colours(nouns.colours.len())
            .with_d_hidden(NAMER_WIDTH)
            .with_dropout(NAMER_DROPOUT)
            .with_published_share(PUBLISHED_SHARE);
        let mut config =
            Self::of(vision, DecoderConfig::tiny(vocab_size), LoraConfig::new(16, 32.0), 64)
                .with_namer(Some(namer));
        config.localizer.heatmap.mention_channels = Some(MENTION_CHANNELS);
        config.localizer.closer_look = Some(CLOSER_LOOK);
        config
    }

    /// On OMG-LLaVA 7B, the published base of Talking Points; adapters of rank 16.
    ///
    /// Source: section 3 of the paper, and OMG-LLaVA's configuration of InternLM2-chat-7B.
    #[must_use]
    pub fn omg_llava_7b() -> Self {
        Self::of(
            VisionConfig::omg_llava_7b(),
            DecoderConfig::internlm2_7b(),
            LoraConfig::new(16, 32.0),
            256,
        )
    }

    /// The configuration derived from vision encoder and language model; the heat-map compares
    /// vectors of `d_match` dimensions.
    #[must_use]
    pub fn of(
        vision: VisionConfig,
        language: DecoderConfig,
        lora: LoraConfig,
        d_match: usize,
    ) -> Self {
        let feat_channels = vision.feat_channels;
        let d_state = 2 * feat_channels;
        let descriptor = DescriptorConfig::new(
            PointPromptConfig::new(feat_channels),
            GaussianMask::new(),
            lora.clone(),
        );
        let localizer = LocalizerConfig::new(
            TextProjectorConfig::new(language.hidden_size, d_state),
            RegressionHeadConfig::new(d_state, feat_channels),
            HeatmapHeadConfig::new(d_state, feat_channels, d_match),
            lora,
        );
        Self::new(vision, language, descriptor, localizer)
    }

    /// The name of a class of the vision encoder; `class 7` for a class without a name.
    #[must_use]
    pub fn class_name(&self, class: usize) -> String {
        let names = self.class_names.as_deref().unwrap_or_default();
        names.get(class).cloned().unwrap_or_else(|| format!("class {class}"))
    }

    /// Initializes the weights for training.
    #[must_use]
    pub fn init(&self, device: &Device) -> Network {
        Network {
            eyes: self.vision.init(device),
            decoder: self.language.init(device),
            descriptor: self.descriptor.init(&self.language, device),
            localizer: self.localizer.init(&self.language, device),
            namer: self.namer.as_ref().map(|namer| namer.init(device)),
        }
    }
}

impl Network {
    /// The namer ready for use, if the network has one and its nouns are given.
    #[must_use]
    pub fn namer(&self, config: &NetworkConfig, nouns: Option<&Arc<Nouns>>) -> Option<Namer> {
        let classifier = self.eyes.encoder.backbone().classifier().cloned();
        Some(Namer::new(self.namer.clone()?, config.namer.clone()?, classifier, nouns?.clone()))
    }
}
