//! Sets of scenes that hold one family, and models with another adapter.

use burn::module::Module;
use tp_core::{ImageHw, Seed, Style};
use tp_data::{DataError, SceneOptions};
use tp_language::LoraAdapter;

use crate::{Models, Network, evaluation::EvalSet, recipe::Scenes};

/// Scenes of `side` pixels that hold objects of one family alone, `points_per_image` described points each.
///
/// # Errors
///
/// [`DataError::SceneOptions`] if there is no such family; the message names those that are.
pub fn family_set(family: &str, side: u32, n_images: u64, points_per_image: usize, seed: Seed) -> Result<EvalSet, DataError> {
    let size = ImageHw::new(side, side).map_err(|error| DataError::SceneOptions { problem: error.to_string() })?;
    let options = SceneOptions { size, families: Some(vec![family.to_owned()]), ..Default::default() };
    options.validate()?;
    let source = Scenes { options, ..Default::default() };
    Ok(EvalSet::drawn(family, &source, n_images, points_per_image, Style::CoarseToFine, seed))
}

/// The same models, the Descriptor with another adapter.
#[must_use]
pub fn with_adapter(models: &Models, adapter: &LoraAdapter) -> Models {
    let mut network: Network = models.network.clone();
    network.descriptor.adapter = adapter.valid();
    Models::new(network, models.config.clone(), models.tokenizer.clone(), models.run.clone())
}
