//! The staged slices of a load, as described by their footers.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use jiff::ToSpan as _;
use jiff::civil::Date;
use parquet::file::metadata::{KeyValue, ParquetMetaDataReader};

use super::super::catalogs::Catalogs;
use super::super::staged::unreadable;
use crate::error::Result;
use crate::load::package::DayChange;
use crate::load::run_record::EventLoad;
use crate::parse::{CATALOG_KEY, Catalog, EVENT_CATALOGS_KEY, EventCatalogs};
use crate::slice::{DayFacts, Slice};

/// A staged slice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::load::duckdb) struct StagedSlice {
    pub(super) path: PathBuf,
    /// What was requested.
    pub(super) slice: Slice,
    pub(super) rows: u64,
    /// The rows of each day, also of days that were not requested.
    pub(super) days: Vec<DayFacts>,
    without_insert_id: u64,
    without_distinct_id: u64,
    outside: u64,
    repeated_hour: u64,
    skipped_hour: u64,
    /// The size of the decoded response, in bytes.
    bytes: u64,
}

impl StagedSlice {
    /// Reads the footers of slices, in the order of their part numbers.
    ///
    /// # Errors
    /// `Storage`, with the slice that cannot be read.
    pub(in crate::load::duckdb) fn look(paths: &[PathBuf]) -> Result<Vec<Self>> {
        paths.iter().map(|path| Self::look_at(path)).collect()
    }

    fn look_at(path: &Path) -> Result<Self> {
        let footer = Footer::read(path)?;
        let number = |key: &str| footer.text(key).and_then(|text| text.parse().ok()).unwrap_or(0);
        let slice = footer.text("slice").and_then(|text| serde_json::from_str(text).ok());
        let days = footer.text("days").and_then(|text| serde_json::from_str::<Vec<DayFacts>>(text).ok());
        let (Some(slice), Some(days)) = (slice, days) else { return Err(unreadable(path)) };
        if days.iter().map(|day| day.rows).sum::<u64>() != footer.rows {
            return Err(unreadable(path));
        }
        Ok(Self {
            path: path.to_owned(),
            slice,
            rows: footer.rows,
            days,
            without_insert_id: number("without_insert_id"),
            without_distinct_id: number("without_distinct_id"),
            outside: number("outside"),
            repeated_hour: number("repeated_hour"),
            skipped_hour: number("skipped_hour"),
            bytes: number("bytes"),
        })
    }

    /// Returns whether insert ids of the slice were generated.
    pub(super) fn has_generated_ids(&self) -> bool {
        self.without_insert_id > 0
    }

    /// Returns the catalogs recorded in the slices. `None` if one of them lacks its catalogs, or those of some event
    /// names.
    ///
    /// # Errors
    /// `Storage`, with the slice that cannot be read.
    pub(super) fn catalogs(slices: &[Self]) -> Result<Option<Catalogs>> {
        let mut sum = Catalogs::default();
        for slice in slices {
            let footer = Footer::read(&slice.path)?;
            let all = footer.text(CATALOG_KEY).and_then(Catalog::read);
            let by_event = footer.text(EVENT_CATALOGS_KEY).and_then(EventCatalogs::read);
            let (Some(all), Some(by_event)) = (all, by_event) else { return Ok(None) };
            if all.profiles != slice.rows || !sum.add_slice(&all, by_event) {
                return Ok(None);
            }
        }
        Ok(Some(sum))
    }
}

/// The metadata of a staged file.
struct Footer {
    rows: u64,
    facts: Vec<KeyValue>,
}

impl Footer {
    fn read(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|error| unreadable(path).with_source(error))?;
        let metadata = ParquetMetaDataReader::new()
            .parse_and_finish(&file)
            .map_err(|error| unreadable(path).with_source(error))?;
        let metadata = metadata.file_metadata();
        let rows = u64::try_from(metadata.num_rows()).map_err(|_| unreadable(path))?;
        Ok(Self { rows, facts: metadata.key_value_metadata().cloned().unwrap_or_default() })
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.facts.iter().find(|fact| fact.key == key)?.value.as_deref()
    }
}

/// Returns the requested days.
pub(super) fn requested_days(slices: &[StagedSlice]) -> BTreeSet<Date> {
    let mut days = BTreeSet::new();
    for StagedSlice { slice, .. } in slices {
        days.extend(slice.from.series(1.day()).take_while(|day| *day <= slice.to));
    }
    days
}

/// Returns the requested days of which no slice is missing.
pub(super) fn covered_days(slices: &[StagedSlice], load: &EventLoad) -> BTreeSet<Date> {
    let mut days = requested_days(slices);
    days.retain(|day| !load.is_failed(*day));
    days
}

/// Adds up what the slices say about their rows.
pub(in crate::load::duckdb) fn change_of_slices(slices: &[StagedSlice]) -> DayChange {
    let mut change = DayChange::default();
    for slice in slices {
        change.without_insert_id += slice.without_insert_id;
        change.without_distinct_id += slice.without_distinct_id;
        change.outside += slice.outside;
        change.repeated_hour += slice.repeated_hour;
        change.skipped_hour += slice.skipped_hour;
        change.bytes += slice.bytes;
    }
    change
}
