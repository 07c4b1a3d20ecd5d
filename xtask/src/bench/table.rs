//! Tables, for the terminal and for the page.

/// The side to which a column is aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

/// A table with a title.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) title: &'static str,
    pub(super) columns: Vec<(&'static str, Align)>,
    /// As many cells in each as there are columns.
    pub(super) rows: Vec<Vec<String>>,
}

impl Table {
    /// Lays it out for a terminal, a line each, with a header.
    pub(super) fn text(&self) -> String {
        let widths: Vec<usize> = self.columns.iter().enumerate().map(|(i, (title, _))| self.width(i, title)).collect();
        let header: Vec<String> = self.columns.iter().map(|(title, _)| (*title).to_owned()).collect();
        let mut text = format!("{}\n", self.title);
        for row in std::iter::once(&header).chain(&self.rows) {
            let cells: Vec<String> = row.iter().enumerate().map(|(i, cell)| self.padded(i, cell, widths[i])).collect();
            text.push_str(cells.join("  ").trim_end());
            text.push('\n');
        }
        text
    }

    /// Writes it in Markdown.
    pub(super) fn markdown(&self) -> String {
        let line = |cells: Vec<&str>| format!("| {} |\n", cells.join(" | "));
        let mut text = format!("### {}\n\n", self.title);
        text.push_str(&line(self.columns.iter().map(|(title, _)| *title).collect()));
        let marks = self.columns.iter().map(|(_, align)| if *align == Align::Left { "---" } else { "--:" });
        text.push_str(&line(marks.collect()));
        for row in &self.rows {
            text.push_str(&line(row.iter().map(String::as_str).collect()));
        }
        text
    }

    fn width(&self, column: usize, title: &str) -> usize {
        let cells = self.rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or_default().max(title.len())
    }

    fn padded(&self, column: usize, cell: &str, width: usize) -> String {
        match self.columns[column].1 {
            Align::Left => format!("{cell:<width$}"),
            Align::Right => format!("{cell:>width$}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        Table {
            title: "Fetches",
            columns: vec![("mode", Align::Left), ("wall s", Align::Right)],
            rows: vec![row(["parallel", "2.64"]), row(["sequential", "10.00"])],
        }
    }

    #[test]
    fn on_a_terminal_columns_are_aligned() {
        assert_eq!(table().text(), "Fetches\nmode        wall s\nparallel      2.64\nsequential   10.00\n");
    }

    #[test]
    fn in_markdown_numbers_stand_to_the_right() {
        let expected = "### Fetches\n\n| mode | wall s |\n| --- | --: |\n| parallel | 2.64 |\n| sequential | 10.00 |\n";
        assert_eq!(table().markdown(), expected);
    }
}
