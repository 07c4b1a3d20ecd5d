//! Writes a slice as Parquet while it is received, and reads its metadata back.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;

use crate::error::{Error, Result};
use crate::kill_point::kill_point;
use crate::limits::{EVENT_GROUP_ROWS, STAGED_GROUP_ROWS};
use crate::parse::{CATALOG_KEY, EVENT_CATALOGS_KEY, EVENT_COLUMNS, EventCatalogs, Reject, event_schema};
use crate::row_sum::{RowSum, SUM_KEY};
use crate::slice::SliceFacts;

use super::directory::Stage;
use super::files::{Disposable, NewFile};
use super::names::Content;
#[cfg(test)]
use super::part_file::{damaged, open};
use super::part_file::{fact, properties_for_groups, rejects_batch};

/// Distinguishes the files of several attempts at a part. One that was given up may still be writing.
static ATTEMPTS: AtomicU64 = AtomicU64::new(0);

/// The directory in which slices are written before they are staged.
#[derive(Debug, Clone)]
pub(crate) struct SliceDirectory {
    path: PathBuf,
}

/// A slice that is being written. Dropping it removes its files.
pub(crate) struct SliceWriter {
    part: u32,
    attempt: u64,
    directory: PathBuf,
    rows: ArrowWriter<Disposable>,
    sum: RowSum,
    rejects: Option<ArrowWriter<Disposable>>,
    rejects_sum: RowSum,
}

impl std::fmt::Debug for SliceWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SliceWriter").field("part", &self.part).field("sum", &self.sum).finish_non_exhaustive()
    }
}

/// A slice that is written but not staged. Dropping it removes its files.
#[derive(Debug)]
pub(crate) struct UnfinishedSlice {
    part: u32,
    rows: Disposable,
    rejects: Option<Disposable>,
}

impl SliceWriter {
    /// Begins to write a slice.
    ///
    /// # Errors
    /// `Storage` or `DiskFull`.
    pub(crate) fn create(directory: &SliceDirectory, part: u32) -> Result<Self> {
        let (directory, attempt) = (directory.path.clone(), ATTEMPTS.fetch_add(1, Ordering::Relaxed));
        let file = new_file(&directory, Content::Rows, part, attempt)?;
        let rows = writer(file, event_schema(), EVENT_GROUP_ROWS)?;
        Ok(Self {
            part,
            attempt,
            directory,
            rows,
            sum: RowSum::default(),
            rejects: None,
            rejects_sum: RowSum::default(),
        })
    }

    /// Writes a row group.
    ///
    /// # Errors
    /// `Storage` or `DiskFull`.
    pub(crate) fn write(&mut self, rows: &RecordBatch) -> Result<()> {
        let sum = RowSum::of_columns(&EVENT_COLUMNS, rows);
        self.sum = self.sum.plus(sum.ok_or_else(|| Error::internal("a slice has unexpected columns"))?);
        write_group(&mut self.rows, rows)
    }

    /// Writes rejects.
    ///
    /// # Errors
    /// `Storage` or `DiskFull`.
    pub(crate) fn reject(&mut self, rejects: &[Reject]) -> Result<()> {
        if rejects.is_empty() {
            return Ok(());
        }
        let batch = rejects_batch(self.part, rejects);
        self.rejects_sum = self.rejects_sum.plus(RowSum::of_rejects(self.part, rejects));
        let rejects = match &mut self.rejects {
            Some(rejects) => rejects,
            none => {
                let file = new_file(&self.directory, Content::Rejects, self.part, self.attempt)?;
                none.insert(writer(file, batch.schema(), STAGED_GROUP_ROWS)?)
            }
        };
        write_group(rejects, &batch)
    }

    /// Completes the files and writes them to disk. The slice is not staged yet.
    ///
    /// # Errors
    /// `Storage` or `DiskFull`.
    pub(crate) fn finish(mut self, facts: &SliceFacts, catalogs: &EventCatalogs) -> Result<UnfinishedSlice> {
        for (key, value) in pairs(facts) {
            self.rows.append_key_value_metadata(fact(key, value));
        }
        for (key, value) in [
            ("fingerprint", "0".to_owned()),
            (SUM_KEY, self.sum.to_text()),
            (CATALOG_KEY, catalogs.total().to_text()),
            (EVENT_CATALOGS_KEY, catalogs.to_text()),
        ] {
            self.rows.append_key_value_metadata(fact(key, value));
        }
        if let Some(rejects) = &mut self.rejects {
            rejects.append_key_value_metadata(fact(SUM_KEY, self.rejects_sum.to_text()));
        }
        let rejects = self.rejects.map(close).transpose()?;
        Ok(UnfinishedSlice { part: self.part, rows: close(self.rows)?, rejects })
    }
}

impl UnfinishedSlice {
    /// Returns the number of the part.
    #[cfg(test)]
    pub(crate) fn part(&self) -> u32 {
        self.part
    }
}

fn new_file(directory: &Path, content: Content, part: u32, attempt: u64) -> Result<Disposable> {
    let name = content.unfinished_name(part);
    NewFile::create(directory, &format!("{name}.{attempt}")).map(Disposable::new)
}

fn writer(file: Disposable, schema: SchemaRef, group_rows: usize) -> Result<ArrowWriter<Disposable>> {
    let properties = properties_for_groups(group_rows, Vec::new());
    ArrowWriter::try_new(file, schema, Some(properties)).map_err(not_encoded)
}

fn not_encoded(error: ParquetError) -> Error {
    Error::internal("a slice cannot be written as Parquet").with_source(error)
}

/// Writes rows as one row group, so that none is held longer than necessary.
fn write_group(writer: &mut ArrowWriter<Disposable>, rows: &RecordBatch) -> Result<()> {
    let written = writer.write(rows).and_then(|()| writer.flush());
    written.map_err(|error| writer.inner().failure().get().unwrap_or_else(|| not_encoded(error)))
}

/// Writes the footer, and the file to disk.
fn close(writer: ArrowWriter<Disposable>) -> Result<Disposable> {
    let failure = writer.inner().failure();
    let file = writer.into_inner().map_err(|error| failure.get().unwrap_or_else(|| not_encoded(error)))?;
    file.sync()?;
    Ok(file)
}

/// Returns the facts as metadata.
fn pairs(facts: &SliceFacts) -> Vec<(&'static str, String)> {
    let json = |value: serde_json::Result<String>| value.expect("facts are plain data");
    let counts = counts(facts).map(|(key, count)| (key, count.to_string()));
    let mut pairs = vec![
        ("page", facts.part.to_string()),
        ("slice", json(serde_json::to_string(&facts.slice))),
        ("days", json(serde_json::to_string(&facts.days))),
    ];
    pairs.extend(counts);
    pairs
}

fn counts(facts: &SliceFacts) -> [(&'static str, u64); 10] {
    [
        ("rows", facts.rows),
        ("rejected", facts.rejected),
        ("bytes", facts.bytes),
        ("received_bytes", facts.received_bytes),
        ("without_insert_id", facts.without_insert_id),
        ("without_distinct_id", facts.without_distinct_id),
        ("outside", facts.outside),
        ("repeated_hour", facts.repeated_hour),
        ("skipped_hour", facts.skipped_hour),
        ("in_seconds", facts.in_seconds),
    ]
}

/// Reads the facts of a staged slice.
///
/// # Errors
/// `Storage` when the file cannot be read, or is not a slice.
#[cfg(test)]
fn read_slice_facts(path: &Path) -> Result<SliceFacts> {
    let builder = open(path)?;
    let pairs = builder.metadata().file_metadata().key_value_metadata().cloned().unwrap_or_default();
    let text = |key: &str| pairs.iter().find(|pair| pair.key == key)?.value.as_deref();
    let number = |key: &str| text(key)?.parse::<u64>().ok();
    fn json<T: serde::de::DeserializeOwned>(text: Option<&str>) -> Option<T> {
        serde_json::from_str(text?).ok()
    }
    let read = || {
        Some(SliceFacts {
            part: u32::try_from(number("page")?).ok()?,
            slice: json(text("slice"))?,
            rows: number("rows")?,
            rejected: number("rejected")?,
            bytes: number("bytes")?,
            received_bytes: number("received_bytes")?,
            days: json(text("days"))?,
            without_insert_id: number("without_insert_id")?,
            without_distinct_id: number("without_distinct_id")?,
            outside: number("outside")?,
            repeated_hour: number("repeated_hour")?,
            skipped_hour: number("skipped_hour")?,
            in_seconds: number("in_seconds")?,
        })
    };
    read().ok_or_else(|| damaged(path))
}

impl Stage {
    /// Returns the directory in which slices are written.
    pub(crate) fn slice_directory(&self) -> SliceDirectory {
        SliceDirectory { path: self.parts_directory() }
    }

    /// Stages a slice. It is durable when this returns.
    ///
    /// # Errors
    /// `Storage` or `DiskFull`.
    pub(crate) fn commit_slice(&mut self, slice: UnfinishedSlice) -> Result<()> {
        let UnfinishedSlice { part, rows, rejects } = slice;
        let directory = self.parts_directory();
        let rejects = rejects.map(|file| (Content::Rejects, file));
        for (content, file) in rejects.into_iter().chain([(Content::Rows, rows)]) {
            let Some(file) = file.take() else { continue };
            let name = content.name(part, file.checksum());
            file.finish(&name)?;
            self.note_file(part, content, directory.join(name));
        }
        kill_point("page-staged");
        Ok(())
    }

    /// Returns what is known about a staged slice.
    ///
    /// # Errors
    /// `Storage` when its file cannot be read.
    #[cfg(test)]
    pub(crate) fn slice_facts(&self, part: u32) -> Result<SliceFacts> {
        read_slice_facts(&self.page_path(part))
    }
}

#[cfg(test)]
mod tests;
