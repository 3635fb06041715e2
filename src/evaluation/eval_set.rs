//! The images and points that a model is judged on.

use std::path::Path;

use rayon::prelude::*;
use tp_core::{PointRecord, RgbImage, Seed, Style, Triplet, UnitXy};
use tp_data::{DataError, DecodeOptions, decode_image, read_triplets};

use crate::recipe::{LessonOptions, LessonSource};

/// A set of images with described points.
#[derive(Clone, Debug)]
pub struct EvalSet {
    /// What the set is called in reports.
    pub name: String,
    /// Its images.
    pub images: Vec<EvalImage>,
}

/// One image of a set.
#[derive(Clone, Debug)]
pub struct EvalImage {
    /// Names the image; points of one group are resampled together.
    pub group: String,
    /// The pixels.
    pub image: RgbImage,
    /// The points that are asked about.
    pub points: Vec<EvalPoint>,
}

/// One point of a set.
#[derive(Clone, Debug)]
pub struct EvalPoint {
    /// Where it is.
    pub point: UnitXy,
    /// The reference description.
    pub description: String,
    /// What is known of it.
    pub record: PointRecord,
}

impl EvalSet {
    /// A set drawn from a source; `seed` must be one that training never draws from.
    #[must_use]
    pub fn drawn(name: &str, source: &impl LessonSource, n_images: u64, points_per_image: usize, style: Style, seed: Seed) -> Self {
        let mut style_weights = [0.0; Style::ALL.len()];
        style_weights[style as usize] = 1.0;
        let options = LessonOptions { n_points: points_per_image, style_weights, ..Default::default() };
        let images = (0..n_images)
            .into_par_iter()
            .filter_map(|index| source.lesson(seed.split("evaluation").nth(index), &options))
            .map(|lesson| EvalImage {
                group: lesson.annotation.group,
                image: lesson.image,
                points: lesson.triplets.into_iter().map(EvalPoint::from).collect(),
            })
            .collect();
        Self { name: name.to_owned(), images }
    }

    /// A set from a file of triplets, whose images are found in `folder`.
    ///
    /// # Errors
    ///
    /// [`DataError`] if the file or one of its images cannot be read.
    pub fn from_triplets(file: &Path, folder: &Path) -> Result<Self, DataError> {
        let mut images: Vec<(String, EvalImage)> = Vec::new();
        for triplet in read_triplets(file)? {
            let known = images.iter().position(|(name, _)| *name == triplet.image);
            let at = match known {
                Some(at) => at,
                None => {
                    let image = decode_image(&folder.join(&triplet.image), &DecodeOptions::default())?;
                    images.push((triplet.image.clone(), EvalImage { group: triplet.group.clone(), image, points: Vec::new() }));
                    images.len() - 1
                }
            };
            images[at].1.points.push(EvalPoint::from(triplet));
        }
        Ok(Self { name: file.display().to_string(), images: images.into_iter().map(|(_, image)| image).collect() })
    }

    /// How many points there are in all.
    #[must_use]
    pub fn n_points(&self) -> usize {
        self.images.iter().map(|image| image.points.len()).sum()
    }

    /// Every point with its image's index, image by image.
    pub fn points(&self) -> impl Iterator<Item = (usize, &EvalPoint)> {
        self.images.iter().enumerate().flat_map(|(index, image)| image.points.iter().map(move |point| (index, point)))
    }
}

impl From<Triplet> for EvalPoint {
    fn from(triplet: Triplet) -> Self {
        Self { point: triplet.point, description: triplet.description, record: triplet.record }
    }
}
