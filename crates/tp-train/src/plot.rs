//! Plots of the loss, or another per-step number, as PNG files.

use std::{io::Write, path::Path};

use plotters::{
    prelude::*,
    style::{FontStyle, register_font},
};
use tp_core::write_atomically;

use crate::{StepRecord, TrainError};

/// The font of the pictures in this workspace: Go Regular, ASCII only.
pub const FONT: &[u8] = include_bytes!("../assets/Go-Regular.ttf");

const SIZE: (u32, u32) = (900, 520);

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
    let failed = |reason: String| TrainError::Plot { path: path.to_owned(), reason };
    let points: Vec<(u64, f64)> =
        points.iter().copied().filter(|(_, value)| value.is_finite()).collect();
    if points.is_empty() {
        return Ok(());
    }
    let pixels = drawn(title, label, &points, window).map_err(|error| failed(error.to_string()))?;
    let png = encoded(&pixels).map_err(|error| failed(error.to_string()))?;
    write_atomically(path, |out| out.write_all(&png))
        .map_err(|source| TrainError::Write { path: path.to_owned(), source })
}

fn drawn(
    title: &str,
    label: &str,
    points: &[(u64, f64)],
    window: usize,
) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    register_font("sans-serif", FontStyle::Normal, FONT)
        .map_err(|_| "the bundled font cannot be parsed")?;
    let (first, last) = (points[0].0, points[points.len() - 1].0);
    // The first few steps are far above the rest, so the range is chosen to show the rest.
    let mut sorted: Vec<f64> = points.iter().map(|&(_, loss)| loss).collect();
    sorted.sort_by(f64::total_cmp);
    let (low, high) = (sorted[0], sorted[(sorted.len() - 1) * 98 / 100]);
    // A nearly constant loss is shown as a level line instead of its rounding errors.
    let margin = ((high - low) * 0.05).max(high.abs() * 0.01).max(1e-6);

    let mut pixels = vec![0_u8; (SIZE.0 * SIZE.1 * 3) as usize];
    {
        let area = BitMapBackend::with_buffer(&mut pixels, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
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
        area.present()?;
    }
    Ok(pixels)
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

fn encoded(pixels: &[u8]) -> Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, SIZE.0, SIZE.1);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header()?.write_image_data(pixels)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
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
            let mut reader =
                png::Decoder::new(std::io::BufReader::new(std::fs::File::open(&path).unwrap()))
                    .read_info()
                    .unwrap();
            let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
            let info = reader.next_frame(&mut pixels).unwrap();
            assert_eq!((info.width, info.height), SIZE);
            assert!(
                pixels.chunks(3).any(|pixel| pixel == [30, 80, 160]),
                "{losses:?} are not visible"
            );
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
