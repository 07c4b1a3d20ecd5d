//! Prints results: `rows` is the entry point; each other module implements one format.

mod csv;
mod json;
mod plain;
mod rows;
mod table;

pub(crate) use rows::{Rows, print_record, print_records};
