//! The shape of the eyes, under the names of the published configuration.

use burn::config::Config;
use tp_core::Fit;

use crate::VisionError;

/// Hyper-parameters of the eyes; the defaults are those that both presets share.
#[derive(Config, Debug)]
pub struct VisionConfig {
    /// Side of the input in pixels; the network runs at any multiple of 32.
    pub image_size: usize,
    /// How a rectangle becomes a square.
    #[config(default = "Fit::PadToSquare")]
    pub fit: Fit,
    /// Mean of each channel, of values in [0, 1].
    #[config(default = "[0.4814, 0.4578, 0.4082]")]
    pub image_mean: [f32; 3],
    /// Standard deviation of each channel.
    #[config(default = "[0.2686, 0.2613, 0.2757]")]
    pub image_std: [f32; 3],
    /// Widths of the four backbone stages.
    pub backbone_dims: [usize; 4],
    /// Blocks of the four backbone stages.
    pub backbone_depths: [usize; 4],
    /// Epsilon of the backbone's layer norms.
    #[config(default = 1e-6)]
    pub backbone_ln_eps: f64,
    /// What the layer scale of a backbone block starts at.
    #[config(default = 1e-6)]
    pub layer_scale: f64,
    /// Width of pixel and query decoder.
    pub feat_channels: usize,
    /// Groups of the group norms.
    pub gn_groups: usize,
    /// Epsilon of every other norm.
    #[config(default = 1e-5)]
    pub norm_eps: f64,
    /// Layers of the deformable encoder.
    pub encoder_layers: usize,
    /// Its heads.
    pub encoder_heads: usize,
    /// Sampled points for each head and level.
    #[config(default = 4)]
    pub encoder_points: usize,
    /// Width of its feed-forward networks.
    pub encoder_ffn: usize,
    /// Learned queries.
    pub num_queries: usize,
    /// Layers of the query decoder.
    pub decoder_layers: usize,
    /// Its heads.
    pub decoder_heads: usize,
    /// Width of its feed-forward networks.
    pub decoder_ffn: usize,
    /// Categories, without void.
    pub num_classes: usize,
    /// Phrases for each category.
    pub class_synonyms: usize,
    /// Width of a phrase's vector.
    pub class_embed_dim: usize,
    /// The logarithm of the scale of class cosines.
    #[config(default = 4.6052)]
    pub logit_scale: f64,
    /// Side of the block of coarse cells that becomes one token.
    pub unshuffle: usize,
    /// Weight of a mask whose class score is 0 in the perception prior; 1 minus it is the score's.
    #[config(default = 0.5)]
    pub prior_smooth: f64,
    /// Width of the language model.
    pub hidden_size: usize,
}

/// No side, width or count may exceed this.
const LARGEST: usize = 1 << 16;

impl VisionConfig {
    /// About 3 M parameters, for a CPU.
    #[must_use]
    pub fn tiny() -> Self {
        Self::new(256, [48, 96, 160, 256], [2, 2, 4, 2], 96, 8, 2, 4, 256, 16, 3, 4, 256, 64, 1, 64, 1, 128).with_layer_scale(0.3)
    }

    /// OMG-LLaVA-7B's eyes: CLIP ConvNeXt-L at 1024 pixels, 300 queries, 133 classes.
    #[must_use]
    pub fn omg_llava_7b() -> Self {
        Self::new(1024, [192, 384, 768, 1536], [3, 3, 27, 3], 256, 32, 6, 8, 1024, 300, 9, 8, 2048, 133, 17, 768, 2, 4096)
    }

    /// Checks that a network of this shape exists.
    ///
    /// # Errors
    ///
    /// [`VisionError::InvalidConfig`] names the first field that does not fit.
    pub fn validate(&self) -> Result<(), VisionError> {
        let refuse = |field, value: String, accepted: &str| Err(VisionError::InvalidConfig { field, value, accepted: accepted.to_owned() });
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
            ("hidden_size", self.hidden_size),
        ];
        let dims = self.backbone_dims.map(|dim| ("backbone_dims", dim));
        let depths = self.backbone_depths.map(|depth| ("backbone_depths", depth));
        for (field, value) in counts.into_iter().chain(dims).chain(depths) {
            if value == 0 || value > LARGEST {
                return refuse(field, value.to_string(), "it must be from 1 to 65536");
            }
        }
        if !self.image_size.is_multiple_of(32 * self.unshuffle) || self.image_size > 4096 {
            return refuse("image_size", self.image_size.to_string(), "it must be a multiple of 32 · unshuffle, at most 4096");
        }
        for (field, parts) in [("gn_groups", self.gn_groups), ("encoder_heads", self.encoder_heads), ("decoder_heads", self.decoder_heads)] {
            if !self.feat_channels.is_multiple_of(parts) {
                return refuse(field, parts.to_string(), "it must divide feat_channels");
            }
        }
        if !self.feat_channels.is_multiple_of(4) {
            return refuse("feat_channels", self.feat_channels.to_string(), "it must be a multiple of 4");
        }
        Ok(())
    }
}
