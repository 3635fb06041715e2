//! Errors of recipes and of the data they name.

use std::path::PathBuf;

use tp_data::DataError;

use super::Recipe;

/// Why a recipe, or its data, cannot be used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages name the fields")]
#[non_exhaustive]
pub enum RecipeError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    /// A copy of the recipe cannot be written.
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: std::io::Error },
    /// Neither a shipped recipe nor a file.
    #[error("`{name}` is not a recipe: use {}, or a file in TOML", Recipe::NAMES.join(", "))]
    UnknownName { name: String },
    /// The file is not a valid recipe.
    #[error("{} is not a valid recipe: {problem}", path.display())]
    Invalid { path: PathBuf, problem: String },
    /// Data for a source that the recipe does not have.
    #[error("no source takes `{argument}`: use SOURCE=PATH, and the sources are {}", known.join(", "))]
    UnknownSource { argument: String, known: Vec<String> },
    /// Folders of different formats for one source.
    #[error(
        "`{argument}` has another format than the data before it: folders of one source have one format; use `talking-points data build` for each, or a recipe with two sources"
    )]
    MixedFormats { argument: String },
    /// A source without which the recipe makes no sense has no data.
    #[error("the source `{source_name}` has no data: give --data {source_name}=PATH")]
    NoData { source_name: String },
    /// A phase has no source with data.
    #[error("phase {phase}: none of its sources has data; give --data {}=PATH", sources.join("=PATH or --data "))]
    EmptyMixture { phase: String, sources: Vec<String> },
    /// A source cannot serve the objective of a phase.
    #[error(
        "phase {phase}: the source `{source_name}` has triplets without annotations of their images, which the objective `{objective}` needs"
    )]
    WrongKind { phase: String, source_name: String, objective: &'static str },
    /// No sample can be made from a source.
    #[error(
        "the source `{source_name}` has no point that can be described: {tried} images were tried"
    )]
    NoPoints { source_name: String, tried: u64 },
    /// Epochs of a mixture that has none.
    #[error("phase {phase}: epochs need a mixture of exactly one source that ends; use steps")]
    NoEpochs { phase: String },
    /// A path that is not a data set.
    #[error("{} is not recognized: {problem}", path.display())]
    Unrecognized { path: PathBuf, problem: String },
    /// Rows of a built data set that name their images only.
    #[error("{} holds no images ({image}): build the data set without --without-images", path.display())]
    NoImages { path: PathBuf, image: String },
    /// A data set cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A built data set cannot be read.
    #[error("cannot read the built data set")]
    Built { source: Box<dyn std::error::Error + Send + Sync> },
}
