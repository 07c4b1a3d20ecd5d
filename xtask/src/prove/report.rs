//! What came of the parts, as text.

use std::fmt::Write as _;
use std::time::Duration;

/// Violations that are printed in full for one part.
const SHOWN: usize = 10;

/// What came of one part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Report {
    /// What was done, with numbers: `300 kills`.
    pub(super) counts: Vec<String>,
    /// What must not be, and how to see it again.
    pub(super) violations: Vec<String>,
    /// What could not be tried here, with a count and the reason.
    pub(super) skipped: Vec<String>,
}

impl Report {
    /// A part of which nothing can be tried here. On CI that is a violation: a proof that is left out proves nothing.
    pub(super) fn skipped(what: &str, reason: &str) -> Self {
        let text = format!("{what}: {reason}");
        if std::env::var("CI").is_ok_and(|ci| ci == "true") {
            return Self::violated(format!("skipped on CI: {text}"));
        }
        Self { skipped: vec![text], ..Self::default() }
    }

    /// A part with one violation.
    pub(super) fn violated(violation: impl Into<String>) -> Self {
        Self { violations: vec![violation.into()], ..Self::default() }
    }

    /// Both together.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.counts.extend(other.counts);
        self.violations.extend(other.violations);
        self.skipped.extend(other.skipped);
        self
    }

    /// Adds the violation of a case, if it has one.
    pub(super) fn add(&mut self, case: &str, outcome: Result<(), String>) {
        if let Err(problem) = outcome {
            let violation = format!("{case}: {problem}");
            eprintln!("violation: {violation}");
            self.violations.push(violation);
        }
    }
}

/// One row of the table.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) report: Report,
    pub(super) took: Duration,
}

impl Row {
    /// The row in one line.
    pub(super) fn verdict(&self) -> String {
        let Report { counts, violations, skipped } = &self.report;
        let mut text = format!("{} in {:.1} s", counts.join(", "), self.took.as_secs_f64());
        if !violations.is_empty() {
            let _ = write!(text, ", {} VIOLATIONS", violations.len());
        }
        if !skipped.is_empty() {
            let _ = write!(text, ", skipped {}", skipped.join("; "));
        }
        text
    }
}

/// The table, and the violations below it.
pub(super) fn table(rows: &[Row]) -> String {
    let mut text = format!("{:<12}{:>8}  {:>10}  what was done\n", "part", "seconds", "violations");
    for Row { name, report, took } in rows {
        let mut done = report.counts.join(", ");
        for skipped in &report.skipped {
            let _ = write!(done, "; skipped {skipped}");
        }
        let _ = writeln!(text, "{name:<12}{:>8.1}  {:>10}  {done}", took.as_secs_f64(), report.violations.len());
    }
    for Row { name, report, .. } in rows {
        for violation in report.violations.iter().take(SHOWN) {
            let _ = writeln!(text, "\n{name}: {violation}");
        }
        if report.violations.len() > SHOWN {
            let _ = writeln!(text, "\n{name}: and {} more", report.violations.len() - SHOWN);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_has_a_row_and_violations_follow() {
        let kills = Report { counts: vec!["300 kills".to_owned()], ..Report::default() }
            .and(Report::violated("case 7: a page was lost"));
        let disks = Report { skipped: vec!["60 sizes: not root".to_owned()], ..Report::default() };
        let row = |name, report| Row { name, report, took: Duration::from_millis(1_250) };
        let rows = [row("kills", kills), row("disks", disks)];
        let text = table(&rows);
        assert!(text.contains("kills            1.2           1  300 kills\n"), "{text}");
        assert!(text.contains("skipped 60 sizes: not root"), "{text}");
        assert!(text.ends_with("kills: case 7: a page was lost\n"), "{text}");
        assert_eq!(rows[0].verdict(), "300 kills in 1.2 s, 1 VIOLATIONS");
    }
}
