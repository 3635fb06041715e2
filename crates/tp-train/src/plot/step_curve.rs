//! The loss, or another number per step.

use std::path::Path;

use plotters::prelude::*;

use super::canvas::{Area, write_plot};
use crate::{StepRecord, TrainError};

/// Plots the loss of every step; see [`plot_curve`].
///
/// # Errors
///
/// As [`plot_curve`].
pub fn plot_losses(path: &Path, title: &str, records: &[StepRecord]) -> Result<(), TrainError> {
    let points: Vec<(u64, f64)> = records.iter().map(|record| (record.step, record.loss)).collect();
    plot_curve(path, title, "loss", &points, points.len() / 40)
}

/// Plots a per-step number as a thin line and its moving average over `window` steps as a thick
/// line, and writes a PNG file.
///
/// # Errors
///
/// [`TrainError::Plot`] if the picture cannot be drawn, [`TrainError::Write`] if it cannot be
/// written.
pub fn plot_curve(
    path: &Path,
    title: &str,
    label: &str,
    points: &[(u64, f64)],
    window: usize,
) -> Result<(), TrainError> {
    let points: Vec<(u64, f64)> =
        points.iter().copied().filter(|(_, value)| value.is_finite()).collect();
    if points.is_empty() {
        return Ok(());
    }
    write_plot(path, |area| draw(area, title, label, &points, window))
}

/// The curve on its area.
fn draw(
    area: &Area<'_>,
    title: &str,
    label: &str,
    points: &[(u64, f64)],
    window: usize,
) -> Result<(), Box<dyn std::error::Error>> {
    let (first, last) = (points[0].0, points[points.len() - 1].0);
    // The first few steps are far above the rest, so the range is chosen to show the rest.
    let mut sorted: Vec<f64> = points.iter().map(|&(_, loss)| loss).collect();
    sorted.sort_by(f64::total_cmp);
    let (low, high) = (sorted[0], sorted[(sorted.len() - 1) * 98 / 100]);
    // A nearly constant loss is shown as a level line instead of its rounding errors.
    let margin = ((high - low) * 0.05).max(high.abs() * 0.01).max(1e-6);

    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 22))
        .margin(14)
        .x_label_area_size(36)
        .y_label_area_size(60)
        .build_cartesian_2d(first..last.max(first + 1), low - margin..high + margin)?;
    chart.configure_mesh().x_desc("step").y_desc(label).light_line_style(WHITE).draw()?;
    chart.draw_series(LineSeries::new(points.iter().copied(), RGBColor(190, 205, 225)))?;
    let smooth = smoothed(points, window.max(1));
    let color = RGBColor(30, 80, 160);
    // The last point is marked, because a run of one step has no line.
    chart.draw_series(smooth.last().map(|&end| Circle::new(end, 3, color.filled())))?;
    chart.draw_series(LineSeries::new(smooth, color.stroke_width(2)))?;
    Ok(())
}

/// The mean over the window that ends at each point.
fn smoothed(points: &[(u64, f64)], window: usize) -> Vec<(u64, f64)> {
    (0..points.len())
        .map(|end| {
            let window = &points[(end + 1).saturating_sub(window)..=end];
            (points[end].0, window.iter().map(|&(_, loss)| loss).sum::<f64>() / window.len() as f64)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::canvas::read_plot;
    use super::*;

    fn records(losses: &[f64]) -> Vec<StepRecord> {
        (1..)
            .zip(losses)
            .map(|(step, &loss)| StepRecord { step, loss, ..Default::default() })
            .collect()
    }

    #[test]
    fn picture_decodes_and_shows_the_loss_of_one_step_as_of_many() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("loss.png");
        for losses in [&[2.5][..], &[3.0, f64::NAN, 1.0, 0.5], &[0.0, 0.0]] {
            plot_losses(&path, "run", &records(losses)).unwrap();
            assert!(read_plot(&path).contains(&[30, 80, 160]), "{losses:?} are not visible");
        }
    }

    #[test]
    fn run_without_a_finite_loss_has_no_picture() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("loss.png");
        plot_losses(&path, "run", &records(&[f64::NAN])).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn moving_average_looks_back() {
        assert_eq!(smoothed(&[(1, 2.0), (2, 4.0), (3, 0.0)], 2), [(1, 2.0), (2, 3.0), (3, 2.0)]);
    }
}
