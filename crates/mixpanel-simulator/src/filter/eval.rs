//! Evaluates a filter expression for a record.

use std::cmp::Ordering;

use serde_json::{Number, Value};

use super::parser::{Comparison, Expression, Operand};
use crate::hash::{below, mix_text, mix2};

/// The record that a filter is evaluated for.
#[derive(Debug)]
pub(crate) struct Subject<'a> {
    /// The values of the filter's properties, in the filter's order.
    pub(crate) values: &'a [Option<Value>],
    /// The seed for the generated behavior counts.
    pub(crate) seed: u64,
    pub(crate) index: u64,
}

pub(super) fn holds(expression: &Expression, subject: &Subject<'_>) -> bool {
    match expression {
        Expression::AnyOf(parts) => parts.iter().any(|part| holds(part, subject)),
        Expression::AllOf(parts) => parts.iter().all(|part| holds(part, subject)),
        Expression::Not(inner) => !holds(inner, subject),
        Expression::Defined(name) => subject.values[*name].as_ref().is_some_and(|value| !value.is_null()),
        Expression::Holds(operand) => value(operand, subject) == Some(Value::Bool(true)),
        Expression::In(needle, haystack) => value(needle, subject)
            .zip(value(haystack, subject))
            .is_some_and(|(needle, haystack)| is_in(&needle, &haystack)),
        Expression::Compare(comparison, left, right) => {
            compare(*comparison, value(left, subject), value(right, subject))
        }
    }
}

fn value(operand: &Operand, subject: &Subject<'_>) -> Option<Value> {
    match operand {
        Operand::Literal(value) => Some(value.clone()),
        Operand::Property(name) => subject.values[*name].clone(),
        // Events are not simulated, so the count is a number from 0 to 9 derived from the seed.
        Operand::Behavior(name) => Some(Value::from(below(mix2(mix_text(subject.seed, name), subject.index), 10))),
    }
}

/// Compares two values. A missing property equals null; values of different types are unequal and unordered.
fn compare(comparison: Comparison, left: Option<Value>, right: Option<Value>) -> bool {
    let (left, right) = (left.unwrap_or(Value::Null), right.unwrap_or(Value::Null));
    let ordering = order(&left, &right);
    match comparison {
        Comparison::Equal => ordering == Some(Ordering::Equal) || left == right,
        Comparison::NotEqual => ordering != Some(Ordering::Equal) && left != right,
        Comparison::Less => ordering.is_some_and(Ordering::is_lt),
        Comparison::LessOrEqual => ordering.is_some_and(Ordering::is_le),
        Comparison::Greater => ordering.is_some_and(Ordering::is_gt),
        Comparison::GreaterOrEqual => ordering.is_some_and(Ordering::is_ge),
    }
}

fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (Value::Number(left), Value::Number(right)) => order_numbers(left, right),
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        _ => None,
    }
}

fn order_numbers(left: &Number, right: &Number) -> Option<Ordering> {
    // Integers beyond 2^53 are compared exactly.
    match (left.as_i128(), right.as_i128()) {
        (Some(left), Some(right)) => Some(left.cmp(&right)),
        _ => left.as_f64()?.partial_cmp(&right.as_f64()?),
    }
}

/// Returns whether a list contains an element, or a string contains a substring.
fn is_in(needle: &Value, haystack: &Value) -> bool {
    match (needle, haystack) {
        (_, Value::Array(values)) => {
            values.iter().any(|value| order(value, needle) == Some(Ordering::Equal) || value == needle)
        }
        (Value::String(needle), Value::String(haystack)) => haystack.contains(needle.as_str()),
        _ => false,
    }
}
