//! Loads a stage into a table of a DuckDB database.
//!
//! Its only assumption about the stage is that a page is a Parquet file with the columns of the dataset.
//!
//! - `preflight`: finds every predictable failure before the first request;
//! - `load`: loads the staged pages in one transaction. `staged` and `pages` read the files, `merge` merges them into a
//!   table that already has rows, `settle` checks the file after the commit, `tuning` chooses the settings,
//!   `load_stop` stops the load from another thread before its commit, and `engines` starts engines in advance;
//! - `target`: checks and replaces the existing table; `dependents`: describes what a replacement drops; `seen`: the
//!   state of the table before the first request; `changes`: compares it with the current state;
//! - `metadata`: writes `_metadata` and `_fetches`; `rejects`: writes `_rejects`; `digest`: sums the table's contents;
//! - `by_day`: loads events, one batch of days after another, and writes `_days`;
//! - `properties`: writes `_properties` and the typed views, whose query `typed_view` generates; `table_query`: the same
//!   rows for exports; `catalogs`: reads the properties of rows; `examine`, `value_counts` and `canonical`: describe the
//!   properties of a table;
//! - `known`, `loads` and `last_load`: read the records of earlier loads; `verify`: checks that a table is unchanged since its
//!   last load.

mod announced;
mod by_day;
mod canonical;
mod catalogs;
mod changes;
mod dependents;
mod digest;
mod engines;
mod examine;
mod known;
mod last_load;
mod load;
mod load_stop;
mod loads;
mod merge;
mod metadata;
mod pages;
mod preflight;
mod properties;
mod rejects;
mod request;
mod rows;
mod seen;
mod settle;
mod spill;
mod staged;
mod table_query;
mod target;
#[cfg(test)]
mod testing;
mod tuning;
mod typed_view;
mod unreadable;
mod value_counts;
mod verify;

pub(crate) use by_day::{DayState, LastEventLoad, RecordedDay, fetched_days, last_event_load};
pub(crate) use engines::start_in_advance;
pub(crate) use examine::examine;
pub(crate) use known::{exists, is_loaded, maker, rules_of_table};
pub(crate) use last_load::{LastLoad, last_load};
pub(crate) use load::load;
pub(crate) use load_stop::LoadStop;
pub(crate) use loads::{Base, LoadsAfter, RecordedLoad, loads_after};
pub(crate) use preflight::{Checked, look, preflight};
pub(crate) use request::{LoadOptions, LoadRequest, OnLockWait};
pub(crate) use seen::{Found, Seen};
pub(crate) use staged::catalog_of_pages;
pub(crate) use table_query::table_query;
pub(crate) use target::recreated_by_another_run;
pub(crate) use verify::verify;
