//! Curves of one quantity over another.

use std::{ops::Range, path::Path};

use plotters::prelude::*;

use super::canvas::write_plot;
use crate::TrainError;

/// The colors of the lines, first to last.
const COLORS: [RGBColor; 4] =
    [RGBColor(30, 80, 160), RGBColor(200, 70, 40), RGBColor(40, 130, 70), RGBColor(130, 80, 150)];

/// One curve.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Its name in the legend.
    pub name: String,
    /// Its points (x, y), joined in their order.
    pub points: Vec<(f64, f64)>,
}

/// Curves over common axes.
#[derive(Clone, Debug, PartialEq)]
pub struct LinePlot {
    /// The title, in ASCII as all texts of a plot.
    pub title: String,
    /// What x is.
    pub x: String,
    /// What y is.
    pub y: String,
    /// The range of x.
    pub x_range: Range<f64>,
    /// The range of y.
    pub y_range: Range<f64>,
    /// Whether a gray diagonal joins the lower ends of both ranges with their upper ends.
    pub diagonal: bool,
    /// The curves.
    pub lines: Vec<Line>,
}

/// Draws curves, with a mark at each point, and writes a PNG file.
///
/// # Errors
///
/// [`TrainError::Plot`] if the picture cannot be drawn, [`TrainError::Write`] if it cannot be
/// written.
pub fn plot_lines(path: &Path, plot: &LinePlot) -> Result<(), TrainError> {
    let LinePlot { title, x, y, x_range, y_range, diagonal, lines } = plot;
    write_plot(path, |area| {
        let mut chart = ChartBuilder::on(area)
            .caption(title, ("sans-serif", 22))
            .margin(14)
            .x_label_area_size(40)
            .y_label_area_size(60)
            .build_cartesian_2d(x_range.clone(), y_range.clone())?;
        chart.configure_mesh().x_desc(x).y_desc(y).light_line_style(WHITE).draw()?;
        if *diagonal {
            let ends = [(x_range.start, y_range.start), (x_range.end, y_range.end)];
            chart.draw_series(LineSeries::new(ends, RGBColor(170, 170, 170)))?;
        }
        for (line, color) in lines.iter().zip(COLORS.into_iter().cycle()) {
            let points = line.points.iter().copied();
            chart
                .draw_series(LineSeries::new(points.clone(), color.stroke_width(2)))?
                .label(&line.name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color));
            chart.draw_series(points.map(|at| Circle::new(at, 3, color.filled())))?;
        }
        chart
            .configure_series_labels()
            .background_style(WHITE)
            .border_style(RGBColor(190, 190, 190))
            .label_font(("sans-serif", 15))
            .draw()?;
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::super::canvas::{SIZE, read_plot};
    use super::*;

    #[test]
    fn line_runs_through_its_points_and_a_single_point_is_visible() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plot.png");
        let line = |points: &[(f64, f64)]| Line { name: "ours".into(), points: points.to_vec() };
        let mut plot = LinePlot {
            title: "reliability".into(),
            x: "stated".into(),
            y: "right".into(),
            x_range: 0.0..1.0,
            y_range: 0.0..1.0,
            diagonal: true,
            lines: vec![line(&[(0.0, 0.5), (1.0, 0.5)])],
        };
        let is_blue = |pixel: &[u8; 3]| *pixel == [30, 80, 160];
        plot_lines(&path, &plot).unwrap();
        let row = read_plot(&path)
            .chunks_exact(SIZE.0 as usize)
            .map(|row| row.iter().filter(|pixel| is_blue(pixel)).count())
            .max();
        assert!(row.unwrap() > 600, "a level line crosses the plot: {row:?}");
        plot.lines = vec![line(&[(0.5, 0.5)])];
        plot_lines(&path, &plot).unwrap();
        assert!(read_plot(&path).iter().any(is_blue));
    }
}
