//! Rows as JSON lines, one point a line: what is written next to every metric, so that each number can be computed again
//! without a model.

use serde::Serialize;

use crate::{MetricsError, PointRow, Protocol, Score};

/// A row with what its protocol makes of it.
#[derive(Serialize)]
struct ScoredRow<'a> {
    #[serde(flatten)]
    row: &'a PointRow,
    /// Null for a row out of the protocol's scope.
    score: Option<Score>,
}

/// One line per row: the row's fields, and under `score` its errors and hits.
///
/// # Errors
///
/// Those of [`PointRow::score`].
pub fn rows_to_jsonl(rows: &[PointRow], protocol: &Protocol) -> Result<String, MetricsError> {
    let mut lines = String::new();
    for row in rows {
        let scored = ScoredRow { row, score: row.score(protocol)? };
        lines += &serde_json::to_string(&scored).expect("keys are text and nothing in a row fails to be written");
        lines.push('\n');
    }
    Ok(lines)
}

/// Reads what [`rows_to_jsonl`] wrote; scores and other fields that are not a row's are passed over, empty lines too.
///
/// # Errors
///
/// [`MetricsError::Line`] names the first line that is no row.
pub fn rows_from_jsonl(text: &str) -> Result<Vec<PointRow>, MetricsError> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(i, line)| serde_json::from_str(line).map_err(|error| MetricsError::Line { line: i + 1, problem: error.to_string() }))
        .collect()
}

#[cfg(test)]
mod tests {
    use tp_core::{ImageHw, UnitXy};

    use super::*;
    use crate::{Lengths, Prediction, Visibility};

    #[test]
    fn rows_come_back_as_they_were() {
        let size = ImageHw::new(48, 64).unwrap();
        let unit = |x, y| UnitXy::new(x, y).unwrap();
        let rows = vec![
            PointRow::new("a", "i|\"1\"\n", size, unit(0.5, 0.25), unit(0.125, 0.75)).with_label("part", "hufeisen ☂").with_mask(|_| true),
            PointRow::new("b", "2", size, unit(0.0, 1.0), Prediction::Unparsable).with_visibility(Visibility::Occluded),
            PointRow::new("c", "2", size, unit(1.0, 1.0), None).with_lengths(Lengths { head: Some(3.5), ..Lengths::default() }),
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
        for bad in [good.replace("0.5,", "1.5,"), good.replace("not_found", "nowhere"), "{".into(), good.replace(":4", ":0")] {
            let error = rows_from_jsonl(&format!("{good}\n{bad}\n")).unwrap_err();
            assert!(matches!(error, MetricsError::Line { line: 2, .. }), "{error}");
        }
    }
}
