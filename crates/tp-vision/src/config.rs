//! The configuration of the vision model, with the field names of the published one.

use burn::config::Config;
use tp_core::Fit;

use crate::{BackboneConfig, EfficientNetLiteConfig, VisionError};

/// Hyper-parameters of the vision model; the defaults are those that all presets share.
#[derive(Config, Debug, PartialEq)]
pub struct VisionConfig {
    /// Default side length of the input in pixels; the network accepts any multiple of `32 ·
    /// unshuffle`.
    pub image_size: usize,
    /// How an image is fitted into the square input.
    #[config(default = "Fit::PadToSquare")]
    pub fit: Fit,
    /// Mean of each channel, for values in [0, 1]; also the color of the padding.
    #[config(default = "[0.4814, 0.4578, 0.4082]")]
    pub image_mean: [f32; 3],
    /// Standard deviation of each channel.
    #[config(default = "[0.2686, 0.2613, 0.2757]")]
    pub image_std: [f32; 3],
    /// The backbone.
    #[config(default = "BackboneConfig::ConvNext")]
    pub backbone: BackboneConfig,
    /// Channels of the backbone's four feature maps, of strides 4, 8, 16 and 32.
    pub backbone_dims: [usize; 4],
    /// Numbers of blocks before the first map, and between consecutive maps.
    pub backbone_depths: [usize; 4],
    /// Epsilon of the backbone's layer norms.
    #[config(default = 1e-6)]
    pub backbone_ln_eps: f64,
    /// The initial layer scale of backbone blocks, if they have one.
    #[config(default = 1e-6)]
    pub layer_scale: f64,
    /// Width of pixel and query decoder.
    pub feat_channels: usize,
    /// Groups of the group norms.
    pub gn_groups: usize,
    /// Epsilon of every norm outside the backbone.
    #[config(default = 1e-5)]
    pub norm_eps: f64,
    /// Layers of the deformable encoder.
    pub encoder_layers: usize,
    /// Its attention heads.
    pub encoder_heads: usize,
    /// Sampled points per head and level.
    #[config(default = 4)]
    pub encoder_points: usize,
    /// Levels of the deformable encoder: strides 32, 16 and 8, always three.
    #[config(default = 3)]
    pub encoder_levels: usize,
    /// Width of its feed-forward networks.
    pub encoder_ffn: usize,
    /// Temperature of the sine position codes.
    #[config(default = 10_000.0)]
    pub pe_temperature: f64,
    /// The value of the image's full extent in the position codes.
    #[config(default = "std::f64::consts::TAU")]
    pub pe_scale: f64,
    /// Added to the number of cells before dividing by it.
    #[config(default = 1e-6)]
    pub pe_eps: f64,
    /// Added to the index of a cell, which is counted from 1.
    #[config(default = 0.0)]
    pub pe_offset: f64,
    /// Number of learned queries.
    pub num_queries: usize,
    /// Layers of the query decoder.
    pub decoder_layers: usize,
    /// Its attention heads.
    pub decoder_heads: usize,
    /// Width of its feed-forward networks.
    pub decoder_ffn: usize,
    /// Number of categories, without void.
    pub num_classes: usize,
    /// Phrases per category.
    pub class_synonyms: usize,
    /// Width of a phrase embedding.
    pub class_embed_dim: usize,
    /// The logarithm of the scale of class cosines.
    #[config(default = 4.6052)]
    pub logit_scale: f64,
    /// Side length of the block of stride-32 cells that becomes one token.
    pub unshuffle: usize,
    /// The weight of a mask in the perception prior at a class score of 0; at a score of 1 the
    /// weight is 1.
    #[config(default = 0.5)]
    pub prior_smooth: f64,
    /// Linear layers in each path of the projector.
    #[config(default = 2)]
    pub projector_depth: usize,
    /// Hidden size of the language model.
    pub hidden_size: usize,
}

/// The maximum of all sides, widths and counts.
const LARGEST: usize = 1 << 16;

/// The maximum number of parameters: configurations are untrusted files that determine how much
/// memory is allocated.
const MOST_PARAMETERS: u64 = 1 << 31;

/// The maximum side length of an input in pixels.
pub(crate) const LARGEST_SIDE: usize = 4096;

impl VisionConfig {
    /// 3.3 M parameters, for a CPU.
    #[must_use]
    pub fn tiny() -> Self {
        Self {
            image_size: 256,
            backbone_dims: [48, 96, 160, 256],
            backbone_depths: [2, 2, 4, 2],
            // With 0.1 and less, the tiny model did not learn within its training budget.
            layer_scale: 0.3,
            feat_channels: 96,
            gn_groups: 8,
            encoder_layers: 2,
            encoder_heads: 4,
            encoder_ffn: 256,
            num_queries: 16,
            decoder_layers: 3,
            decoder_heads: 4,
            decoder_ffn: 256,
            num_classes: 64,
            class_synonyms: 1,
            class_embed_dim: 64,
            // One token per stride-32 cell: precise positions matter more than a short sequence.
            unshuffle: 1,
            hidden_size: 192,
            ..Self::omg_llava_7b()
        }
    }

    /// EfficientNet-Lite0 as the backbone of [`tiny`](Self::tiny); `image_size` is a multiple of
    /// 32.
    #[must_use]
    pub fn lite0(image_size: usize) -> Self {
        Self::lite(EfficientNetLiteConfig::lite0(), image_size)
    }

    /// As [`lite0`](Self::lite0), with EfficientNet-Lite1.
    #[must_use]
    pub fn lite1(image_size: usize) -> Self {
        Self::lite(EfficientNetLiteConfig::lite1(), image_size)
    }

    /// As [`lite0`](Self::lite0), with EfficientNet-Lite2.
    #[must_use]
    pub fn lite2(image_size: usize) -> Self {
        Self::lite(EfficientNetLiteConfig::lite2(), image_size)
    }

    /// An EfficientNet-Lite as the backbone of [`tiny`](Self::tiny); `image_size` is a multiple of
    /// 32.
    #[must_use]
    pub fn lite(backbone: EfficientNetLiteConfig, image_size: usize) -> Self {
        Self {
            image_size,
            // `(byte - 127) / 128`, the normalization of the published weights.
            image_mean: [127.0 / 255.0; 3],
            image_std: [128.0 / 255.0; 3],
            backbone_dims: backbone.map_channels(),
            backbone_depths: backbone.map_depths(),
            backbone: BackboneConfig::EfficientNetLite(backbone),
            ..Self::tiny()
        }
    }

    /// The vision model of OMG-LLaVA-7B: CLIP ConvNeXt-L at 1024 pixels, 300 queries, 133 classes.
    #[must_use]
    pub fn omg_llava_7b() -> Self {
        Self {
            image_size: 1024,
            fit: Fit::PadToSquare,
            image_mean: [0.4814, 0.4578, 0.4082],
            image_std: [0.2686, 0.2613, 0.2757],
            backbone: BackboneConfig::ConvNext,
            backbone_dims: [192, 384, 768, 1536],
            backbone_depths: [3, 3, 27, 3],
            backbone_ln_eps: 1e-6,
            layer_scale: 1e-6,
            feat_channels: 256,
            gn_groups: 32,
            norm_eps: 1e-5,
            encoder_layers: 6,
            encoder_heads: 8,
            encoder_points: 4,
            encoder_levels: 3,
            encoder_ffn: 1024,
            pe_temperature: 10_000.0,
            pe_scale: std::f64::consts::TAU,
            pe_eps: 1e-6,
            pe_offset: 0.0,
            num_queries: 300,
            decoder_layers: 9,
            decoder_heads: 8,
            decoder_ffn: 2048,
            num_classes: 133,
            class_synonyms: 17,
            class_embed_dim: 768,
            logit_scale: 4.6052,
            unshuffle: 2,
            prior_smooth: 0.5,
            projector_depth: 2,
            hidden_size: 4096,
        }
    }

    /// Input sides must be multiples of this.
    #[must_use]
    pub fn side_multiple(&self) -> usize {
        32 * self.unshuffle
    }

    /// Width of a query vector (content and position concatenated), and so of the perception prior.
    #[must_use]
    pub fn prior_dim(&self) -> usize {
        2 * self.feat_channels
    }

    /// Validates the configuration, including the number of parameters.
    ///
    /// # Errors
    ///
    /// [`VisionError::InvalidConfig`] with the first invalid field.
    pub fn validate(&self) -> Result<(), VisionError> {
        self.validate_counts()?;
        self.validate_numbers()?;
        for (field, parts) in [
            ("gn_groups", self.gn_groups),
            ("encoder_heads", self.encoder_heads),
            ("decoder_heads", self.decoder_heads),
            ("feat_channels", 4),
        ] {
            if !self.feat_channels.is_multiple_of(parts) {
                let accepted = if field == "feat_channels" {
                    "it must be a multiple of 4"
                } else {
                    "it must divide feat_channels"
                };
                let value = if field == "feat_channels" { self.feat_channels } else { parts };
                return refused(field, value, accepted);
            }
        }
        if !self.image_size.is_multiple_of(self.side_multiple()) || self.image_size > LARGEST_SIDE {
            return refused(
                "image_size",
                self.image_size,
                "it must be a multiple of 32 · unshuffle, at most 4096",
            );
        }
        if self.encoder_levels != 3 {
            return refused(
                "encoder_levels",
                self.encoder_levels,
                "there are three levels: strides 32, 16 and 8",
            );
        }
        let parameters = self.parameter_counts().total();
        if parameters > MOST_PARAMETERS {
            return refused(
                "backbone_dims",
                format!("{:?}", self.backbone_dims),
                &format!(
                    "the vision model would have {parameters} parameters, more than 2147483648"
                ),
            );
        }
        Ok(())
    }

    fn validate_counts(&self) -> Result<(), VisionError> {
        let counts = [
            ("image_size", self.image_size),
            ("feat_channels", self.feat_channels),
            ("gn_groups", self.gn_groups),
            ("encoder_layers", self.encoder_layers),
            ("encoder_heads", self.encoder_heads),
            ("encoder_points", self.encoder_points),
            ("encoder_ffn", self.encoder_ffn),
            ("num_queries", self.num_queries),
            ("decoder_layers", self.decoder_layers),
            ("decoder_heads", self.decoder_heads),
            ("decoder_ffn", self.decoder_ffn),
            ("num_classes", self.num_classes),
            ("class_synonyms", self.class_synonyms),
            ("class_embed_dim", self.class_embed_dim),
            ("unshuffle", self.unshuffle),
            ("projector_depth", self.projector_depth),
            ("hidden_size", self.hidden_size),
        ];
        let lite = match &self.backbone {
            BackboneConfig::ConvNext => None,
            BackboneConfig::EfficientNetLite(lite) => Some(lite),
        };
        let dims = self.backbone_dims.map(|dim| ("backbone_dims", dim));
        let depths = self.backbone_depths.map(|depth| ("backbone_depths", depth));
        for (field, value) in counts
            .into_iter()
            .chain(dims)
            .chain(depths)
            .chain(lite.into_iter().flat_map(EfficientNetLiteConfig::counts))
        {
            if value == 0 || value > LARGEST {
                return refused(field, value, "it must be from 1 to 65536");
            }
        }
        let Some(lite) = lite else { return Ok(()) };
        for (field, value, of_backbone) in [
            ("backbone_dims", self.backbone_dims, lite.map_channels()),
            ("backbone_depths", self.backbone_depths, lite.map_depths()),
        ] {
            if value != of_backbone {
                return refused(
                    field,
                    format!("{value:?}"),
                    &format!("the maps of this EfficientNet-Lite have {of_backbone:?}"),
                );
            }
        }
        Ok(())
    }

    fn validate_numbers(&self) -> Result<(), VisionError> {
        let positive = [
            ("backbone_ln_eps", self.backbone_ln_eps),
            ("norm_eps", self.norm_eps),
            ("pe_temperature", self.pe_temperature),
            ("pe_scale", self.pe_scale),
            (
                "image_std",
                f64::from(self.image_std.into_iter().fold(f32::INFINITY, |least, std| {
                    if std < least || std.is_nan() { std } else { least }
                })),
            ),
        ];
        for (field, value) in positive {
            if !(value.is_finite() && value > 0.0) {
                return refused(field, value, "it must be a positive number");
            }
        }
        for (field, value) in [
            ("layer_scale", self.layer_scale),
            ("logit_scale", self.logit_scale),
            ("pe_offset", self.pe_offset),
            ("pe_eps", self.pe_eps),
        ] {
            if !(-10.0..=10.0).contains(&value) {
                return refused(field, value, "it must be a number from -10 to 10");
            }
        }
        let shares = self
            .image_mean
            .map(|mean| ("image_mean", f64::from(mean)))
            .into_iter()
            .chain([("prior_smooth", self.prior_smooth)]);
        for (field, value) in shares {
            if !(0.0..=1.0).contains(&value) {
                return refused(field, value, "it must be a number in [0, 1]");
            }
        }
        Ok(())
    }

    /// The number of parameters of each part, computed without allocating them.
    #[must_use]
    pub fn parameter_counts(&self) -> ParameterCounts {
        let [c2, c3, c4, c5] = self.backbone_dims.map(|dim| dim as u64);
        let linear = |from: u64, to: u64| from * to + to;
        let norm = |channels: u64| 2 * channels;
        let convnext = || {
            let block = |c: u64| 49 * c + c + norm(c) + linear(c, 4 * c) + linear(4 * c, c) + c;
            let blocks = self
                .backbone_dims
                .iter()
                .zip(self.backbone_depths)
                .map(|(&dim, depth)| depth as u64 * block(dim as u64));
            let downsamples =
                [(c2, c3), (c3, c4), (c4, c5)].map(|(from, to)| norm(from) + linear(4 * from, to));
            linear(48, c2) + norm(c2) + downsamples.iter().sum::<u64>() + blocks.sum::<u64>()
        };
        let backbone = match &self.backbone {
            BackboneConfig::ConvNext => convnext(),
            BackboneConfig::EfficientNetLite(lite) => lite.parameter_count(),
        };

        let feat = self.feat_channels as u64;
        let samples = (self.encoder_heads * self.encoder_levels * self.encoder_points) as u64;
        let encoder_ffn = self.encoder_ffn as u64;
        let encoder_layer = linear(feat, 2 * samples)
            + linear(feat, samples)
            + 2 * linear(feat, feat)
            + linear(feat, encoder_ffn)
            + linear(encoder_ffn, feat)
            + 2 * norm(feat);
        let inputs: u64 = [c5, c4, c3].map(|from| linear(from, feat) + norm(feat)).iter().sum();
        let finest = c2 * feat + norm(feat) + 9 * feat * feat + norm(feat) + linear(feat, feat);
        let pixel_decoder = inputs
            + self.encoder_levels as u64 * feat
            + self.encoder_layers as u64 * encoder_layer
            + finest;

        let decoder_ffn = self.decoder_ffn as u64;
        let attention = linear(feat, 3 * feat) + linear(feat, feat);
        let decoder_layer =
            2 * attention + linear(feat, decoder_ffn) + linear(decoder_ffn, feat) + 3 * norm(feat);
        let mask_embed = 3 * linear(feat, feat);
        let class_head = 2 * linear(feat, feat)
            + linear(feat, self.class_embed_dim as u64)
            + norm(feat)
            + linear(feat, feat);
        let query_decoder = (2 * self.num_queries + 3) as u64 * feat
            + self.decoder_layers as u64 * decoder_layer
            + norm(feat)
            + mask_embed
            + class_head;

        let d_pixel = c5 * (self.unshuffle * self.unshuffle) as u64;
        let (d_query, hidden) = (self.prior_dim() as u64, self.hidden_size as u64);
        let path = |from: u64| {
            linear(from, hidden) + (self.projector_depth as u64 - 1) * linear(hidden, hidden)
        };
        let projector = linear(d_query, d_pixel) + path(d_pixel) + path(d_pixel + d_query) + hidden;
        let class_embedding =
            (self.num_classes * self.class_synonyms) as u64 * self.class_embed_dim as u64;
        ParameterCounts { backbone, pixel_decoder, query_decoder, class_embedding, projector }
    }
}

/// The numbers of parameters of each part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParameterCounts {
    /// ConvNeXt or EfficientNet-Lite, with its classifier.
    pub backbone: u64,
    /// Deformable encoder and mask features.
    pub pixel_decoder: u64,
    /// Queries, layers, heads; not the class vectors.
    pub query_decoder: u64,
    /// The phrase embeddings of the classes: learned in a tiny model, text embeddings in the base
    /// model.
    pub class_embedding: u64,
    /// The projection into the language model.
    pub projector: u64,
}

impl ParameterCounts {
    /// The total.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.backbone
            + self.pixel_decoder
            + self.query_decoder
            + self.class_embedding
            + self.projector
    }
}

fn refused(field: &'static str, value: impl ToString, accepted: &str) -> Result<(), VisionError> {
    Err(VisionError::InvalidConfig {
        field,
        value: value.to_string(),
        accepted: accepted.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ClassifierConfig;

    #[test]
    fn presets_are_valid() {
        VisionConfig::tiny().validate().unwrap();
        VisionConfig::omg_llava_7b().validate().unwrap();
        for lite in [VisionConfig::lite0(256), VisionConfig::lite1(384), VisionConfig::lite2(512)] {
            lite.validate().unwrap();
        }
    }

    #[test]
    fn base_model_has_the_published_numbers_of_parameters() {
        let counts = VisionConfig::omg_llava_7b().parameter_counts();
        assert_eq!(counts.backbone, 196_227_264);
        assert_eq!(counts.projector, 89_155_584);
        // The published head also includes the unused IoU head, and the three tensors of the point
        // prompt, which belong to the Descriptor.
        let iou = 2 * (256 * 256 + 256) + 257;
        let prompt = 256 + 2 * 256 + 512 * 256 + 256;
        assert_eq!(counts.pixel_decoder + counts.query_decoder + iou + prompt, 21_010_369);
    }

    #[test]
    fn settings_without_a_network_are_named() {
        let (tiny, lite0) = (VisionConfig::tiny, EfficientNetLiteConfig::lite0);
        let no_classes = Some(ClassifierConfig { channels: 1280, classes: 0 });
        let cases = [
            (
                "feat_channels",
                VisionConfig {
                    feat_channels: 90,
                    gn_groups: 9,
                    encoder_heads: 5,
                    decoder_heads: 5,
                    ..tiny()
                },
            ),
            ("gn_groups", VisionConfig { gn_groups: 7, ..tiny() }),
            ("decoder_heads", VisionConfig { decoder_heads: 5, ..tiny() }),
            ("image_size", VisionConfig { image_size: 250, ..tiny() }),
            ("encoder_levels", VisionConfig { encoder_levels: 4, ..tiny() }),
            ("image_std", VisionConfig { image_std: [0.2, f32::NAN, 0.2], ..tiny() }),
            ("image_mean", VisionConfig { image_mean: [0.2, 7.0, 0.2], ..tiny() }),
            ("norm_eps", VisionConfig { norm_eps: 0.0, ..tiny() }),
            ("unshuffle", VisionConfig { unshuffle: 0, ..tiny() }),
            ("backbone_dims", VisionConfig { backbone_dims: [65_536; 4], ..tiny() }),
            (
                "backbone_dims",
                VisionConfig { backbone_dims: [24, 40, 112, 321], ..VisionConfig::lite0(256) },
            ),
            (
                "backbone_depths",
                VisionConfig { backbone_depths: [1; 4], ..VisionConfig::lite0(256) },
            ),
            (
                "backbone_dims",
                VisionConfig { backbone: VisionConfig::lite0(256).backbone, ..tiny() },
            ),
            (
                "stage_depths",
                VisionConfig::lite(
                    EfficientNetLiteConfig { stage_depths: [1, 0, 2, 1, 1, 1, 1], ..lite0() },
                    256,
                ),
            ),
            (
                "classifier.classes",
                VisionConfig::lite(
                    EfficientNetLiteConfig { classifier: no_classes, ..lite0() },
                    256,
                ),
            ),
            (
                "backbone_dims",
                VisionConfig::lite(
                    EfficientNetLiteConfig { stage_channels: [65_536; 7], ..lite0() },
                    256,
                ),
            ),
        ];
        for (named, config) in cases {
            let message = config.validate().unwrap_err().to_string();
            assert!(message.contains(named), "{named}: {message}");
        }
    }
}
