//! Image sets of a single family, and models with a replaced adapter.

use burn::module::Module;
use rayon::prelude::*;
use tp_core::{ImageHw, Seed, Style};
use tp_data::{AnnotatedImage, DataError, Dataset, RulesTeacher, Split};
use tp_language::LoraAdapter;
use tp_scenes::{SceneError, SceneOptions};

use crate::{
    Models, Network,
    evaluation::{EvalImage, EvalPoint, EvalSet},
    recipe::{SampleSettings, Scenes, TrainingSample},
};

/// Scenes of `side` pixels that contain only objects of one family, with `points_per_image`
/// described points each.
///
/// # Errors
///
/// [`SceneError`] if there is no such family; the message lists the available ones.
pub fn family_scenes(
    family: &str,
    side: u32,
    n_images: u64,
    points_per_image: usize,
    seed: Seed,
) -> Result<EvalSet, SceneError> {
    let size =
        ImageHw::new(side, side).map_err(|error| SceneError { problem: error.to_string() })?;
    let options =
        SceneOptions { size, families: Some(vec![family.to_owned()]), ..Default::default() };
    options.validate()?;
    let source = Scenes { options, ..Default::default() };
    Ok(EvalSet::drawn(family, &source, n_images, points_per_image, Style::CoarseToFine, seed))
}

/// All photographs of a data set, in these splits, that show a family: up to `points_per_image`
/// points on objects of that family, whatever else is in the picture. Images that the data set
/// assigns to no split count as training images.
///
/// The photographs are decoded and held in memory.
///
/// # Errors
///
/// [`DataError::NoFamily`] if the data set shows no object of that family, and any error of its
/// reader.
pub fn family_photographs(
    dataset: &dyn Dataset,
    family: &str,
    sides: &[Split],
    points_per_image: usize,
    seed: Seed,
) -> Result<EvalSet, DataError> {
    let mut style_weights = [0.0; Style::ALL.len()];
    style_weights[Style::CoarseToFine as usize] = 1.0;
    let options =
        SampleSettings { n_points: points_per_image, style_weights, ..Default::default() };
    let photograph = |index: usize| -> Result<Option<EvalImage>, DataError> {
        let Some(mut annotation) = dataset.load(index)?.image else { return Ok(None) };
        annotation.objects.retain(|object| object.family.as_deref() == Some(family));
        if annotation.objects.is_empty()
            || !sides.contains(&annotation.split.unwrap_or(Split::Train))
        {
            return Ok(None);
        }
        let pixels = dataset.decode(&annotation)?;
        Ok(TrainingSample::new(
            pixels,
            annotation,
            &RulesTeacher,
            &options,
            seed.split("photographs").nth(index as u64),
        )
        .map(asked))
    };
    let images: Result<Vec<_>, _> = (0..dataset.len())
        .into_par_iter()
        .filter_map(|index| photograph(index).transpose())
        .collect();
    let images = images?;
    if images.is_empty() {
        return Err(DataError::NoFamily {
            dataset: dataset.name().to_owned(),
            family: family.to_owned(),
        });
    }
    Ok(EvalSet { name: format!("{family} of {}", dataset.name()), images, upright_images: 0 })
}

/// The image of a sample with each of its points once.
fn asked(sample: TrainingSample) -> EvalImage {
    let TrainingSample { image, annotation, triplets, .. } = sample;
    let AnnotatedImage { name, group, .. } = annotation;
    let mut points: Vec<EvalPoint> = Vec::with_capacity(triplets.len());
    for triplet in triplets {
        if points.iter().all(|known| known.point != triplet.point) {
            points.push(triplet.into());
        }
    }
    EvalImage { name, group, image, points }
}

/// The same models with another adapter for the Descriptor.
#[must_use]
pub fn with_adapter(models: &Models, adapter: &LoraAdapter) -> Models {
    let mut network: Network = models.network.clone();
    network.descriptor.adapter = adapter.valid();
    Models::new(
        network,
        models.config.clone(),
        models.tokenizer.clone(),
        models.nouns.clone(),
        models.run.clone(),
    )
}
