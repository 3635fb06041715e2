//! Rows as JSON lines, one point per line, from which every metric can be recomputed without a
//! model.

use serde::Serialize;

use crate::{MetricsError, PointRow, Protocol, Score};

/// A row with its score.
#[derive(Serialize)]
struct ScoredRow<'a> {
    #[serde(flatten)]
    row: &'a PointRow,
    /// Null for a row outside the protocol's scope.
    score: Option<Score>,
}

/// One line per row: the fields of the row, and its errors and hits under `score`.
///
/// # Errors
///
/// Those of [`PointRow::score`].
pub fn rows_to_jsonl(rows: &[PointRow], protocol: &Protocol) -> Result<String, MetricsError> {
    let mut lines = String::new();
    for row in rows {
        let scored = ScoredRow { row, score: row.score(protocol)? };
        lines += &serde_json::to_string(&scored)
            .expect("keys are text and nothing in a row fails to be written");
        lines.push('\n');
    }
    Ok(lines)
}

/// Reads the output of [`rows_to_jsonl`]. Scores and unknown fields are ignored, and empty lines
/// are skipped.
///
/// Lines contain all digits, but the JSON reader may change a coordinate in the last bit (about
/// 1e-16), which only matters for an error exactly at a threshold. The `score` of a line states
/// what was counted.
///
/// # Errors
///
/// [`MetricsError::Line`] for the first malformed line.
pub fn rows_from_jsonl(text: &str) -> Result<Vec<PointRow>, MetricsError> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(i, line)| {
            serde_json::from_str(line)
                .map_err(|error| MetricsError::Line { line: i + 1, problem: error.to_string() })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use rand::RngExt;
    use tp_core::{ImageHw, Seed, UnitXy};

    use super::*;
    use crate::{Accumulator, Bootstrap, NormaliserLengths, Prediction, Visibility, paired};

    #[test]
    fn rows_come_back_as_they_were() {
        let size = ImageHw::new(48, 64).unwrap();
        let unit = |x, y| UnitXy::new(x, y).unwrap();
        let rows = vec![
            PointRow::new("a", "i|\"1\"\n", size, unit(0.5, 0.25), unit(0.125, 0.75))
                .with_label("part", "hufeisen ☂")
                .with_mask(|_| true),
            PointRow::new("b", "2", size, unit(0.0, 1.0), Prediction::Unparsable)
                .with_visibility(Visibility::Occluded),
            PointRow::new("c", "2", size, unit(1.0, 1.0), None).with_lengths(NormaliserLengths {
                head: Some(3.5),
                ..NormaliserLengths::default()
            }),
        ];
        let text = rows_to_jsonl(&rows, &Protocol::paper()).unwrap();
        assert_eq!(text.lines().count(), 3);
        assert_eq!(rows_from_jsonl(&text).unwrap(), rows);
        assert!(text.contains(r#""hits":[false,false]"#));
    }

    #[test]
    fn a_bad_line_is_named() {
        let good = r#"{"point":"a","image":"i","size":{"height":4,"width":4},"truth":{"x":0.5,"y":0.5},"predicted":"not_found"}"#;
        assert_eq!(rows_from_jsonl(&format!("\n{good}\n")).unwrap().len(), 1);
        for bad in [
            good.replace("0.5,", "1.5,"),
            good.replace("not_found", "nowhere"),
            "{".into(),
            good.replace(":4", ":0"),
        ] {
            let error = rows_from_jsonl(&format!("{good}\n{bad}\n")).unwrap_err();
            assert!(matches!(error, MetricsError::Line { line: 2, .. }), "{error}");
        }
    }

    #[test]
    fn numbers_computed_from_the_lines_are_those_of_the_rows() {
        let mut rng = Seed(3).rng();
        let mut unit =
            || UnitXy::new(rng.random_range(0.3..0.6), rng.random_range(0.3..0.6)).unwrap();
        let size = ImageHw::new(480, 640).unwrap();
        let lengths = NormaliserLengths { head: Some(100.0 / 3.0), ..NormaliserLengths::default() };
        let rows: Vec<_> = (0..3000)
            .map(|i| {
                PointRow::new(i.to_string(), (i / 3).to_string(), size, unit(), unit())
                    .with_lengths(lengths)
            })
            .collect();
        let protocol = Protocol::paper();
        let again = rows_from_jsonl(&rows_to_jsonl(&rows, &protocol).unwrap()).unwrap();

        let bootstrap = Bootstrap::new(Seed(1)).with_resamples(100).unwrap();
        let [left, right] = [&rows, &again]
            .map(|rows| Accumulator::of(rows, &protocol).unwrap().summary(&bootstrap));
        assert_eq!((&left.pck, left.mpck_ci), (&right.pck, right.mpck_ci));
        assert!((left.epe_px.unwrap().mean - right.epe_px.unwrap().mean).abs() < 1e-9);
        // Rows that were read from lines can be compared with rows that were never written.
        assert_eq!(
            paired(&rows, &again, &protocol, &bootstrap).unwrap().mpck.difference,
            Some(0.0)
        );
    }
}
