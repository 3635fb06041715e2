//! A table of text: aligned for a terminal, or as Markdown.

/// A header, and rows with the same number of cells.
pub(crate) struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(header: Vec<String>) -> Self {
        Self { header: header.into_iter().map(|cell| one_line(&cell)).collect(), rows: Vec::new() }
    }

    pub(crate) fn push(&mut self, row: Vec<String>) {
        debug_assert_eq!(row.len(), self.header.len());
        self.rows.push(row.into_iter().map(|cell| one_line(&cell)).collect());
    }

    /// The first column is left-aligned, the others are right-aligned.
    pub(crate) fn to_text(&self) -> String {
        let lines: Vec<&Vec<String>> = std::iter::once(&self.header).chain(&self.rows).collect();
        let width = |column: usize| {
            lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.header.len()).map(width).collect();
        let aligned = |line: &Vec<String>| {
            let cell = |(i, (cell, width)): (usize, (&String, &usize))| {
                if i == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
            };
            let cells: Vec<String> = line.iter().zip(&widths).enumerate().map(cell).collect();
            format!("{}\n", cells.join("  ").trim_end())
        };
        lines.into_iter().map(aligned).collect()
    }

    pub(crate) fn to_markdown(&self) -> String {
        let line = |cells: &[String]| {
            format!(
                "| {} |\n",
                cells.iter().map(|cell| cell.replace('|', "\\|")).collect::<Vec<_>>().join(" | ")
            )
        };
        let rule: Vec<String> = (0..self.header.len())
            .map(|i| if i == 0 { "---".into() } else { "---:".into() })
            .collect();
        std::iter::once(line(&self.header))
            .chain([line(&rule)])
            .chain(self.rows.iter().map(|row| line(row)))
            .collect()
    }
}

/// Replaces line breaks, because a name may contain them and a cell may not.
pub(crate) fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_and_names_cannot_break_the_table() {
        let mut table = Table::new(vec!["row".into(), "n".into()]);
        table.push(vec!["größe|\nb".into(), "7".into()]);
        table.push(vec!["a".into(), "1234".into()]);
        assert_eq!(table.to_text(), "row          n\ngröße| b     7\na         1234\n");
        assert_eq!(
            table.to_markdown(),
            "| row | n |\n| --- | ---: |\n| größe\\| b | 7 |\n| a | 1234 |\n"
        );
    }
}
