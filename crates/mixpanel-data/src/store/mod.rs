//! Owns DuckDB: opens the file, loads a finished stage into a table, and lists, queries and drops tables.
//!
//! It knows nothing about HTTP, and about the stage only that a page is a Parquet file with the columns of a profile.
//! A file is open only for the duration of a call. The path of a load:
//!
//! - `location`: checks the path before DuckDB sees it, and creates a new file that only its owner can read;
//! - `database`: opens it with the settings of `tuning` and everything else on the machine out of reach; `lease`:
//!   opens it only once in this process;
//! - `preflight`: finds every failure that can be predicted, before the first request;
//! - `load`: one transaction from the staged pages to the table, with `target` (the table that exists already),
//!   `metadata` (`_metadata` and `_fetches`, from a `run_record`), `rejects` (`_rejects`), `staged` (the files to
//!   read), `digest` (a sum of the table's contents) and `load_stop` (stops it from another thread before its commit).
//!
//! Reading: `catalog` (tables and columns), `label` (the entry of a table in `_metadata`), `verify` (whether the table
//! is still what was loaded), `last_load`, `query`, and `values` with `iso` (what DuckDB returns, as JSON). `failure`
//! turns DuckDB's messages into errors by kind.

mod catalog;
mod database;
mod dependents;
mod digest;
mod failure;
mod iso;
mod label;
mod last_load;
mod lease;
mod load;
mod load_stop;
mod location;
mod metadata;
mod preflight;
mod query;
mod rejects;
mod run_record;
mod schema;
mod seen;
mod settings;
mod sql_text;
mod staged;
mod table_name;
mod target;
#[cfg(test)]
mod testing;
mod tuning;
mod unreadable;
mod values;
mod verify;

pub(crate) use catalog::{drop_tables, sample, table_schema, tables};
pub(crate) use last_load::{LastLoad, last_load};
pub(crate) use load::{Announced, LoadReport, LoadRequest, OnLockWait, is_loaded, load, maker};
pub(crate) use load_stop::LoadStop;
pub(crate) use preflight::{Checked, Found, look, preflight};
pub(crate) use query::{each, rows, scalar};
pub(crate) use run_record::RunRecord;
pub(crate) use seen::Seen;
pub(crate) use table_name::TableName;
pub(crate) use target::{LoadKind, made_by_another};
pub(crate) use verify::verify;
