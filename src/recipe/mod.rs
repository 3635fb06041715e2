//! How the tiny model is taught: what is shown, in which order, and what is asked for.
//!
//! Stage 0 teaches the base, the role of OMG-LLaVA: first the eyes alone, densely ([`Stage::Eyes`]), then eyes and
//! language together on both inverse tasks ([`Stage::Base`]). Stage 1 fits the Descriptor ([`Stage::Descriptor`]), stage
//! 2 the Localizer ([`Stage::Localizer`]), each through its own adapter on the frozen base. `docs/training.md` gives the
//! reasons and the figures.

mod batch;
mod caption;
mod dense;
mod facts;
mod lesson;
mod nouns;
pub mod plan;
mod sources;
mod stages;
mod tokenizer;
mod vocabulary;
mod warm_start;

pub use batch::{Batch, Batcher};
pub use facts::{FactReadout, FactReadoutConfig, FactTables, FactTablesConfig, Facts, ReadoutLoss};
pub use lesson::{Lesson, LessonOptions};
pub use nouns::noun_table;
pub use sources::{Compositions, LessonSource, Mixture, Photographs, Scenes};
pub use stages::{Pupil, PupilConfig, Stage, StageTask, frozen_for};
pub use tokenizer::train_tokenizer;
pub use vocabulary::Vocabulary;
pub use warm_start::{recovered_tables, warm_started};
