//! Loads datasets whose rows with the same key are on one day, such as events: one batch of days after another.
//!
//! - `slices`: the staged slices, as described by their footers; `batches`: groups them by days;
//! - `source`: the SQL that reads the rows of a batch;
//! - `duplicates`: finds the rows of a batch that another one supersedes, and numbers those with equal generated ids;
//! - `known`: finds the rows of the table with the same key; `keyed`: the same for a table with a primary key; `compare`:
//!   which of two rows stays;
//! - `replaced`: removes the rows of days that are replaced;
//! - `insert`: reads one batch after another into a table; `merge`: does so for a table that already has rows;
//! - `recorded`: the table `_days`.

mod batches;
mod compare;
mod duplicates;
mod existing;
mod insert;
mod keyed;
mod known;
mod merge;
mod recorded;
mod replaced;
mod slices;
mod source;

pub(super) use insert::{Gone, fill};
pub(super) use merge::{catalogs_of, merge};
pub(crate) use recorded::{DayState, LastEventLoad, RecordedDay, fetched_days, last_event_load};
pub(super) use recorded::{EarlierDays, change_of, check_file_system, last_event_load_in, record, recorded_queries};
pub(super) use slices::{StagedSlice, change_of_slices};

#[cfg(test)]
mod keyed_tests;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod received_tests;
#[cfg(test)]
mod records_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
