//! The DuckDB file: opens it, and lists, queries and drops its tables.
//!
//! A file is open only for the duration of a call.
//!
//! - `location`: checks the path before DuckDB sees it, and creates a new file that only its owner can read;
//! - `database`: opens it with the settings of `settings` and everything else on the machine out of reach; `lease`:
//!   opens it only once in this process;
//! - `schema`: which tables, views, columns and indexes there are; `label`: the entry of a table in `_metadata`;
//! - `catalog`: lists, describes, samples and drops tables;
//! - `query`, and `values` with `iso`: queries, and what DuckDB returns, as JSON;
//! - `failure` turns DuckDB's messages into errors by kind; `table_name` and `sql_text` put names and texts into SQL.

pub(crate) mod catalog;
pub(crate) mod database;
pub(crate) mod failure;
mod iso;
pub(crate) mod label;
mod lease;
pub(crate) mod location;
mod query;
pub(crate) mod schema;
pub(crate) mod settings;
pub(crate) mod sql_text;
pub(crate) mod table_name;
mod values;

pub(crate) use catalog::{drop_tables, sample, table_schema, tables};
pub(crate) use query::{each, rows, scalar};
pub(crate) use table_name::TableName;
