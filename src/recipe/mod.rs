//! The training recipe of the tiny model: data, schedule and losses.
//!
//! Stage 0 trains the base, which takes the role of OMG-LLaVA: first the vision encoder alone with
//! dense losses ([`Objective::Vision`]), then the vision encoder and the language model together on
//! both inverse tasks ([`Objective::Base`]). Stage 1 trains the Descriptor
//! ([`Objective::Descriptor`]) and stage 2 the Localizer ([`Objective::Localizer`]), each through
//! its own adapter on the frozen base. `docs/training.md` gives reasons and results.

mod batch;
mod caption;
mod dense;
mod experiment;
mod experiment_error;
mod facts;
mod material;
mod nouns;
pub mod plan;
mod sources;
mod tokenizer;
mod training_sample;
mod training_task;
mod vocabulary;
mod warm_start;

pub use batch::{Batch, Batcher};
pub use experiment::{Experiment, ExperimentReport, PhaseReport, Start};
pub use experiment_error::ExperimentError;
pub use facts::{FactReadout, FactReadoutConfig, FactTables, FactTablesConfig, Facts, ReadoutLoss};
pub use material::Material;
pub use nouns::noun_table;
pub use sources::{Compositions, Mixture, Photographs, SampleSource, Scenes};
pub use tokenizer::train_tokenizer;
pub use training_sample::{SampleSettings, TrainingSample};
pub use training_task::{Objective, TrainingModel, TrainingModelConfig, TrainingTask, frozen_for};
pub use vocabulary::Vocabulary;
pub use warm_start::{recovered_tables, warm_started};
