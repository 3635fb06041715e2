//! Human-readable reports: aligned text for a terminal, or Markdown.

use crate::table::{Table, one_line};
use crate::{
    Distances, EvalReport, Grouped, Interval, MetricId, NamedGroups, NamedPair, Paired, PairedMean,
    Rate, ScoreSummary,
};

impl EvalReport {
    /// The report as aligned tables for a terminal.
    #[must_use]
    pub fn to_text(&self) -> String {
        let tables = self
            .tables()
            .into_iter()
            .map(|(title, table)| format!("\n{title}\n{}", table.to_text()));
        let identities = self.identity_lines().into_iter().map(|line| format!("{line}\n"));
        std::iter::once(format!("{}\n", one_line(self.set())))
            .chain(identities)
            .chain(tables)
            .collect()
    }

    /// The report as Markdown.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let tables = self
            .tables()
            .into_iter()
            .map(|(title, table)| format!("\n**{title}**\n\n{}", table.to_markdown()));
        let identities = self.identity_lines().into_iter().map(|line| format!("- `{line}`\n"));
        std::iter::once(format!("### {}\n\n", one_line(self.set())))
            .chain(identities)
            .chain(tables)
            .collect()
    }

    fn identity_lines(&self) -> Vec<String> {
        let macros =
            self.groups().iter().flat_map(|groups| &groups.grouped.macro_average.identities);
        let mut lines: Vec<String> = Vec::new();
        for line in self
            .protocol()
            .identities()
            .iter()
            .chain(macros)
            .map(MetricId::to_string)
            .chain([self.bootstrap().to_string()])
        {
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        lines
    }

    fn tables(&self) -> Vec<(String, Table)> {
        let level = (1e6 * self.bootstrap().level()).round() / 1e4; // 55, not 55.00000000000001
        let mut tables = Vec::new();
        if !self.rows().is_empty() {
            let mut table = self.summary_table("row");
            self.rows().iter().for_each(|row| table.push(summary_cells(&row.name, &row.summary)));
            tables.push((
                format!("PCK, mPCK, AUC, NME in percent with {level} % intervals clustered by image; EPE in pixels over located points"),
                table,
            ));
        }
        for NamedPair { a, b, result } in self.pairs() {
            let title = format!(
                "{} minus {}: {} points of {} images",
                one_line(a),
                one_line(b),
                result.n,
                result.n_images
            );
            tables.push((title, pair_table(result, level)));
        }
        for NamedGroups { name, grouped } in self.groups() {
            let mut table = self.summary_table(&grouped.label);
            grouped
                .groups
                .iter()
                .for_each(|group| table.push(summary_cells(&group.value, &group.summary)));
            table.push(summary_cells("(micro average)", &grouped.micro));
            table.push(macro_cells(grouped));
            tables.push((
                format!(
                    "{} by {}: {} rows without this label",
                    one_line(name),
                    grouped.label,
                    grouped.unlabelled
                ),
                table,
            ));
        }
        tables
    }

    fn summary_table(&self, first: &str) -> Table {
        let mut header: Vec<String> = [first, "n", "images", "missing"].map(str::to_owned).to_vec();
        header.extend(
            self.protocol().thresholds().iter().map(|threshold| format!("PCK@{threshold}")),
        );
        header.extend(
            ["mPCK", "AUC", "NME", "EPE mean", "median", "p90", "in mask"].map(str::to_owned),
        );
        Table::new(header)
    }
}

fn summary_cells(name: &str, summary: &ScoreSummary) -> Vec<String> {
    let mut cells = vec![
        name.to_owned(),
        summary.n.to_string(),
        summary.n_images.to_string(),
        summary.missing().to_string(),
    ];
    let rate = |rate: &Rate| with_interval(rate.percent, rate.ci);
    cells.extend(summary.pck.iter().map(|pck| rate(&pck.rate)));
    let epe = |number: fn(&Distances) -> f64| decimals(summary.epe_px.as_ref().map(number), 1);
    cells.extend([
        with_interval(summary.mpck, summary.mpck_ci),
        decimals(summary.auc, 2),
        decimals(summary.nme.map(|errors| 100.0 * errors.mean), 2),
        epe(|errors| errors.mean),
        epe(|errors| errors.median),
        epe(|errors| errors.p90),
        rate(&summary.in_mask),
    ]);
    cells
}

/// Counts and quantiles have no macro average.
fn macro_cells(grouped: &Grouped) -> Vec<String> {
    let average = &grouped.macro_average;
    let mut cells = vec![
        format!("(macro average over {})", average.n_groups),
        "-".into(),
        "-".into(),
        "-".into(),
    ];
    cells.extend(average.pck.iter().map(|pck| decimals(pck.percent, 2)));
    let nme = average.nme.map(|nme| 100.0 * nme);
    cells.extend([
        decimals(average.mpck, 2),
        decimals(average.auc, 2),
        decimals(nme, 2),
        decimals(average.epe_px, 1),
        "-".into(),
        "-".into(),
    ]);
    cells.push(decimals(average.in_mask, 2));
    cells
}

fn pair_table(result: &Paired, level: f64) -> Table {
    let interval = format!("{level} % interval");
    let header = [
        "metric",
        "A",
        "B",
        "A - B",
        &interval,
        "smallest detectable",
        "only A",
        "only B",
        "McNemar p",
    ];
    let mut table = Table::new(header.map(str::to_owned).to_vec());
    let cells = |metric: String, mean: &PairedMean| {
        let difference =
            mean.difference.map_or_else(|| "-".into(), |difference| format!("{difference:+.2}"));
        let ci = mean.ci.map_or_else(|| "-".into(), |ci| ci.to_string());
        vec![
            metric,
            decimals(mean.a, 2),
            decimals(mean.b, 2),
            difference,
            ci,
            decimals(mean.smallest_detectable, 2),
        ]
    };
    for at in &result.pck {
        let p = if at.mcnemar_p < 1e-4 {
            format!("{:.1e}", at.mcnemar_p)
        } else {
            format!("{:.4}", at.mcnemar_p)
        };
        let mut row = cells(format!("PCK@{}", at.threshold), &at.mean);
        row.extend([at.only_a.to_string(), at.only_b.to_string(), p]);
        table.push(row);
    }
    let mut row = cells("mPCK".into(), &result.mpck);
    row.extend(["-", "-", "-"].map(str::to_owned));
    table.push(row);
    table
}

fn with_interval(percent: Option<f64>, ci: Option<Interval>) -> String {
    match ci {
        Some(ci) => format!("{} {ci}", decimals(percent, 2)),
        None => decimals(percent, 2),
    }
}

/// A value that cannot be computed is shown as a dash.
fn decimals(number: Option<f64>, places: usize) -> String {
    number.map_or_else(|| "-".into(), |number| format!("{number:.places$}"))
}
