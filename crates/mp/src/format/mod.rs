//! Prints results: `rows` is the way in, the others know one format each.

mod csv;
mod json;
mod plain;
mod rows;
mod table;

pub(crate) use rows::{Rows, print_record, print_records};
