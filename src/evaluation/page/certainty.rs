//! How far the confidence of answers can be trusted, as two curves.

use std::path::Path;

use tp_core::{Located, escaped_html};
use tp_metrics::{
    ReliabilityBin, RiskAtCoverage, expected_calibration_error, reliability_curve, risk_coverage,
};
use tp_train::plot::{Line, LinePlot, plot_lines};

use super::{
    PICTURES,
    html::{number, table},
};
use crate::evaluation::{
    EvalSet, EvaluationError, Judgement, RowName,
    certainty::{N_BINS, RADIUS},
};

/// The rows whose confidence is shown: texts about the very point.
const SHOWN: [RowName; 3] = [RowName::Reference, RowName::Texts, RowName::Ours];

/// The confidence of a row's answers, and what came true.
struct Curves {
    row: RowName,
    calibration_error: Option<f64>,
    reliability: Vec<ReliabilityBin>,
    risk: Vec<RiskAtCoverage>,
}

impl Curves {
    /// `None` if the answers have no confidence.
    fn of(row: RowName, set: &EvalSet, answers: &[Option<Located>]) -> Option<Self> {
        let (stated, right): (Vec<f64>, Vec<bool>) = set
            .points()
            .zip(answers)
            .filter_map(|((_, asked), answer)| {
                let found = answer.as_ref()?;
                Some((f64::from(found.confidence?), found.point.distance(asked.point) < RADIUS))
            })
            .unzip();
        (!stated.is_empty()).then(|| Self {
            row,
            calibration_error: expected_calibration_error(&stated, &right, N_BINS),
            reliability: reliability_curve(&stated, &right, N_BINS),
            risk: risk_coverage(&stated, &right, answers.len()),
        })
    }
}

/// Both plots with their numbers; nothing if no answer has a confidence.
pub(super) fn section(
    judged: &Judgement,
    set: &EvalSet,
    folder: &Path,
) -> Result<String, EvaluationError> {
    let curves: Vec<Curves> = SHOWN
        .iter()
        .filter_map(|&row| Curves::of(row, set, judged.rows.answers.get(&row)?))
        .collect();
    if curves.is_empty() {
        return Ok(String::new());
    }
    plot_lines(&folder.join("reliability.png"), &reliability_plot(&curves))?;
    plot_lines(&folder.join("risk-coverage.png"), &risk_plot(&curves))?;
    let tables: String = curves.iter().map(numbers).collect();
    Ok(format!(
        "<h2>Confidence</h2>\n\
         <p>An answer is right if it is nearer than {RADIUS} of the unit square. Left: how many answers are right, by the confidence that \
         they state; on the diagonal, confidence is what it says. Right: how many of the accepted answers are wrong if only the most confident \
         ones are accepted; an answer “nowhere” is never accepted.</p>\n\
         <div class=\"examples\"><img src=\"{PICTURES}/reliability.png\" alt=\"reliability curve\">\
         <img src=\"{PICTURES}/risk-coverage.png\" alt=\"risk-coverage curve\"></div>\n{tables}"
    ))
}

fn reliability_plot(curves: &[Curves]) -> LinePlot {
    let points =
        |curves: &Curves| curves.reliability.iter().map(|bin| (bin.stated, bin.right)).collect();
    plot(curves, "reliability", "stated confidence", "share right", true, points)
}

fn risk_plot(curves: &[Curves]) -> LinePlot {
    let points = |curves: &Curves| curves.risk.iter().map(|at| (at.coverage, at.risk)).collect();
    plot(curves, "risk and coverage", "share accepted", "share wrong among them", false, points)
}

fn plot(
    curves: &[Curves],
    title: &str,
    x: &str,
    y: &str,
    diagonal: bool,
    points: impl Fn(&Curves) -> Vec<(f64, f64)>,
) -> LinePlot {
    let line = |curves: &Curves| Line { name: curves.row.to_string(), points: points(curves) };
    LinePlot {
        title: title.to_owned(),
        x: x.to_owned(),
        y: y.to_owned(),
        x_range: 0.0..1.0,
        y_range: 0.0..1.0,
        diagonal,
        lines: curves.iter().map(line).collect(),
    }
}

/// The bins of one row, and the error rate at some coverages.
fn numbers(curves: &Curves) -> String {
    let bins = curves.reliability.iter().map(|bin| {
        vec![number(Some(bin.stated), 3), number(Some(bin.right), 3), bin.n.to_string()]
    });
    let bins = table(&["stated", "right", "answers"], bins);
    let risks = [0.25, 0.5, 0.75, 1.0].map(|coverage| {
        let at = curves.risk.iter().rfind(|at| at.coverage <= coverage);
        let cells = [at.map(|at| at.coverage), at.map(|at| at.risk), at.map(|at| at.threshold)];
        cells.map(|cell| number(cell, 3)).to_vec()
    });
    let risks = table(&["accepted", "wrong among them", "least confidence"], risks);
    format!(
        "<details><summary>The row {}: calibration error {}</summary>\n{bins}{risks}</details>\n",
        escaped_html(&curves.row.to_string()),
        number(curves.calibration_error, 3)
    )
}

#[cfg(test)]
mod tests {
    use tp_core::{Seed, Style, UnitXy};

    use super::*;
    use crate::recipe::Scenes;

    #[test]
    fn curves_are_those_of_a_hand_computation() {
        let set = EvalSet::drawn("scenes", &Scenes::default(), 1, 4, Style::Terse, Seed(5));
        assert_eq!(set.n_points(), 4);
        // Away by 0, by 0.3, by 0.05, and without an answer.
        let shift = |index: usize, by: f64, confidence: f32| {
            let point = set.images[0].points[index].point;
            let x = if point.x() > 0.5 { point.x() - by } else { point.x() + by };
            let point = UnitXy::new(x, point.y()).unwrap();
            Some(Located { point, confidence: Some(confidence) })
        };
        let answers = [shift(0, 0.0, 0.75), shift(1, 0.3, 0.25), shift(2, 0.05, 0.5), None];
        let curves = Curves::of(RowName::Ours, &set, &answers).unwrap();
        let points = |plot: LinePlot| plot.lines[0].points.clone();
        // One answer a bin: what is stated, and whether it is right.
        let reliability = [(0.25, 0.0), (0.5, 1.0), (0.75, 1.0)];
        assert_eq!(points(reliability_plot(std::slice::from_ref(&curves))), reliability);
        // Of four points one, two and three are accepted; the third is wrong.
        let risk = [(0.25, 0.0), (0.5, 0.0), (0.75, 1.0 / 3.0)];
        assert_eq!(points(risk_plot(std::slice::from_ref(&curves))), risk);
        // |0.25 − 0| + |0.5 − 1| + |0.75 − 1|, each bin a third.
        assert!((curves.calibration_error.unwrap() - 1.0 / 3.0).abs() < 1e-12);
        let silent =
            answers.map(|answer| answer.map(|found| Located { confidence: None, ..found }));
        assert!(Curves::of(RowName::Ours, &set, &silent).is_none());
    }
}
