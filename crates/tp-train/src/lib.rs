//! One training loop that names no model: schedule, accumulation, clipping, checkpoints, logs.
//!
//! A [`Task`] says what a batch is and what is asked of the model; [`train`] does the rest. Batches are pure functions of
//! a seed, so a run that was stopped and resumed sees the same data, and on the CPU backend at a fixed number of threads
//! ends with the same bytes.
//!
//! ```
//! use std::sync::atomic::AtomicBool;
//!
//! use burn::{nn::{Linear, LinearConfig}, tensor::{Device, Tensor}};
//! use rand::RngExt;
//! use tp_core::Seed;
//! use tp_train::{Schedule, StepLoss, Task, TrainConfig, train};
//!
//! /// Learns to double a number.
//! struct Double(Device);
//!
//! impl Task<Linear> for Double {
//!     type Batch = f32;
//!     fn batch(&self, seed: Seed) -> f32 {
//!         seed.rng().random()
//!     }
//!     fn loss(&self, model: &Linear, x: f32) -> StepLoss {
//!         let y = model.forward(Tensor::<2>::from_floats([[x]], &self.0));
//!         let loss = (y - 2.0 * x).square().mean();
//!         StepLoss { loss, readings: Vec::new(), samples: vec![x.to_string()] }
//!     }
//! }
//!
//! let device = Device::flex().autodiff();
//! let folder = tempfile::tempdir()?;
//! let config = TrainConfig::new("double", Schedule { peak: 0.1, warmup: 5, steps: 100, floor: 0.1 }, Seed(1));
//! let model = LinearConfig::new(1, 1).init(&device);
//! let trained = train(model, &Double(device), &config, folder.path(), false, &AtomicBool::new(false))?;
//! assert!(trained.records[99].loss < 0.1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod checkpoint;
mod config;
mod error;
mod gradient_norm;
mod interrupt;
mod loss_plot;
mod mixture;
mod optimizer;
mod parameter_numbers;
mod readings;
mod report_line;
mod run_folder;
mod run_log;
mod schedule;
mod step_lines;
mod task;
mod training_loop;

pub use checkpoint::{Checkpoints, Progress, load_model, load_optimizer};
pub use config::{LrGroup, TrainConfig};
pub use error::TrainError;
pub use gradient_norm::{clipped, gradient_norm};
pub use interrupt::stop_on_ctrl_c;
pub use loss_plot::{plot_curve, plot_losses};
pub use mixture::{Mixture, MixtureBatch};
pub use optimizer::adamw;
pub use parameter_numbers::with_numbered_parameters;
pub use readings::rounded;
pub use report_line::clock;
pub use run_folder::RunFolder;
pub use run_log::StepRecord;
pub use schedule::Schedule;
pub use step_lines::StepLines;
pub use task::{Evaluation, StepLoss, Task};
pub use training_loop::{Outcome, Trained, train};

/// The font that pictures of this workspace are labelled with: Go Regular, ASCII alone.
pub const FONT: &[u8] = include_bytes!("../assets/Go-Regular.ttf");
