//! Loads a stage into a table of a DuckDB database.
//!
//! About the stage it knows only that a page is a Parquet file with the columns of the dataset.
//!
//! - `preflight`: finds every failure that can be predicted, before the first request;
//! - `load`: one transaction from the staged pages to the table. `staged` and `pages` read the files, `merge` puts rows
//!   into a table with other rows, `settle` checks the file after the commit. `tuning` chooses the settings, and
//!   `load_stop` stops it from another thread before its commit;
//! - `target` (the table that exists already), with `dependents` (what a replacement would drop), `seen` (what the fetch
//!   saw of it) and `changes` (compares the two);
//! - `metadata` (`_metadata` and `_fetches`, from a `run_record`), `rejects` (`_rejects`), `digest` (a sum of the
//!   table's contents);
//! - `known` and `last_load` read what earlier loads recorded, and `verify` checks whether a table is still what was
//!   loaded.

mod announced;
mod changes;
mod dependents;
mod digest;
mod known;
mod last_load;
mod load;
mod load_stop;
mod merge;
mod metadata;
mod pages;
mod preflight;
mod rejects;
mod request;
mod rows;
mod seen;
mod settle;
mod spill;
mod staged;
mod target;
#[cfg(test)]
mod testing;
mod tuning;
mod unreadable;
mod verify;

pub(crate) use known::{is_loaded, maker};
pub(crate) use last_load::{LastLoad, last_load};
pub(crate) use load::load;
pub(crate) use load_stop::LoadStop;
pub(crate) use preflight::{Checked, look, preflight};
pub(crate) use request::{LoadOptions, LoadRequest, OnLockWait};
pub(crate) use seen::{Found, Seen};
pub(crate) use target::made_by_another;
pub(crate) use verify::verify;
