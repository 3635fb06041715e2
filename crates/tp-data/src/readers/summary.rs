//! Summary of a data set, counted image by image.

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::Serialize;

use super::{Check, Dataset, Interpreted, Skipped};
use crate::{AnnotatedImage, DataError, KeypointVisibility};

/// The number of images that are counted at once; their records are dropped before the next ones
/// are read.
const CHUNK: usize = 64;

/// The counts of a data set.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct DatasetSummary {
    /// Usable images, including those without objects.
    pub images: usize,
    /// Objects.
    pub objects: usize,
    /// Parts, and parts of parts.
    pub parts: usize,
    /// Objects and parts together.
    pub annotations: usize,
    /// Labeled keypoints, including hidden ones.
    pub keypoints: usize,
    /// Visible keypoints.
    pub visible_keypoints: usize,
    /// Categories that the data set lists; without a list, those that occur.
    pub categories: usize,
    /// Part names that the data set lists; a name shared by several kinds of object counts once for
    /// each. Without a list, those that occur.
    pub part_categories: usize,
    /// The number of objects by category.
    pub objects_by_category: BTreeMap<String, usize>,
    /// The number of parts by name.
    pub parts_by_category: BTreeMap<String, usize>,
    /// The number of objects by family.
    pub objects_by_family: BTreeMap<String, usize>,
    /// The number of skipped entries by reason.
    #[serde(serialize_with = "counts_alone")]
    pub skipped: Skipped,
    /// The first location by reason.
    pub skipped_first: BTreeMap<String, String>,
    /// What was interpreted differently from how it is written.
    pub interpreted: Interpreted,
    /// The expected files, and which of them are missing.
    pub checks: Vec<Check>,
    /// Explanations if there are no images or objects.
    pub warnings: Vec<String>,
}

impl DatasetSummary {
    /// Reads all annotations of a data set, but no image.
    ///
    /// # Errors
    ///
    /// [`DataError`] as [`Dataset::load`], for the first image with an error.
    pub fn of(dataset: &dyn Dataset) -> Result<Self, DataError> {
        let mut summary = Self {
            skipped: dataset.skipped().clone(),
            interpreted: dataset.interpreted(),
            checks: dataset.checks(),
            ..Self::default()
        };
        let indices: Vec<usize> = (0..dataset.len()).collect();
        for chunk in indices.chunks(CHUNK) {
            let counted = |&index: &usize| {
                let loaded = dataset.load(index)?;
                let mut one = loaded.image.as_ref().map(Self::of_image).unwrap_or_default();
                one.skipped = loaded.skipped;
                Ok(one)
            };
            let counts: Vec<Result<Self, DataError>> = chunk.par_iter().map(counted).collect();
            for one in counts {
                summary.add(one?);
            }
        }
        let labels = dataset.labels();
        let listed = |labels: Vec<String>, occurring: usize| {
            if labels.is_empty() { occurring } else { labels.len() }
        };
        summary.categories = listed(labels.objects, summary.objects_by_category.len());
        summary.part_categories = listed(labels.parts, summary.parts_by_category.len());
        let places =
            summary.skipped.iter().map(|(reason, _, first)| (name_of(&reason), first.to_owned()));
        summary.skipped_first = places.collect();
        summary.warnings = summary.what_is_empty();
        Ok(summary)
    }

    /// Explains why there are no images or objects.
    fn what_is_empty(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for check in self.checks.iter().filter(|check| check.expected > 0 && check.found == 0) {
            let first = check
                .missing
                .first()
                .map(|missing| format!("; the first missing one: {missing}"))
                .unwrap_or_default();
            warnings.push(format!(
                "{}: none of {} was found in {}{first}",
                check.name,
                check.expected,
                check.place.display()
            ));
        }
        let why = if self.skipped.is_empty() {
            "nothing is listed".to_owned()
        } else {
            format!("skipped: {}", self.skipped)
        };
        if self.images == 0 {
            warnings.push(format!("there is no usable image; {why}"));
        } else if self.objects == 0 {
            warnings.push(format!("there is no usable object; {why}"));
        }
        warnings
    }

    fn of_image(image: &AnnotatedImage) -> Self {
        let mut one = Self { images: 1, objects: image.objects.len(), ..Self::default() };
        for object in &image.objects {
            one.parts += object.parts.len();
            one.keypoints += object.keypoints.len();
            one.visible_keypoints += object
                .keypoints
                .iter()
                .filter(|keypoint| keypoint.visibility == KeypointVisibility::Visible)
                .count();
            *one.objects_by_category.entry(object.category.clone()).or_default() += 1;
            if let Some(family) = &object.family {
                *one.objects_by_family.entry(family.clone()).or_default() += 1;
            }
            for part in &object.parts {
                *one.parts_by_category.entry(part.name.clone()).or_default() += 1;
            }
        }
        one.annotations = one.objects + one.parts;
        one
    }

    fn add(&mut self, one: Self) {
        self.images += one.images;
        self.objects += one.objects;
        self.parts += one.parts;
        self.annotations += one.annotations;
        self.keypoints += one.keypoints;
        self.visible_keypoints += one.visible_keypoints;
        self.skipped.add(one.skipped);
        for (all, one) in [
            (&mut self.objects_by_category, one.objects_by_category),
            (&mut self.parts_by_category, one.parts_by_category),
            (&mut self.objects_by_family, one.objects_by_family),
        ] {
            for (name, n) in one {
                *all.entry(name).or_default() += n;
            }
        }
    }
}

fn counts_alone<S: serde::Serializer>(skipped: &Skipped, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(skipped.iter().map(|(reason, n, _)| (name_of(&reason), n)))
}

/// A reason as it is written in JSON.
fn name_of(reason: &impl Serialize) -> String {
    serde_json::to_value(reason)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}
