//! The backbone of the vision encoder: ConvNeXt or EfficientNet-Lite.

use burn::{
    module::{
        Content, Devices, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor,
    },
    tensor::{Device, Tensor},
};
use serde::{Deserialize, Serialize};

use crate::{Classifier, ConvNext, EfficientNetLite, EfficientNetLiteConfig, VisionConfig};

/// The backbone as written in a configuration: `"convnext"`, which is the default, or
/// `{"efficientnet_lite": {…}}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Option<Named>", into = "Named")]
pub enum BackboneConfig {
    /// Defined by `backbone_dims` and `backbone_depths` alone.
    #[default]
    ConvNext,
    /// Defined by its own configuration, from which those two follow.
    EfficientNetLite(EfficientNetLiteConfig),
}

/// The same enum in the spelling of files. Older configurations do not have the field.
#[derive(Serialize, Deserialize)]
enum Named {
    #[serde(rename = "convnext")]
    ConvNext,
    #[serde(rename = "efficientnet_lite")]
    EfficientNetLite(EfficientNetLiteConfig),
}

impl From<Option<Named>> for BackboneConfig {
    fn from(named: Option<Named>) -> Self {
        match named {
            None | Some(Named::ConvNext) => Self::ConvNext,
            Some(Named::EfficientNetLite(config)) => Self::EfficientNetLite(config),
        }
    }
}

impl From<BackboneConfig> for Named {
    fn from(config: BackboneConfig) -> Self {
        match config {
            BackboneConfig::ConvNext => Self::ConvNext,
            BackboneConfig::EfficientNetLite(config) => Self::EfficientNetLite(config),
        }
    }
}

/// A backbone, which computes C2 … C5, the feature maps of strides 4, 8, 16 and 32, from an image.
///
/// Its parameter paths are those of the inner network, without the name of the variant, so that
/// weight files are independent of this enum.
#[derive(Clone, Debug)]
pub enum Backbone {
    /// See [`ConvNext`].
    ConvNext(ConvNext),
    /// See [`EfficientNetLite`].
    EfficientNetLite(EfficientNetLite),
}

impl Backbone {
    pub(crate) fn init(config: &VisionConfig, device: &Device) -> Self {
        match &config.backbone {
            BackboneConfig::ConvNext => Self::ConvNext(ConvNext::init(config, device)),
            BackboneConfig::EfficientNetLite(lite) => {
                Self::EfficientNetLite(EfficientNetLite::init(lite, device))
            }
        }
    }

    /// `[batch, 3, height, width]` → C2 … C5, each `[batch, height / stride, width / stride,
    /// channels]`.
    #[must_use]
    pub fn forward(&self, images: Tensor<4>) -> [Tensor<4>; 4] {
        match self {
            Self::ConvNext(network) => network.forward(images),
            Self::EfficientNetLite(network) => network.forward(images),
        }
    }

    /// The classification head, if the network has one and it was kept.
    #[must_use]
    pub fn classifier(&self) -> Option<&Classifier> {
        match self {
            Self::ConvNext(_) => None,
            Self::EfficientNetLite(network) => network.classifier(),
        }
    }
}

/// Delegates to the inner network; the second form wraps the result again.
macro_rules! inside {
    ($backbone:expr, $network:ident => $body:expr) => {
        match $backbone {
            Self::ConvNext($network) => $body,
            Self::EfficientNetLite($network) => $body,
        }
    };
    ($backbone:expr, $network:ident becomes $body:expr) => {
        match $backbone {
            Self::ConvNext($network) => Self::ConvNext($body),
            Self::EfficientNetLite($network) => Self::EfficientNetLite($body),
        }
    };
}

// Not derived, because Burn would put the name of the variant into every parameter path.
impl Module for Backbone {
    fn collect_devices(&self, devices: Devices) -> Devices {
        inside!(self, network => network.collect_devices(devices))
    }

    fn fork(self, device: &Device) -> Self {
        inside!(self, network becomes network.fork(device))
    }

    fn to_device(self, device: &Device) -> Self {
        inside!(self, network becomes network.to_device(device))
    }

    fn train(self) -> Self {
        inside!(self, network becomes network.train())
    }

    fn valid(&self) -> Self {
        inside!(self, network becomes network.valid())
    }

    fn materialize(self) -> Self {
        inside!(self, network becomes network.materialize())
    }

    fn visit<Visitor: ModuleVisitor>(&self, visitor: &mut Visitor) {
        inside!(self, network => network.visit(visitor));
    }

    fn map<Mapper: ModuleMapper>(self, mapper: &mut Mapper) -> Self {
        inside!(self, network becomes network.map(mapper))
    }
}

impl ModuleDisplay for Backbone {}

impl ModuleDisplayDefault for Backbone {
    fn content(&self, content: Content) -> Option<Content> {
        inside!(self, network => network.content(content))
    }

    fn num_params(&self) -> usize {
        Module::num_params(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_without_the_choice_is_that_of_convnext() {
        let mut text = serde_json::to_value(VisionConfig::tiny()).unwrap();
        assert_eq!(text["backbone"], "convnext");
        text.as_object_mut().unwrap().remove("backbone");
        assert_eq!(serde_json::from_value::<VisionConfig>(text).unwrap(), VisionConfig::tiny());
    }

    #[test]
    fn the_choice_survives_a_file() {
        for config in [VisionConfig::tiny(), VisionConfig::lite0(256)] {
            let text = serde_json::to_string(&config).unwrap();
            assert_eq!(serde_json::from_str::<VisionConfig>(&text).unwrap(), config, "{text}");
        }
    }

    #[test]
    fn paths_of_parameters_do_not_name_the_choice() {
        let eyes = VisionConfig { image_size: 64, ..VisionConfig::tiny() }.init(&Device::flex());
        let paths = tp_weights::parameter_shapes(&eyes);
        assert!(
            paths.contains_key("encoder.backbone.stem.conv.weight"),
            "{:?}",
            paths.keys().next()
        );
    }
}
