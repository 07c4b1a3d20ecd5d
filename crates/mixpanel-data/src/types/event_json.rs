//! The JSON form of the results of a fetch of events.

use std::path::Path;

use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};

use super::event_counts::EventCounts;
use super::loaded_table::{LoadedTable, as_text};
use crate::counts::FetchCounts;

/// The JSON fields of both results.
#[derive(Serialize)]
pub(super) struct EventFields<'a> {
    pub(super) table: &'a str,
    pub(super) rows: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) total_rows: Option<u64>,
    #[serde(rename = "type")]
    pub(super) kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) successful_batches: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) failed_batches: Option<u32>,
    pub(super) failed_date_ranges: &'a [(String, String)],
    pub(super) date_range: Option<&'a (String, String)>,
    pub(super) duration_seconds: f64,
    pub(super) fetched_at: &'a str,
    #[serde(flatten)]
    pub(super) counts: Counts<'a>,
    #[serde(flatten)]
    pub(super) events: &'a EventCounts,
    pub(super) run_id: &'a str,
    #[serde(flatten, serialize_with = "loaded_fields")]
    pub(super) loaded: &'a LoadedTable,
}

/// The counters that a fetch of events shares with one of profiles: the others depend on pages and sessions.
pub(super) struct Counts<'a>(pub(super) &'a FetchCounts);

impl Serialize for Counts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let FetchCounts { limit, received, duplicates, rejected, requests, retries, waited_seconds, .. } = self.0;
        let mut fields = serializer.serialize_struct("Counts", 7)?;
        match limit {
            Some(limit) => fields.serialize_field("limit", limit)?,
            None => fields.skip_field("limit")?,
        }
        fields.serialize_field("received", received)?;
        fields.serialize_field("duplicates", duplicates)?;
        fields.serialize_field("rejected", rejected)?;
        fields.serialize_field("requests", requests)?;
        fields.serialize_field("retries", retries)?;
        fields.serialize_field("waited_seconds", waited_seconds)?;
        fields.end()
    }
}

fn loaded_fields<S: Serializer>(loaded: &LoadedTable, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Fields<'a> {
        #[serde(serialize_with = "as_text")]
        database: &'a Path,
        table_rows: u64,
        updated_rows: Option<u64>,
        unchanged_rows: Option<u64>,
        run_waited_seconds: f64,
    }
    Fields {
        database: &loaded.database,
        table_rows: loaded.table_rows,
        updated_rows: loaded.updated_rows,
        unchanged_rows: loaded.unchanged_rows,
        run_waited_seconds: loaded.run_waited_seconds,
    }
    .serialize(serializer)
}
