//! Plots as PNG files: numbers per step, and curves of any two quantities.

mod canvas;
mod lines;
mod step_curve;

pub use canvas::FONT;
pub use lines::{Line, LinePlot, plot_lines};
pub use step_curve::{plot_curve, plot_losses};
