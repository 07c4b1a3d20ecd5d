//! Loads a finished stage into its destination, currently a table in a DuckDB database.

mod duckdb;
mod package;
mod run_record;

pub(crate) use self::duckdb::{
    Base, Checked, Found, LastLoad, LoadOptions, LoadRequest, LoadStop, LoadsAfter, OnLockWait, RecordedLoad, Seen,
    catalog_of_pages, examine, exists, is_loaded, last_load, load, loads_after, look, maker, preflight,
    recreated_by_another_run, rules_of_table, start_in_advance, table_query, verify,
};
pub(crate) use self::duckdb::{DayState, LastEventLoad, RecordedDay, fetched_days, last_event_load};
pub(crate) use package::DayChange;
pub(crate) use package::{Announced, LoadKind, LoadPackage, LoadReport, TableChange};
pub(crate) use run_record::EventLoad;
pub(crate) use run_record::{RunQuery, RunRecord};
