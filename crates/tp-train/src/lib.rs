//! One training loop that names no model: schedule, accumulation, clipping, checkpoints, logs.
//!
//! A [`Task`] says what a batch is and what is asked of the model; [`train`] does the rest. Batches are pure functions of
//! a seed, so a run that was stopped and resumed sees the same data, and on the CPU backend at a fixed number of threads
//! ends with the same bytes.
#![forbid(unsafe_code)]

mod checkpoint;
mod error;
mod gradient_norm;
mod interrupt;
mod loss_plot;
mod run_log;
mod schedule;
mod task;
mod training_loop;

pub use checkpoint::Progress;
pub use error::TrainError;
pub use interrupt::stop_on_ctrl_c;
pub use loss_plot::plot_losses;
pub use run_log::StepRecord;
pub use schedule::Schedule;
pub use task::{Evaluation, StepLoss, Task};
pub use training_loop::{Outcome, TrainConfig, Trained, train};

/// The font that pictures of this workspace are labelled with: Go Regular, ASCII alone.
pub const FONT: &[u8] = include_bytes!("../assets/Go-Regular.ttf");
