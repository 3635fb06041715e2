//! The points of a set of images, encoded for the Descriptor.

use burn::tensor::Tensor;
use tp_core::{PointName, UnitXy};
use tp_rl::{PointSource, PointsOfImage};
use tp_vision::{EncodedImage, VisionError};

use crate::{Models, evaluation::EvalSet};

/// An encoded image with the token embeddings of its points. None of it is trained.
#[derive(Clone, Debug)]
pub struct SeenImage {
    /// The encoded image.
    pub encoded: EncodedImage,
    /// The token embedding of each point, `[point, hidden]`.
    pub point_tokens: Tensor<2>,
    /// The predicted names of each point, for the request; empty if the model has no namer.
    pub names: Vec<PointName>,
}

/// The images of a set, encoded on demand.
#[derive(Clone, Debug)]
pub struct SeenPoints<'a> {
    models: &'a Models,
    set: &'a EvalSet,
}

impl<'a> SeenPoints<'a> {
    /// The images of `set`, encoded by the vision model of `models`.
    #[must_use]
    pub fn new(models: &'a Models, set: &'a EvalSet) -> Self {
        Self { models, set }
    }
}

impl PointSource for SeenPoints<'_> {
    type Image = SeenImage;
    type Error = VisionError;

    fn len(&self) -> usize {
        self.set.images.len()
    }

    fn image(&self, index: usize) -> Result<PointsOfImage<SeenImage>, VisionError> {
        let image = &self.set.images[index];
        let encoded = self.models.encode(&image.image)?;
        let points: Vec<UnitXy> = image.points.iter().map(|point| point.point).collect();
        let features = self.models.descriptor.point_features(&encoded, &points); // [point, 2 · feat_channels]
        let point_tokens = self.models.network.eyes.projector.object_tokens(features);
        let names = self.models.descriptor.names(&encoded, &points)?;
        // Each scene is a group of its own; photographs may share one.
        Ok(PointsOfImage {
            name: format!("{index}:{}", image.group),
            names: names.clone(),
            image: SeenImage { encoded, point_tokens, names },
            points,
        })
    }
}
