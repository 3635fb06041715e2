//! The full-size vision model has exactly the parameters of the published checkpoints, by name and
//! shape. No matrix is allocated.

use std::collections::BTreeMap;

use burn::{module::Module, tensor::Device};
use tp_vision::{VisionConfig, efficientnet_lite_keys, encoder_keys, projector_keys};
use tp_weights::{KeyMap, ParameterShape, parameter_shapes};

/// Names and shapes as PyTorch lists them.
#[derive(Default)]
struct Published(BTreeMap<String, Vec<usize>>);

impl Published {
    fn add(&mut self, name: &str, shape: &[usize]) {
        assert!(self.0.insert(name.to_owned(), shape.to_vec()).is_none(), "{name} is listed twice");
    }

    /// A weight of `[out, …]` and a bias.
    fn with_bias(&mut self, name: &str, shape: &[usize]) {
        self.add(&format!("{name}.weight"), shape);
        self.add(&format!("{name}.bias"), &shape[..1]);
    }

    fn norm(&mut self, name: &str, channels: usize) {
        self.with_bias(name, &[channels]);
    }
}

/// CLIP's ConvNeXt-Large, without its head.
fn backbone(list: &mut Published) {
    let dims = [192, 384, 768, 1536];
    list.with_bias("backbone.stem.0", &[192, 3, 4, 4]);
    list.norm("backbone.stem.1", 192);
    for (stage, depth) in [3, 3, 27, 3].into_iter().enumerate() {
        let (layer, c) = (format!("backbone.layer{}", stage + 1), dims[stage]);
        if stage > 0 {
            list.norm(&format!("{layer}.downsample.0"), dims[stage - 1]);
            list.with_bias(&format!("{layer}.downsample.1"), &[c, dims[stage - 1], 2, 2]);
        }
        for block in 0..depth {
            let block = format!("{layer}.blocks.{block}");
            list.add(&format!("{block}.gamma"), &[c]);
            list.with_bias(&format!("{block}.conv_dw"), &[c, 1, 7, 7]);
            list.norm(&format!("{block}.norm"), c);
            list.with_bias(&format!("{block}.mlp.fc1"), &[4 * c, c]);
            list.with_bias(&format!("{block}.mlp.fc2"), &[c, 4 * c]);
        }
    }
}

fn pixel_decoder(list: &mut Published) {
    let name = |tail: &str| format!("panoptic_head.pixel_decoder.{tail}");
    for (level, channels) in [1536, 768, 384].into_iter().enumerate() {
        list.with_bias(&name(&format!("input_convs.{level}.conv")), &[256, channels, 1, 1]);
        list.norm(&name(&format!("input_convs.{level}.gn")), 256);
    }
    list.add(&name("level_encoding.weight"), &[3, 256]);
    for layer in 0..6 {
        let name = |tail: &str| name(&format!("encoder.layers.{layer}.{tail}"));
        list.with_bias(&name("self_attn.sampling_offsets"), &[192, 256]);
        list.with_bias(&name("self_attn.attention_weights"), &[96, 256]);
        list.with_bias(&name("self_attn.value_proj"), &[256, 256]);
        list.with_bias(&name("self_attn.output_proj"), &[256, 256]);
        list.with_bias(&name("ffn.layers.0.0"), &[1024, 256]);
        list.with_bias(&name("ffn.layers.1"), &[256, 1024]);
        list.norm(&name("norms.0"), 256);
        list.norm(&name("norms.1"), 256);
    }
    list.add(&name("lateral_convs.0.conv.weight"), &[256, 192, 1, 1]);
    list.norm(&name("lateral_convs.0.gn"), 256);
    list.add(&name("output_convs.0.conv.weight"), &[256, 256, 3, 3]);
    list.norm(&name("output_convs.0.gn"), 256);
    list.with_bias(&name("mask_feature"), &[256, 256, 1, 1]);
}

/// Without the unused IoU head, and without the point prompt, which belongs to the Descriptor.
fn query_decoder(list: &mut Published) {
    let name = |tail: &str| format!("panoptic_head.{tail}");
    list.add(&name("query_feat.weight"), &[300, 256]);
    list.add(&name("query_embed.weight"), &[300, 256]);
    list.add(&name("level_embed.weight"), &[3, 256]);
    for layer in 0..9 {
        let name = |tail: &str| name(&format!("transformer_decoder.layers.{layer}.{tail}"));
        for attention in ["self_attn", "cross_attn"] {
            list.add(&name(&format!("{attention}.attn.in_proj_weight")), &[768, 256]);
            list.add(&name(&format!("{attention}.attn.in_proj_bias")), &[768]);
            list.with_bias(&name(&format!("{attention}.attn.out_proj")), &[256, 256]);
        }
        list.with_bias(&name("ffn.layers.0.0"), &[2048, 256]);
        list.with_bias(&name("ffn.layers.1"), &[256, 2048]);
        (0..3).for_each(|norm| list.norm(&name(&format!("norms.{norm}")), 256));
    }
    list.norm(&name("transformer_decoder.post_norm"), 256);
    for (index, class_width) in [(0, 256), (2, 256), (4, 768)] {
        list.with_bias(&name(&format!("mask_embed.{index}")), &[256, 256]);
        list.with_bias(&name(&format!("cls_proj.{index}")), &[class_width, 256]);
    }
    list.norm(&name("mask_pooling_proj.0"), 256);
    list.with_bias(&name("mask_pooling_proj.1"), &[256, 256]);
    list.add("class_embed", &[133, 17, 768]);
}

fn projector() -> Published {
    let mut list = Published::default();
    list.with_bias("projector.model.query_proj", &[6144, 512]);
    list.with_bias("projector.model.model.0", &[4096, 6144]);
    list.with_bias("projector.model.model.2", &[4096, 4096]);
    list.with_bias("projector.model.model_feat.0", &[4096, 6656]);
    list.with_bias("projector.model.model_feat.2", &[4096, 4096]);
    list.add("projector.model.seperate_embed.weight", &[1, 4096]);
    list
}

/// Our parameters by path, with matrices of layers in PyTorch's layout; fails if a matrix was
/// allocated.
fn parameters(module: &impl Module) -> BTreeMap<String, Vec<usize>> {
    let checked = |(path, found): (String, ParameterShape)| {
        // Vectors with a patterned initialization are allocated at once; they are small.
        assert!(found.shape.len() == 1 || !found.is_allocated, "{path} was allocated");
        (path, found.shape)
    };
    parameter_shapes(module).into_iter().map(checked).collect()
}

fn assert_same(list: Published, keys: &KeyMap, ours: &BTreeMap<String, Vec<usize>>) {
    let translated: BTreeMap<String, Vec<usize>> = list
        .0
        .iter()
        .map(|(name, shape)| {
            (keys.ours(name).unwrap_or_else(|| panic!("{name} has no counterpart")), shape.clone())
        })
        .collect();
    assert_eq!(translated.len(), list.0.len(), "two names have the same counterpart");
    for (path, shape) in ours {
        assert_eq!(translated.get(path), Some(shape), "{path}");
        let name = keys.published(path).unwrap_or_else(|| panic!("{path} has no published name"));
        assert_eq!(keys.ours(&name).as_ref(), Some(path), "{name}");
    }
    assert_eq!(translated.len(), ours.len());
}

#[test]
fn encoder_has_the_published_parameters() {
    let mut list = Published::default();
    backbone(&mut list);
    assert_eq!(list.0.len(), 340);
    pixel_decoder(&mut list);
    assert_eq!(list.0.len(), 340 + 117);
    query_decoder(&mut list);
    let eyes = VisionConfig::omg_llava_7b().init(&Device::flex());
    assert_same(list, &encoder_keys(), &parameters(&eyes.encoder));
}

#[test]
fn projector_has_the_published_parameters() {
    let eyes = VisionConfig::omg_llava_7b().init(&Device::flex());
    assert_same(projector(), &projector_keys(), &parameters(&eyes.projector));
}

/// The parameters of the package's Lite0 with its batch norms folded, from its own list of blocks.
fn lite0() -> Published {
    let mut list = Published::default();
    list.with_bias("_conv_stem", &[32, 3, 3, 3]);
    let blocks =
        [(1, 3, 16), (2, 3, 24), (2, 5, 40), (3, 3, 80), (3, 5, 112), (4, 5, 192), (1, 3, 320)];
    let (mut index, mut from) = (0, 32);
    for (depth, side, to) in blocks {
        for _ in 0..depth {
            let inside = if index == 0 { from } else { 6 * from };
            if index > 0 {
                list.with_bias(&format!("_blocks.{index}._expand_conv"), &[inside, from, 1, 1]);
            }
            list.with_bias(&format!("_blocks.{index}._depthwise_conv"), &[inside, 1, side, side]);
            list.with_bias(&format!("_blocks.{index}._project_conv"), &[to, inside, 1, 1]);
            (index, from) = (index + 1, to);
        }
    }
    list.with_bias("_conv_head", &[1280, 320, 1, 1]);
    list.with_bias("_fc", &[1000, 1280]);
    list
}

#[test]
fn efficientnet_lite_has_the_published_parameters() {
    let eyes = VisionConfig::lite0(256).init(&Device::flex());
    assert_same(lite0(), &efficientnet_lite_keys(), &parameters(eyes.encoder.backbone()));
}
