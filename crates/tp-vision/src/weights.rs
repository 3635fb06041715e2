//! Published parameter names ↔ ours.
//!
//! Source of the names: OMG-Seg (`backbone.*`, `panoptic_head.*`; inside OMG-LLaVA behind `visual_encoder.`) and OMG-LLaVA
//! (`projector.model.*`).

use tp_weights::KeyMap;

/// Names in OMG-Seg's checkpoint ↔ parameters of [`VisionEncoder`](crate::VisionEncoder).
///
/// The vectors of the classes' phrases are a file of their own there, a bare tensor; here they go by `class_embed`.
#[must_use]
pub fn encoder_keys() -> KeyMap {
    let backbone = KeyMap::new(&[
        ("stem.0", "stem.conv"),
        ("stem.1", "stem.norm"),
        ("layer{i+1}.downsample.0", "stages.{i}.downsample.norm"),
        ("layer{i+1}.downsample.1", "stages.{i}.downsample.conv"),
        ("layer{i+1}.blocks.{j}", "stages.{i}.blocks.{j}"),
        ("layer{i+1}.blocks.{j}.mlp.fc1", "stages.{i}.blocks.{j}.fc1"),
        ("layer{i+1}.blocks.{j}.mlp.fc2", "stages.{i}.blocks.{j}.fc2"),
    ]);
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
    backbone
        .under("backbone", "backbone")
        .and(pixel_decoder.under("panoptic_head.pixel_decoder", "pixel_decoder"))
        .and(query_decoder.under("panoptic_head", "query_decoder"))
        .and(KeyMap::new(&[("class_embed", "query_decoder.head.class_embed")]))
}

/// Names in OpenCLIP's checkpoint of a ConvNeXt ↔ parameters of [`VisionEncoder`](crate::VisionEncoder): the frozen backbone,
/// before OMG-Seg renamed it.
#[must_use]
pub fn open_clip_keys() -> KeyMap {
    KeyMap::new(&[
        ("stem.0", "stem.conv"),
        ("stem.1", "stem.norm"),
        ("stages.{i}.downsample.0", "stages.{i}.downsample.norm"),
        ("stages.{i}.downsample.1", "stages.{i}.downsample.conv"),
        ("stages.{i}.blocks.{j}", "stages.{i}.blocks.{j}"),
        ("stages.{i}.blocks.{j}.mlp.fc1", "stages.{i}.blocks.{j}.fc1"),
        ("stages.{i}.blocks.{j}.mlp.fc2", "stages.{i}.blocks.{j}.fc2"),
    ])
    .under("visual.trunk", "backbone")
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
