//! Scripted faults: which pages they affect, how often, and how the response fails.

mod apply;
mod model;
mod script;

pub(crate) use model::{number, number_ranges, parse_kind, words};
pub(crate) use script::Script;

#[cfg(test)]
mod tests;

pub use model::{Fault, FaultKind, PageSelector, Times};
