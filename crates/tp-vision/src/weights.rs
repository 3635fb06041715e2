//! Mapping between published parameter names and ours.
//!
//! Source of the names: OMG-Seg (`backbone.*`, `panoptic_head.*`; in OMG-LLaVA with the prefix
//! `visual_encoder.`) and OMG-LLaVA (`projector.model.*`); the package `efficientnet-lite-pytorch`
//! (`_conv_stem`, `_blocks.*`, `_conv_head`, `_fc`).

use tp_weights::{Checkpoint, KeyMap, TensorFloat, WeightsError, load_module};

use crate::{VisionError, VisionModel};

/// The epsilon of the published EfficientNet-Lite's batch norms.
const BATCH_NORM_EPS: f64 = 1e-3;

/// Names in OMG-Seg's checkpoint after `backbone.` ↔ parameters of [`ConvNext`](crate::ConvNext).
fn convnext_keys() -> KeyMap {
    KeyMap::new(&[
        ("stem.0", "stem.conv"),
        ("stem.1", "stem.norm"),
        ("layer{i+1}.downsample.0", "stages.{i}.downsample.norm"),
        ("layer{i+1}.downsample.1", "stages.{i}.downsample.conv"),
        ("layer{i+1}.blocks.{j}", "stages.{i}.blocks.{j}"),
        ("layer{i+1}.blocks.{j}.mlp.fc1", "stages.{i}.blocks.{j}.fc1"),
        ("layer{i+1}.blocks.{j}.mlp.fc2", "stages.{i}.blocks.{j}.fc2"),
    ])
}

/// Names in OMG-Seg's checkpoint ↔ parameters of [`VisionEncoder`](crate::VisionEncoder).
///
/// The phrase embeddings of the classes are published in a separate file, as a bare tensor; here
/// they are named `class_embed`.
#[must_use]
pub fn encoder_keys() -> KeyMap {
    let pixel_decoder = KeyMap::new(&[
        ("input_convs.{i}", "input_convs.{i}"),
        ("level_encoding.weight", "level_encoding"),
        ("encoder.layers.{i}.self_attn", "encoder.{i}"),
        ("encoder.layers.{i}.norms.0", "encoder.{i}.attention_norm"),
        ("encoder.layers.{i}.ffn.layers.0.0", "encoder.{i}.fc1"),
        ("encoder.layers.{i}.ffn.layers.1", "encoder.{i}.fc2"),
        ("encoder.layers.{i}.norms.1", "encoder.{i}.ffn_norm"),
        ("lateral_convs.0", "lateral"),
        ("output_convs.0", "output"),
        ("mask_feature", "mask_feature"),
    ]);
    let query_decoder = KeyMap::new(&[
        ("query_feat.weight", "query_feat"),
        ("query_embed.weight", "query_embed"),
        ("level_embed.weight", "level_embed"),
        ("transformer_decoder.layers.{i}.cross_attn.attn", "layers.{i}.cross_attn"),
        ("transformer_decoder.layers.{i}.norms.0", "layers.{i}.cross_norm"),
        ("transformer_decoder.layers.{i}.self_attn.attn", "layers.{i}.self_attn"),
        ("transformer_decoder.layers.{i}.norms.1", "layers.{i}.self_norm"),
        ("transformer_decoder.layers.{i}.ffn.layers.0.0", "layers.{i}.fc1"),
        ("transformer_decoder.layers.{i}.ffn.layers.1", "layers.{i}.fc2"),
        ("transformer_decoder.layers.{i}.norms.2", "layers.{i}.ffn_norm"),
        ("transformer_decoder.post_norm", "head.post_norm"),
        ("mask_embed.0", "head.mask_embed.first"),
        ("mask_embed.2", "head.mask_embed.second"),
        ("mask_embed.4", "head.mask_embed.third"),
        ("cls_proj.0", "head.cls_proj.first"),
        ("cls_proj.2", "head.cls_proj.second"),
        ("cls_proj.4", "head.cls_proj.third"),
        ("mask_pooling_proj.0", "head.pool_norm"),
        ("mask_pooling_proj.1", "head.pool_proj"),
    ]);
    convnext_keys()
        .under("backbone", "backbone")
        .and(pixel_decoder.under("panoptic_head.pixel_decoder", "pixel_decoder"))
        .and(query_decoder.under("panoptic_head", "query_decoder"))
        .and(KeyMap::new(&[("class_embed", "query_decoder.head.class_embed")]))
}

/// Names in OpenCLIP's checkpoint of a ConvNeXt ↔ parameters of
/// [`VisionEncoder`](crate::VisionEncoder): the frozen backbone, before OMG-Seg renamed it.
#[must_use]
pub fn open_clip_keys() -> KeyMap {
    open_clip_trunk_keys().under("visual.trunk", "backbone")
}

/// The same names after `visual.trunk.` ↔ parameters of [`ConvNext`](crate::ConvNext).
fn open_clip_trunk_keys() -> KeyMap {
    KeyMap::new(&[
        ("stem.0", "stem.conv"),
        ("stem.1", "stem.norm"),
        ("stages.{i}.downsample.0", "stages.{i}.downsample.norm"),
        ("stages.{i}.downsample.1", "stages.{i}.downsample.conv"),
        ("stages.{i}.blocks.{j}", "stages.{i}.blocks.{j}"),
        ("stages.{i}.blocks.{j}.mlp.fc1", "stages.{i}.blocks.{j}.fc1"),
        ("stages.{i}.blocks.{j}.mlp.fc2", "stages.{i}.blocks.{j}.fc2"),
    ])
}

/// Names in the published file of an EfficientNet-Lite with folded batch norms ↔ parameters of
/// [`Backbone`](crate::Backbone).
#[must_use]
pub fn efficientnet_lite_keys() -> KeyMap {
    KeyMap::new(&[
        ("_conv_stem", "conv_stem"),
        ("_blocks.{i}._expand_conv", "blocks.{i}.expand_conv"),
        ("_blocks.{i}._depthwise_conv", "blocks.{i}.depthwise_conv"),
        ("_blocks.{i}._project_conv", "blocks.{i}.project_conv"),
        ("_conv_head", "classifier.conv_head"),
        ("_fc", "classifier.fc"),
    ])
}

/// The convolution before a batch norm of an EfficientNet-Lite, by their published names.
fn convolution_before(norm: &str) -> Option<String> {
    match norm {
        "_bn0" => return Some("_conv_stem".to_owned()),
        "_bn1" => return Some("_conv_head".to_owned()),
        _ => {}
    }
    let (block, norm) = norm.rsplit_once('.')?;
    let convolution = match norm {
        "_bn0" => "_expand_conv",
        "_bn1" => "_depthwise_conv",
        "_bn2" => "_project_conv",
        _ => return None,
    };
    block.starts_with("_blocks.").then(|| format!("{block}.{convolution}"))
}

/// A published EfficientNet-Lite with its batch norms folded into the preceding convolutions; any
/// other checkpoint unchanged.
///
/// # Errors
///
/// [`WeightsError`] if a batch norm has no matching convolution.
pub fn folded_efficientnet_lite(checkpoint: Checkpoint) -> Result<Checkpoint, WeightsError> {
    let norms: Vec<String> = checkpoint
        .entries()
        .filter_map(|entry| Some(entry.name.strip_suffix(".running_var")?.to_owned()))
        .collect();
    norms.into_iter().try_fold(checkpoint, |checkpoint, norm| match convolution_before(&norm) {
        Some(convolution) => checkpoint.folded(&convolution, &norm, BATCH_NORM_EPS),
        None => Ok(checkpoint),
    })
}

impl VisionModel {
    /// Loads the backbone only: from the published file of an EfficientNet-Lite, of OMG-Seg or of
    /// CLIP's ConvNeXt, or from the output of `talking-points convert` for one of them. Other
    /// tensors are ignored, and so is a classifier that the backbone does not have.
    ///
    /// # Errors
    ///
    /// [`VisionError`] if a parameter of the backbone is missing, has another shape or cannot be
    /// read; others may already be loaded.
    pub fn load_backbone(&mut self, checkpoint: Checkpoint) -> Result<(), VisionError> {
        let checkpoint = folded_efficientnet_lite(checkpoint)?;
        let (lite, convnext) = (efficientnet_lite_keys(), convnext_keys());
        let keys = lite
            .under("visual_encoder.backbone", "")
            .and(lite)
            .and(convnext.under("visual_encoder.backbone", ""))
            .and(convnext.under("backbone", ""))
            .and(open_clip_trunk_keys().under("visual.trunk", ""));
        let report = load_module(&mut self.encoder.backbone, &checkpoint, &keys, TensorFloat::F32);
        if report.missing.is_empty() && report.unusable.is_empty() {
            return Ok(());
        }
        Err(VisionError::Backbone {
            path: checkpoint.path().to_owned(),
            missing: report.missing,
            unusable: report.unusable,
        })
    }
}

/// Names in OMG-LLaVA's checkpoint ↔ parameters of [`VisualProjector`](crate::VisualProjector).
#[must_use]
pub fn projector_keys() -> KeyMap {
    KeyMap::new(&[
        ("projector.model.query_proj", "query_proj"),
        ("projector.model.model.{2i}", "model.{i}"),
        ("projector.model.model_feat.{2i}", "model_feat.{i}"),
        // The misspelling is part of the published name.
        ("projector.model.seperate_embed.weight", "separator"),
    ])
}
