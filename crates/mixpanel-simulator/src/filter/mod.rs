//! The `where` language: comparisons, `and`, `or`, `not`, `in` and `defined` over `properties["..."]`.
//!
//! It is a subset of Mixpanel's expressions. Unsupported syntax is rejected with its position, never ignored: a
//! filter that silently selects everything would hide a client's mistake.

mod eval;
mod lexer;
mod parser;

use std::collections::BTreeSet;

pub(crate) use eval::Subject;
use parser::Expression;

/// A parsed `where`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Filter {
    expression: Expression,
    /// The properties that the expression uses; it refers to them by their index here.
    properties: Vec<String>,
}

impl Filter {
    /// Parses an expression. `behaviors` are the names that `behaviors["..."]` may use.
    pub(crate) fn parse(text: &str, behaviors: &BTreeSet<String>) -> Result<Self, String> {
        let (expression, properties) = parser::parse(text, behaviors).map_err(|error| format!("where: {error}"))?;
        Ok(Self { expression, properties })
    }

    pub(crate) fn property_names(&self) -> Vec<&str> {
        self.properties.iter().map(String::as_str).collect()
    }

    pub(crate) fn matches(&self, subject: &Subject<'_>) -> bool {
        eval::holds(&self.expression, subject)
    }
}

#[cfg(test)]
mod tests;
