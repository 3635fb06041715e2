//! The names of OMG-LLaVA's published weights ↔ ours, and one spelling for all of its files.
//!
//! Source of the names: OMG-Seg (`backbone.*`, `panoptic_head.*`), OMG-LLaVA (`visual_encoder.*`,
//! `projector.*`, `projector_text2vision.*`, `llm.*`), OpenCLIP (`visual.trunk.*`), PEFT
//! (`base_model.model.*`, `base_layer`), the package `efficientnet-lite-pytorch` (`_conv_stem`,
//! `_blocks.*`, `_conv_head`, `_fc`).

use tp_descriptor::prompt_keys;
use tp_language::decoder_keys;
use tp_localizer::{regression_head_keys, text_projector_keys};
use tp_vision::{efficientnet_lite_keys, encoder_keys, open_clip_keys, projector_keys};
use tp_weights::KeyMap;

/// What OMG-LLaVA puts before the names of its vision model and of its language model.
const EYES: &str = "visual_encoder";
const LANGUAGE: &str = "llm";
/// What PEFT puts before the names of a model that it adapts.
const ADAPTED: &str = "base_model.model.";

/// Published names of a whole network, as [`published_name`] spells them ↔ parameters of
/// [`Network`](crate::Network).
///
/// What Talking Points adds to its base (both adapters, the heat-map head) has no published name.
#[must_use]
pub fn network_keys() -> KeyMap {
    encoder_keys()
        .under(EYES, "eyes.encoder")
        .and(efficientnet_lite_keys().under(&format!("{EYES}.backbone"), "eyes.encoder.backbone"))
        .and(projector_keys().under("", "eyes.projector"))
        .and(prompt_keys().under(EYES, "descriptor.prompt"))
        .and(decoder_keys().under(LANGUAGE, "decoder"))
        .and(text_projector_keys().under("", "localizer.projector"))
        .and(regression_head_keys().under("", "localizer.regression"))
}

/// Where a tensor of a published file belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublishedName {
    /// In the model itself, under this name.
    Base(String),
    /// In an adapter folder of PEFT, under this name.
    Adapter(String),
}

/// One spelling for the same tensor of different files: OMG-Seg's checkpoint names the vision model alone,
/// InternLM2's folder the language model alone, and a file of a training run holds PEFT's wrappers.
/// Other names stay as they are.
#[must_use]
pub fn published_name(name: &str) -> PublishedName {
    if name.is_empty() {
        // The file of the classes' phrases is one bare tensor.
        return PublishedName::Base(format!("{EYES}.class_embed"));
    }
    let begins_with = |parts: &[&str]| parts.contains(&name.split('.').next().unwrap_or_default());
    if begins_with(&["visual"]) {
        let renamed = open_clip_keys().ours(name).and_then(|ours| encoder_keys().published(&ours));
        return PublishedName::Base(
            renamed.map_or_else(|| name.to_owned(), |name| format!("{EYES}.{name}")),
        );
    }
    if begins_with(&["_conv_stem", "_blocks", "_conv_head", "_fc"]) {
        return PublishedName::Base(format!("{EYES}.backbone.{name}"));
    }
    if begins_with(&["backbone", "panoptic_head", "class_embed"]) {
        return PublishedName::Base(format!("{EYES}.{name}"));
    }
    let inner = name.strip_prefix("llm.").unwrap_or(name);
    if inner.contains(".lora_A.") || inner.contains(".lora_B.") {
        // PEFT leaves the name of the adapter out of its files.
        let layer = inner.strip_prefix(ADAPTED).unwrap_or(inner).replace(".default.", ".");
        return PublishedName::Adapter(format!("{ADAPTED}{layer}"));
    }
    let is_language =
        name.starts_with("llm.") || begins_with(&["base_model", "model", "output", "lm_head"]);
    if is_language {
        let plain = inner.strip_prefix(ADAPTED).unwrap_or(inner).replace(".base_layer.", ".");
        return PublishedName::Base(format!("{LANGUAGE}.{plain}"));
    }
    PublishedName::Base(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_spells_a_tensor_alike() {
        let base = |name: &str| PublishedName::Base(name.to_owned());
        for (name, expected) in [
            ("panoptic_head.level_embed.weight", "visual_encoder.panoptic_head.level_embed.weight"),
            ("visual_encoder.backbone.stem.0.bias", "visual_encoder.backbone.stem.0.bias"),
            (
                "visual.trunk.stages.2.blocks.4.mlp.fc1.weight",
                "visual_encoder.backbone.layer3.blocks.4.mlp.fc1.weight",
            ),
            (
                "_blocks.3._depthwise_conv.bias",
                "visual_encoder.backbone._blocks.3._depthwise_conv.bias",
            ),
            ("", "visual_encoder.class_embed"),
            ("model.layers.3.attention.wo.weight", "llm.model.layers.3.attention.wo.weight"),
            ("llm.base_model.model.output.base_layer.weight", "llm.output.weight"),
            ("llm.base_model.model.model.tok_embeddings.weight", "llm.model.tok_embeddings.weight"),
            ("projector.model.model.0.weight", "projector.model.model.0.weight"),
        ] {
            assert_eq!(published_name(name), base(expected), "{name}");
        }
        assert_eq!(
            published_name(
                "llm.base_model.model.model.layers.0.feed_forward.w1.lora_A.default.weight"
            ),
            PublishedName::Adapter(
                "base_model.model.model.layers.0.feed_forward.w1.lora_A.weight".to_owned()
            )
        );
    }

    #[test]
    fn names_of_all_rooms_have_a_place() {
        let keys = network_keys();
        for (name, ours) in [
            (
                "visual_encoder.backbone.layer1.blocks.0.gamma",
                "eyes.encoder.backbone.stages.0.blocks.0.gamma",
            ),
            (
                "visual_encoder.backbone._blocks.3._expand_conv.bias",
                "eyes.encoder.backbone.blocks.3.expand_conv.bias",
            ),
            ("visual_encoder.backbone._fc.weight", "eyes.encoder.backbone.classifier.fc.weight"),
            ("visual_encoder.panoptic_head.pos_linear.weight", "descriptor.prompt.position.weight"),
            ("projector.model.query_proj.bias", "eyes.projector.query_proj.bias"),
            ("llm.model.layers.7.attention.wqkv.weight", "decoder.layers.7.attention.wqkv.weight"),
            ("projector_text2vision.model.2.weight", "localizer.projector.output.weight"),
            ("point_head.0.weight", "localizer.regression.hidden.weight"),
        ] {
            assert_eq!(keys.ours(name).as_deref(), Some(ours));
        }
    }
}
