//! Prints results: `rows` and `results` are the entry points; `filter` is `--jq`; each other module implements one
//! format.

mod csv;
mod filter;
mod json;
mod plain;
mod results;
mod rows;
mod table;

pub(crate) use filter::check_filter;
pub(crate) use results::print_results;
pub(crate) use rows::{Layout, print_record, print_records, print_result, print_value};
pub(crate) use table::Kind;
