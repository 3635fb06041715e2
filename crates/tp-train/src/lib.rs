#![doc = include_str!("../README.md")]
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
