//! The `where` language: comparisons, `and`, `or`, `not`, `in` and `defined` over `properties["..."]`.
//!
//! This is a subset of Mixpanel's expression language. Unsupported syntax is rejected with its position, never
//! ignored, because a filter that silently selects everything hides bugs in the client.

mod eval;
mod lexer;
mod parser;

use std::collections::BTreeSet;

pub(crate) use eval::Subject;
use parser::Expression;

/// A parsed `where` expression.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Filter {
    expression: Expression,
    /// The properties used by the expression, which refers to them by index.
    properties: Vec<String>,
}

impl Filter {
    /// Parses an expression. `behaviors` lists the names that `behaviors["..."]` may refer to.
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
