//! Errors of xtask, with hints.

use std::fmt;

/// An error that ends xtask with exit code 1.
#[derive(Debug)]
pub(crate) struct Failure {
    problem: String,
    hint: Option<String>,
}

impl Failure {
    /// Creates a failure from a message that includes the cause.
    pub(crate) fn new(problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), hint: None }
    }

    /// Adds a hint on how to fix the problem.
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

/// The reason why a source cannot provide the library, in which case the next source is tried.
#[derive(Debug)]
pub(crate) struct Unavailable(pub(crate) String);
