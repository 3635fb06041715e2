//! The tables of the page: rows, differences, categories and parts.

use tp_core::escaped_html;
use tp_metrics::{Group, MetricsError, Protocol, ScoreSummary, group_by};

use super::html::{number, table, with_interval};
use crate::evaluation::{EvalSet, Judgement, RowName, point_rows};

/// One line for each row of the evaluation.
pub(super) fn rows(judged: &Judgement, set: &EvalSet) -> String {
    let header = [
        "row",
        "PCK@0.1",
        "PCK@0.2",
        "mPCK",
        "mean error",
        "in pixels",
        "no answer",
        "object",
        "part",
        "color",
        "s a point",
        "what is located",
    ];
    let has_parts = set.points().any(|(_, point)| point.record.part.is_some());
    let n_points = set.n_points().max(1) as f64;
    let line = |&row: &RowName| {
        let summary = &judged.report.row(&row.to_string()).ok()?.summary;
        let named = judged.named.get(&row);
        let seconds = judged.rows.seconds.get(&row).map(|seconds| seconds / n_points);
        Some(
            [
                vec![row.to_string()],
                scores(summary),
                vec![
                    number(summary.nme.map(|errors| errors.mean), 3),
                    number(summary.epe_px.map(|errors| errors.mean), 1),
                    summary.missing().to_string(),
                    number(named.map(|named| named.object), 1),
                    number(named.filter(|_| has_parts).map(|named| named.part), 1),
                    number(named.map(|named| named.colour), 1),
                    number(seconds, 2),
                    row.meaning().to_owned(),
                ],
            ]
            .concat(),
        )
    };
    let encode = judged.rows.encode_seconds / set.images.len().max(1) as f64;
    format!(
        "<h2>Rows</h2>\n{}\
         <p><small>PCK, mPCK and names in percent, with 95 % intervals clustered by image. The mean error is over the located points, in \
         the unit square and in pixels; “no answer” counts as a miss. Object, part and color: the share of the row’s own texts that \
         name them as the annotation does. Seconds without the encoding of the image, which takes {encode:.2} s.</small></p>\n",
        table(&header, judged.rows.answers.keys().filter_map(line)),
    )
}

/// The paired differences of rows.
pub(super) fn pairs(judged: &Judgement) -> String {
    let header = ["difference", "PCK@0.1", "PCK@0.2", "mPCK"];
    let lines: Vec<Vec<String>> = judged
        .report
        .brief()
        .paired
        .into_iter()
        .map(|pair| {
            vec![
                format!("{} minus {}", pair.a, pair.b),
                with_interval(pair.pck01, pair.pck01_ci),
                with_interval(pair.pck02, pair.pck02_ci),
                with_interval(pair.mpck, pair.ci),
            ]
        })
        .collect();
    if lines.is_empty() {
        return String::new();
    }
    format!("<h2>Differences on the same points</h2>\n{}", table(&header, lines))
}

/// The scores of one row by category and by part.
pub(super) fn groups(judged: &Judgement, set: &EvalSet) -> Result<String, MetricsError> {
    let shown = [RowName::Ours, RowName::Texts, RowName::Reference];
    let Some((row, answers)) =
        shown.iter().find_map(|row| judged.rows.answers.get(row).map(|answers| (row, answers)))
    else {
        return Ok(String::new());
    };
    let points = point_rows(set, answers);
    let mut sections = String::new();
    for label in ["category", "part"] {
        let bootstrap = judged.report.bootstrap();
        let groups = group_by(&points, label, &[], &Protocol::paper(), bootstrap)?.groups;
        let header = [label, "points", "PCK@0.1", "PCK@0.2", "mPCK", "no answer"];
        let line = |Group { value, summary, .. }: Group| {
            let value = if value.is_empty() { "(none)".to_owned() } else { value };
            let n = vec![value, summary.n.to_string()];
            [n, scores(&summary), vec![summary.missing().to_string()]].concat()
        };
        sections += &format!(
            "<details><summary>By {label}: {}</summary>\n{}</details>\n",
            groups.len(),
            table(&header, groups.into_iter().map(line))
        );
    }
    Ok(format!("<h2>Groups of the row {}</h2>\n{sections}", escaped_html(&row.to_string())))
}

/// PCK at both thresholds, and mPCK.
fn scores(summary: &ScoreSummary) -> Vec<String> {
    let at = |threshold: f64| {
        let rate = summary.pck_at(threshold);
        with_interval(rate.and_then(|rate| rate.percent), rate.and_then(|rate| rate.ci))
    };
    vec![at(0.1), at(0.2), with_interval(summary.mpck, summary.mpck_ci)]
}
