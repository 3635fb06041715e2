//! Both models on one base.

use std::sync::Arc;

use tp_core::{
    DescribeOptions, DescribePoint, Description, LocalizePoint, Located, RgbImage, UnitXy,
};
use tp_descriptor::{DescriptorError, PointDescriptor};
use tp_language::Tokenizer;
use tp_localizer::{LocalizerError, PointLocalizer};
use tp_vision::{EncodedImage, Nouns, VisionError};

use super::RunInfo;
use crate::{Network, NetworkConfig};

/// Both models on one base, ready for use. Clones share their weights.
#[derive(Clone, Debug)]
pub struct Models {
    /// All weights.
    pub network: Network,
    /// Their shape.
    pub config: NetworkConfig,
    /// Text ↔ token ids.
    pub tokenizer: Arc<Tokenizer>,
    /// The nouns that it tells apart, if it names points.
    pub nouns: Option<Arc<Nouns>>,
    /// Point → text.
    pub descriptor: PointDescriptor,
    /// Text → point.
    pub localizer: PointLocalizer,
    /// On what they run.
    pub run: RunInfo,
}

impl Models {
    /// Joins a network with its tokenizer and its nouns; all weights on one plain (not
    /// differentiable) device.
    #[must_use]
    pub fn new(
        network: Network,
        config: NetworkConfig,
        tokenizer: Arc<Tokenizer>,
        nouns: Option<Arc<Nouns>>,
        run: RunInfo,
    ) -> Self {
        let namer = network.namer(&config, nouns.as_ref());
        let Network { eyes, decoder, descriptor, localizer, .. } = network.clone();
        let descriptor = PointDescriptor::new(
            eyes.clone(),
            decoder.clone(),
            descriptor,
            config.descriptor.mask,
            tokenizer.clone(),
        );
        let localizer =
            PointLocalizer::new(decoder, localizer, config.localizer.clone(), tokenizer.clone());
        Self {
            network,
            config,
            tokenizer,
            nouns,
            descriptor: descriptor.with_namer(namer.clone()),
            localizer: localizer.with_namer(namer).with_vision_model(eyes),
            run,
        }
    }

    /// Describes points of an image that has been encoded, in their order.
    ///
    /// # Errors
    ///
    /// [`DescriptorError`] if the options ask for what the model cannot do.
    pub fn describe(
        &self,
        image: &EncodedImage,
        points: &[UnitXy],
        how: &DescribeOptions,
    ) -> Result<Vec<Description>, DescriptorError> {
        self.descriptor.describe(image, points, how)
    }

    /// Finds the points that texts mean, in their order; `None` for a text about nothing in the
    /// image.
    ///
    /// # Errors
    ///
    /// [`LocalizerError`] if a text is empty or too long.
    pub fn locate(
        &self,
        image: &EncodedImage,
        texts: &[&str],
    ) -> Result<Vec<Option<Located>>, LocalizerError> {
        self.localizer.locate(image, texts)
    }

    /// Looks at an image once; any number of points and texts can then be asked about.
    ///
    /// # Errors
    ///
    /// [`VisionError`] if the image cannot be brought into the model's square.
    pub fn encode(&self, image: &RgbImage) -> Result<EncodedImage, VisionError> {
        self.network.eyes.encode(image, self.config.vision.image_size)
    }
}
