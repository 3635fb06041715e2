//! A model folder from published files.

use std::path::{Path, PathBuf};

use tp_language::{LanguageError, Tokenizer};
use tp_weights::WeightsError;

use super::{Conversion, ConversionOptions, PublishedFiles};
use crate::{ModelError, NetworkConfig, save_settings};

/// The tokenizer of a model, in a source folder and in ours.
const TOKENIZER: &str = "tokenizer.json";

/// Why weights were not converted.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages name the fields")]
#[non_exhaustive]
pub enum ConversionError {
    /// Weights that would be written over.
    #[error("{} already contains weights: use another folder", folder.display())]
    Occupied { folder: PathBuf },
    /// Tensors of the network that no file has, or has in another shape.
    #[error(
        "the files lack {} of the network's tensors, or have them in another shape: {}; add the missing files (docs/published.md lists them)",
        names.len(),
        few(names)
    )]
    Lacking { names: Vec<String> },
    /// A source that is missing or not valid, or weights that cannot be written.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A configuration that cannot be written.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A tokenizer that cannot be used or written.
    #[error(transparent)]
    Tokenizer(#[from] LanguageError),
}

/// The first names of a list.
fn few(names: &[String]) -> String {
    let more = if names.len() > 3 { ", …" } else { "" };
    format!("{}{more}", names[..names.len().min(3)].join(", "))
}

/// A model folder made of published files.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConvertedModel {
    /// What was converted.
    pub conversion: Conversion,
    /// Whether a source folder had a tokenizer, which is in the folder now; without one the folder
    /// is not complete.
    pub has_tokenizer: bool,
}

/// Writes the tensors of all `sources` into `out`: [`PublishedFiles::open`] and
/// [`PublishedFiles::write`], unless the folder already contains weights.
///
/// # Errors
///
/// [`ConversionError`] as both, or if there are weights in `out`.
pub fn convert_weights(
    sources: &[PathBuf],
    out: &Path,
    options: ConversionOptions,
) -> Result<Conversion, ConversionError> {
    refuse_weights(out)?;
    Ok(PublishedFiles::open(sources)?.write(out, options)?)
}

/// Makes a model folder: the weights of all `sources`, which must give a network of this shape its
/// base, the configuration, and the tokenizer of the first source folder that has one.
///
/// # Errors
///
/// [`ConversionError`] as [`convert_weights`], or if the sources lack tensors of the network; then
/// nothing is written.
pub fn convert_model(
    sources: &[PathBuf],
    config: &NetworkConfig,
    out: &Path,
    options: ConversionOptions,
) -> Result<ConvertedModel, ConversionError> {
    refuse_weights(out)?;
    let files = PublishedFiles::open(sources)?;
    // Nothing of gigabytes is written if something is missing.
    let names = files.lacking(config);
    if !names.is_empty() {
        return Err(ConversionError::Lacking { names });
    }
    let conversion = files.write(out, options)?;
    save_settings(out, config, None)?;
    let tokenizer = sources.iter().map(|source| source.join(TOKENIZER)).find(|file| file.is_file());
    if let Some(file) = &tokenizer {
        Tokenizer::from_chat_model(file)?.save(&out.join(TOKENIZER))?;
    }
    Ok(ConvertedModel { conversion, has_tokenizer: tokenizer.is_some() })
}

fn refuse_weights(folder: &Path) -> Result<(), ConversionError> {
    let is_there = |name: &str| folder.join(name).exists();
    if ["model.safetensors", "model.safetensors.index.json"].into_iter().any(is_there) {
        return Err(ConversionError::Occupied { folder: folder.to_owned() });
    }
    Ok(())
}
