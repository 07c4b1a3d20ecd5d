//! Loads a finished stage into its destination, currently a table in a DuckDB database.

mod duckdb;
mod package;
mod run_record;

pub(crate) use self::duckdb::{
    Checked, Found, LastLoad, LoadOptions, LoadRequest, LoadStop, OnLockWait, Seen, catalog_of_pages, examine, exists,
    is_loaded, last_load, load, look, maker, preflight, recreated_by_another_run, rules_of_table, start_in_advance,
    table_query, verify,
};
pub(crate) use self::duckdb::{DayState, LastEventLoad, RecordedDay, last_event_load};
pub(crate) use package::DayChange;
pub(crate) use package::{Announced, LoadKind, LoadPackage, LoadReport, TableChange};
pub(crate) use run_record::EventLoad;
pub(crate) use run_record::{RunQuery, RunRecord};
