//! Stages and loads of events for the tests.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use duckdb::Connection;
use jiff::civil::{Date, date};
use parquet::file::metadata::KeyValue;
use tempfile::TempDir;

use crate::counts::FetchCounts;
use crate::dataset::EVENTS;
use crate::error::Result;
use crate::event_query::{Dedupe, EventQuery};
use crate::load::duckdb::load::load;
use crate::load::duckdb::request::{LoadOptions, LoadRequest};
use crate::load::duckdb::testing::{execute, options, texts, write_parquet_with};
use crate::load::package::{LoadKind, LoadPackage, LoadReport, TableChange};
use crate::load::run_record::{EventLoad, RunQuery, RunRecord};
use crate::parse::{CATALOG_KEY, Collector, EVENT_CATALOGS_KEY, EventCatalogs};
use crate::profile_query::IfExists;
use crate::project_time_zone::ProjectTimeZone;
use crate::row_sum::{RowSum, SUM_KEY};
use crate::slice::{DayFacts, Slice};
use crate::store::table_name::TableName;

/// A staged event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) name: String,
    /// Microseconds since 1970.
    pub(super) time: i64,
    pub(super) distinct_id: String,
    pub(super) insert_id: String,
    pub(super) properties: String,
    pub(super) ingested: Option<i64>,
    pub(super) day: Date,
}

impl Event {
    /// Returns an event at this hour of a day in January 2026, in UTC.
    pub(super) fn new(name: &str, day: i8, hour: i64, insert_id: &str) -> Self {
        let day = date(2026, 1, day);
        let start = ProjectTimeZone::utc().day_start_utc(day).as_microsecond();
        Self {
            name: name.to_owned(),
            time: start + hour * 3_600_000_000,
            distinct_id: "u".to_owned(),
            insert_id: insert_id.to_owned(),
            properties: "{}".to_owned(),
            ingested: None,
            day,
        }
    }

    pub(super) fn with(mut self, properties: &str, ingested: impl Into<Option<i64>>) -> Self {
        self.properties = properties.to_owned();
        self.ingested = ingested.into();
        self
    }

    pub(super) fn is_generated(&self) -> bool {
        self.insert_id.len() == 36 && self.insert_id.starts_with("gen-")
    }
}

/// A database and a stage.
pub(super) struct Fixture {
    _directory: TempDir,
    pub(super) database: PathBuf,
    pub(super) stage: PathBuf,
    pub(super) pages: Vec<PathBuf>,
    pub(super) previous: Vec<PathBuf>,
    pub(super) load: EventLoad,
    pub(super) failed: Vec<u32>,
    pub(super) started_at: jiff::Timestamp,
    pub(super) rejects: Vec<PathBuf>,
    pub(super) rejected: u64,
    pub(super) received: u64,
    files: usize,
    /// Distinguishes the loads of a run.
    loads: usize,
}

impl Fixture {
    pub(super) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (database, stage) = (directory.path().join("events.db"), directory.path().join("stage"));
        std::fs::create_dir_all(&stage).unwrap();
        let query = EventQuery {
            from: date(2026, 1, 1),
            to: date(2026, 1, 31),
            events: Vec::new(),
            filter: None,
            limit: None,
            timezone: ProjectTimeZone::utc(),
            dedupe: Dedupe::Exact,
        };
        let load = EventLoad { query, refresh_days: 5, replaced_days: None, failed_days: Vec::new() };
        Self {
            _directory: directory,
            database,
            stage,
            pages: Vec::new(),
            previous: Vec::new(),
            load,
            failed: Vec::new(),
            started_at: "2026-02-10T00:00:00Z".parse().unwrap(),
            rejects: Vec::new(),
            rejected: 0,
            received: 0,
            files: 0,
            loads: 0,
        }
    }

    /// Stages a slice of days in January 2026.
    pub(super) fn slice(&mut self, from: i8, to: i8, events: &[Event]) -> &mut Self {
        let slice = Slice { from: date(2026, 1, from), to: date(2026, 1, to), events: Vec::new() };
        self.slice_of(slice, events)
    }

    pub(super) fn slice_of(&mut self, slice: Slice, events: &[Event]) -> &mut Self {
        let path = self.stage.join(format!("page-{:06}.parquet", self.files));
        let texts =
            |of: fn(&Event) -> &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(events.iter().map(of))) };
        let columns: [(&str, ArrayRef, bool); 7] = [
            ("event_name", texts(|event| &event.name), false),
            (
                "event_time",
                Arc::new(TimestampMicrosecondArray::from_iter_values(events.iter().map(|event| event.time))),
                false,
            ),
            ("distinct_id", texts(|event| &event.distinct_id), false),
            ("insert_id", texts(|event| &event.insert_id), false),
            ("properties", texts(|event| &event.properties), false),
            ("_ingested", Arc::new(Int64Array::from_iter(events.iter().map(|event| event.ingested))), true),
            (
                "_day",
                Arc::new(Date32Array::from_iter_values(
                    events.iter().map(|event| date(1970, 1, 1).until(event.day).unwrap().get_days()),
                )),
                false,
            ),
        ];
        let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
        let mut days: BTreeMap<Date, (u64, u64)> = BTreeMap::new();
        let mut collectors: BTreeMap<String, Collector> = BTreeMap::new();
        for event in events {
            let (rows, bytes) = days.entry(event.day).or_default();
            (*rows, *bytes) = (*rows + 1, *bytes + event.properties.len() as u64 + 100);
            collectors.entry(event.name.clone()).or_insert_with(Collector::new).profile(&event.properties);
        }
        let days: Vec<DayFacts> = days.into_iter().map(|(day, (rows, bytes))| DayFacts { day, rows, bytes }).collect();
        let catalogs =
            EventCatalogs(collectors.into_iter().map(|(name, collector)| (Some(name), collector.finish())).collect());
        let fact = |key: &str, value: String| KeyValue::new(key.to_owned(), value);
        let facts = vec![
            fact("page", self.files.to_string()),
            fact("rows", events.len().to_string()),
            fact("rejected", "0".to_owned()),
            fact(SUM_KEY, RowSum::of_batch(&EVENTS, &batch).unwrap().to_text()),
            fact("slice", serde_json::to_string(&slice).unwrap()),
            fact("bytes", days.iter().map(|day| day.bytes).sum::<u64>().to_string()),
            fact("days", serde_json::to_string(&days).unwrap()),
            fact("without_insert_id", events.iter().filter(|event| event.is_generated()).count().to_string()),
            fact("outside", events.iter().filter(|event| !slice.contains(event.day)).count().to_string()),
            fact(CATALOG_KEY, catalogs.total().to_text()),
            fact(EVENT_CATALOGS_KEY, catalogs.to_text()),
        ];
        write_parquet_with(&path, &batch, facts);
        self.pages.push(path);
        self.received += events.len() as u64;
        self.files += 1;
        self
    }

    /// Prepares another run.
    pub(super) fn restage(&mut self) -> &mut Self {
        self.pages.clear();
        self.previous.clear();
        self.failed.clear();
        self.received = 0;
        self.load.replaced_days = None;
        self.load.failed_days.clear();
        self
    }

    /// Marks the staged slices as loaded.
    pub(super) fn all_loaded(&mut self) -> &mut Self {
        self.previous.clone_from(&self.pages);
        self
    }

    pub(super) fn request(&mut self, run_id: &str, if_exists: IfExists) -> LoadRequest {
        self.loads += 1;
        let run = RunRecord {
            started_at: self.started_at,
            finished_at: self.started_at,
            query: RunQuery::Events(self.load.clone()),
            counts: FetchCounts { received: self.received, rejected: self.rejected, ..FetchCounts::default() },
            page_count: u32::try_from(self.pages.len()).unwrap(),
            failed_pages: self.failed.clone(),
            ..RunRecord::empty(&EVENTS, run_id, &format!("{run_id}-{}", self.loads))
        };
        LoadRequest {
            database: self.database.clone(),
            package: LoadPackage {
                directory: self.stage.clone(),
                pages: self.pages.clone(),
                rejects: self.rejects.clone(),
                previous: self.previous.clone(),
                kind: if self.previous.is_empty() { LoadKind::First } else { LoadKind::Completing },
                announced: None,
                run,
            },
            options: LoadOptions { allow_empty: true, ..options(TableName::parse("events").unwrap(), if_exists) },
        }
    }

    pub(super) fn load(&mut self, run_id: &str, if_exists: IfExists) -> Result<(LoadReport, TableChange)> {
        load(&self.request(run_id, if_exists), None, &mut |_| ControlFlow::Continue(()))
    }

    pub(super) fn execute(&self, sql: &str) {
        execute(&self.database, sql);
    }

    pub(super) fn texts(&self, sql: &str) -> Vec<String> {
        texts(&self.database, sql)
    }

    /// Returns the rows of the table in their order: name, time, ids and properties.
    pub(super) fn rows(&self) -> Vec<(String, i64, String, String, String)> {
        let connection = Connection::open(&self.database).unwrap();
        let mut query = connection
            .prepare(
                "SELECT event_name, epoch_us(event_time), distinct_id, insert_id, properties::VARCHAR FROM events
                 ORDER BY rowid",
            )
            .unwrap();
        let read = |row: &duckdb::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?));
        query.query_map([], read).unwrap().collect::<Result<_, _>>().unwrap()
    }
}
