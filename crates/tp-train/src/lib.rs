#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod checkpoint;
mod config;
mod error;
mod gradient_norm;
mod interrupt;
mod optimizer;
mod parameter_numbers;
pub mod plot;
mod readings;
mod report_line;
mod run;
mod run_folder;
mod run_log;
mod schedule;
mod step_lines;
mod task;
mod training_loop;

pub use checkpoint::Progress;
pub use config::{LrGroup, TrainConfig};
pub use error::TrainError;
pub use gradient_norm::{clip_gradients, gradient_norm};
pub use interrupt::stop_on_ctrl_c;
pub use optimizer::{adamw, train_only};
pub use readings::rounded;
pub use report_line::clock;
pub use run::{AfterStep, Run};
pub use run_log::StepRecord;
pub use schedule::Schedule;
pub use step_lines::StepLines;
pub use task::{Evaluation, StepLoss, Task};
pub use training_loop::{RunOutcome, Trained, train};
