//! Training of whole models by recipes: files that state data, schedule and losses.
//!
//! A [`Recipe`] has phases, each with an [`Objective`]. For a network of our own, stage 0 trains the
//! base, which takes the role of OMG-LLaVA: first the vision encoder alone with dense losses
//! ([`Objective::Vision`]), then the vision encoder and the language model together on both inverse
//! tasks ([`Objective::Base`]). Stage 1 trains the Descriptor ([`Objective::Descriptor`]) and stage
//! 2 the Localizer ([`Objective::Localizer`]), each through its own adapter on the frozen base.
//! `docs/training.md` gives reasons and results.

mod batch;
mod caption;
mod data_path;
mod dense;
mod draw;
mod estimate;
mod experiment;
mod experiment_error;
mod experiment_report;
mod facts;
mod held_out;
mod initial_model;
mod kept;
mod loss_weights;
mod material;
mod nouns;
#[cfg(feature = "builder")]
mod parquet_set;
mod photographs;
mod recipe_error;
mod recipe_file;
mod run_record;
mod sources;
mod tokenizer;
mod training_sample;
mod training_task;
mod triplet_set;
mod vocabulary;
mod warm_start;

pub use batch::{Batch, Batcher};
#[cfg(feature = "builder")]
pub(crate) use data_path::built_files;
pub use data_path::{AnnotatedFormat, DataPath, Names};
pub use draw::{Draw, Permutation};
pub use estimate::{ExperimentEstimate, PhaseEstimate};
pub use experiment::Experiment;
pub use experiment_error::ExperimentError;
pub use experiment_report::{ExperimentReport, PhaseReport, Scores};
pub use facts::{FactReadout, FactReadoutConfig, FactTables, FactTablesConfig, Facts, ReadoutLoss};
pub use initial_model::Start;
pub use loss_weights::LossWeights;
pub use material::{DataFingerprint, Material};
pub use nouns::{noun_table, with_names};
#[cfg(feature = "builder")]
pub use parquet_set::ParquetSet;
pub use photographs::Photographs;
pub use recipe_error::RecipeError;
pub use recipe_file::{NetworkKind, Phase, Recipe, SourceConfig, StyleShares, TextShares};
pub use sources::{Compositions, Mixture, SampleSource, Scenes};
pub use tokenizer::train_tokenizer;
pub use training_sample::{SampleSettings, TrainingSample};
pub use training_task::{Objective, TrainingModel, TrainingModelConfig, TrainingTask, frozen_for};
pub use triplet_set::TripletSet;
pub use vocabulary::Vocabulary;
pub use warm_start::{recovered_tables, warm_started};
