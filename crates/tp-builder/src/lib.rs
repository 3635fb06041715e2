#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod annotation_hash;
mod ask;
#[cfg(feature = "bucket")]
mod bucket;
mod build;
mod build_config;
mod card;
mod config_file;
mod content_key;
mod contradiction;
mod error;
mod gallery;
mod journal;
mod localize;
mod look_hash;
mod manifest;
mod near_pairs;
mod openai_teacher;
mod parquet_reader;
mod parquet_writer;
mod plan;
mod progress;
mod remote;
mod row;
mod rows;
mod rules_in_roles;
mod run_limits;
mod selection;
mod shard;
mod statistics;
mod survey;
mod surveyed_image;
mod teacher;
mod usage;
mod work_folder;
mod write;

#[cfg(feature = "bucket")]
pub use bucket::Bucket;
pub use build::{Build, BuildOptions, BuildOutcome, FinishedDataSet, ShardDone};
pub use build_config::{BuildConfig, Images, Sides, Sizes};
pub use content_key::ContentKey;
pub use contradiction::Contradiction;
pub use error::BuildError;
#[doc(hidden)]
pub use journal::read_journal;
pub use localize::{Localized, TextLocalizer};
pub use look_hash::LookHash;
pub use openai_teacher::{
    EndpointConfig, ImageConfig, OpenAiTeacher, PAPER_TEACHERS, Price, RetryConfig, RoleConfig,
    Structured, TeachersConfig,
};
#[doc(hidden)]
pub use openai_teacher::{read_error_reply, read_reply};
pub use parquet_reader::{ParquetRows, RowWithImage};
pub use plan::{Plan, StagePlan};
pub use progress::{BuildStage, Listener, Report};
pub use row::Row;
pub use run_limits::{Budget, Reservation, RunLimits, StopReason};
pub use selection::Likeness;
pub use shard::Shard;
pub use statistics::{DescriptionLengths, Localizability, Statistics};
pub use surveyed_image::{SurveyedImage, SurveyedPoint};
pub use teacher::{
    Answer, Answered, ContextAnswer, Estimate, FailureKind, Layers, LocalAnswer, OrganiserAnswer,
    Question, Role, Teacher, TeacherError, Teachers,
};
pub use usage::Usage;
