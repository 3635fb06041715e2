//! The page's style, and its tables.

use tp_core::escaped_html;
use tp_metrics::Interval;

/// The beginning of the page.
pub(super) const HEAD: &str = r#"<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Evaluation</title>
<style>
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 1100px; padding: 0 1rem; color: #222; background: #faf9f6; overflow-wrap: anywhere }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums } .wide { overflow-x: auto }
th, td { padding: .25rem .6rem; text-align: right; border-bottom: 1px solid #ddd; overflow-wrap: normal } th:first-child, td:first-child { text-align: left }
small { color: #666 } .examples { display: grid; grid-template-columns: repeat(auto-fill, minmax(300px, 1fr)); gap: 1.4rem }
figure { margin: 0 } img { max-width: 100%; display: block } figcaption p { margin: .4rem 0 }
</style>
"#;

/// A table: its header, and rows of cells. Everything is text.
pub(super) fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let header = line("th", header.iter().copied());
    let rows: String =
        rows.into_iter().map(|row| line("td", row.iter().map(String::as_str))).collect();
    format!("<div class=\"wide\"><table>\n{header}{rows}</table></div>\n")
}

fn line<'a>(tag: &str, cells: impl Iterator<Item = &'a str>) -> String {
    let cells: String =
        cells.map(|cell| format!("<{tag}>{}</{tag}>", escaped_html(cell))).collect();
    format!("<tr>{cells}</tr>\n")
}

/// A number with its decimals, or a dash.
pub(super) fn number(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.decimals$}"))
}

/// A percentage with its interval.
pub(super) fn with_interval(value: Option<f64>, interval: Option<Interval>) -> String {
    let interval = interval
        .map(|interval| format!(" [{:.1}, {:.1}]", interval.lo, interval.hi))
        .unwrap_or_default();
    number(value, 1) + &interval
}
