//! Scripted faults: on which pages, how often, and what goes wrong.

mod apply;
mod model;
mod script;

pub(crate) use script::Script;

#[cfg(test)]
mod tests;

pub use model::{Fault, FaultKind, PageSelector, Times};
