//! Opens DuckDB files, and lists, queries and drops their tables.
//!
//! A file is open only for the duration of a call.
//!
//! - `location`: checks a path before passing it to DuckDB, and creates files that only their owner can read;
//! - `database`: opens a file, sandboxed from the rest of the machine; `engine`: starts the DuckDB engine for it;
//!   `access`: the settings for each purpose; `lease`: ensures that a file is open at most once per process;
//!   `open_files`: finds files that other libraries have open; `undo`: undoes a checkpoint that was interrupted;
//! - `schema`: looks up tables, views, columns and indexes; `label`: reads the entries of `_metadata`;
//! - `day_counts`: Mixpanel's own counts of the days of a table of events;
//! - `catalog`: lists, describes, samples and drops tables; `own_objects`: the macros and views that loads maintain;
//!   `macros`: the table macros that analyze events;
//! - `statistics`: describes tables, columns, events and their properties;
//! - `query`: runs user queries, which `statements` splits; `query_stop`: stops them; `spill`: what does not fit into
//!   memory; `values`, `iso` and `arrow_types`: convert results;
//! - `export`: writes the result of a query to a Parquet file; `version`: the version of the DuckDB library;
//! - `failure`: maps DuckDB's messages to error kinds; `table_name` and `sql_text`: quote names and text for SQL.

pub(crate) mod access;
mod arrow_types;
pub(crate) mod catalog;
pub(crate) mod database;
mod day_counts;
mod engine;
pub(crate) mod export;
pub(crate) mod failure;
mod iso;
pub(crate) mod label;
mod lease;
pub(crate) mod location;
pub(crate) mod macros;
pub(crate) mod open_files;
pub(crate) mod own_objects;
mod query;
mod query_stop;
pub(crate) mod schema;
pub(crate) mod settings;
mod spill;
pub(crate) mod sql_text;
mod statements;
pub(crate) mod statistics;
pub(crate) mod table_name;
mod undo;
mod values;
mod version;

pub(crate) use catalog::{drop_tables, objects, sample, sample_exact, table_schema, tables};
pub(crate) use database::repair;
pub(crate) use day_counts::{DayCount, day_counts, record_day_counts};
pub(crate) use engine::Engine;
pub(crate) use lease::TURN;
pub(crate) use query::{QueryLimits, batches, check, each, exact, result_count, rows, scalar};
pub use query_stop::QueryStop;
pub(crate) use table_name::TableName;
pub(crate) use undo::check_name as check_undo_name;
pub(crate) use version::duckdb_version;
