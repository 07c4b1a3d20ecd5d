//! Puts a finished stage into its destination: today, a table of a DuckDB database.

mod duckdb;
mod run_record;

pub(crate) use self::duckdb::{
    Announced, Checked, Found, LastLoad, LoadKind, LoadReport, LoadRequest, LoadStop, OnLockWait, Seen, is_loaded,
    last_load, load, look, made_by_another, maker, preflight, verify,
};
pub(crate) use run_record::RunRecord;
