//! Markdown tables, and the formatting of their figures.

use std::time::Duration;

use super::scenario::grouped;

/// A table with a title.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) title: &'static str,
    /// The column names, separated by `|`; columns that end in a colon are right-aligned.
    pub(super) columns: &'static str,
    /// The rows, with one cell per column.
    pub(super) rows: Vec<Vec<String>>,
}

impl Table {
    /// Formats the table in Markdown, with columns aligned for reading on a terminal.
    pub(super) fn markdown(&self) -> String {
        let columns: Vec<(&str, bool)> =
            self.columns.split('|').map(|name| (name.trim_end_matches(':'), name.ends_with(':'))).collect();
        let width = |at: usize, name: &str| {
            let cells = self.rows.iter().map(|row| row[at].chars().count());
            cells.max().unwrap_or_default().max(name.len())
        };
        let widths: Vec<usize> = columns.iter().enumerate().map(|(at, (name, _))| width(at, name)).collect();
        let line = |cells: Vec<&str>| {
            let cells = cells.iter().zip(&columns).zip(&widths).map(|((cell, (_, is_right)), width)| {
                if *is_right { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
            });
            format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
        };
        let header = line(columns.iter().map(|(name, _)| *name).collect());
        let marks = line(columns.iter().map(|(_, is_right)| if *is_right { "--:" } else { "---" }).collect());
        let rows: String = self.rows.iter().map(|row| line(row.iter().map(String::as_str).collect())).collect();
        format!("### {}\n\n{header}{marks}{rows}", self.title)
    }
}

/// Divides two times.
pub(super) fn ratio(time: Duration, by: Duration) -> f64 {
    time.as_secs_f64() / by.as_secs_f64().max(1e-9)
}

/// Returns the seconds per 100,000 profiles, from the time for `profiles` profiles.
pub(super) fn per_100_000(time: Duration, profiles: u64) -> f64 {
    let parts = profiles.max(1) as f64 / 1e5;
    time.as_secs_f64() / parts
}

/// Formats bytes in MiB with one decimal, rounded up so that an exceeded limit stays visible.
pub(super) fn mebibytes(bytes: u64) -> String {
    let tenths = (bytes * 10).div_ceil(1 << 20);
    format!("{}.{}", grouped(tenths / 10), tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_up_so_that_a_limit_cannot_be_hidden() {
        assert_eq!([0, 1, 3 << 19, (1_234 << 20) + 1].map(mebibytes), ["0.0", "0.1", "1.5", "1,234.1"]);
    }
}
