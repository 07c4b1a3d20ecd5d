//! The outcome of a part that is not a test.

/// The outcome of a part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Report {
    /// What was done, with numbers.
    pub(super) counts: Vec<String>,
    /// What went wrong, and how to reproduce it.
    pub(super) violations: Vec<String>,
}

impl Report {
    /// Returns a report with one violation.
    pub(super) fn violated(violation: impl Into<String>) -> Self {
        let mut report = Self::default();
        report.add("this part", Err(violation.into()));
        report
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
