//! What went wrong, and how to fix it.

use std::fmt;

/// A problem that ends xtask with exit code 1.
#[derive(Debug)]
pub(crate) struct Failure {
    problem: String,
    hint: Option<String>,
}

impl Failure {
    /// Creates a failure from the problem and its cause.
    pub(crate) fn new(problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), hint: None }
    }

    /// Adds what the user can do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.problem)?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

/// Why a source cannot provide the engine. Another source may.
#[derive(Debug)]
pub(crate) struct Unavailable(pub(crate) String);
