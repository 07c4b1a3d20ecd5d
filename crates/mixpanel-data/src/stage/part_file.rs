//! Reads and writes a part as Parquet files. The file metadata holds the part number, the counts, the catalog of the
//! properties, and the sum of the rows, which the load compares with the rows that it inserted. Rejects are in a
//! separate file, so that DuckDB can read them too.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use crate::dataset::Dataset;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{STAGED_GROUP_BYTES, STAGED_GROUP_ROWS};
use crate::parse::{CATALOG_KEY, Catalog, Reject};
use crate::row_sum::{RowSum, SUM_KEY};

use super::files::NewFile;

/// A part to stage.
#[derive(Debug, Clone)]
pub(crate) struct Part<'a> {
    /// The page number.
    pub(crate) number: u32,
    pub(crate) dataset: &'static Dataset,
    /// The rows, with the columns of the dataset.
    pub(crate) rows: RecordBatch,
    /// The records that cannot become rows.
    pub(crate) rejects: &'a [Reject],
    /// A fingerprint by which a fetch recognizes pages with the same records.
    pub(crate) fingerprint: u64,
    /// The catalog of the rows' properties.
    pub(crate) catalog: &'a Catalog,
}

/// A page on disk, as described by its own metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StagedPage {
    pub(crate) page: u32,
    pub(crate) rows: u64,
    pub(crate) rejected: u64,
    /// The fingerprint of its record ids; `None` for pages written by older versions.
    pub(crate) fingerprint: Option<u64>,
}

/// Writes a part's rows as Parquet, one row group at a time.
pub(super) fn write_rows(file: &mut NewFile, part: &Part<'_>) -> Result<()> {
    let sum = RowSum::of_batch(part.dataset, &part.rows)
        .ok_or_else(|| Error::internal(format!("a page of {} has unexpected columns", part.dataset.kind)))?;
    let facts = vec![
        fact("page", part.number.to_string()),
        fact("rows", part.rows.num_rows().to_string()),
        fact("rejected", part.rejects.len().to_string()),
        fact("fingerprint", part.fingerprint.to_string()),
        fact(SUM_KEY, sum.to_text()),
        fact(CATALOG_KEY, part.catalog.to_text()),
    ];
    write_batch(file, &part.rows, facts)
}

/// Writes a part's rejects as Parquet.
pub(super) fn write_rejects(file: &mut NewFile, part: &Part<'_>) -> Result<()> {
    let batch = rejects_batch(part.number, part.rejects);
    write_batch(file, &batch, vec![fact(SUM_KEY, RowSum::of_rejects(part.number, part.rejects).to_text())])
}

/// Returns the rejects of a part as the columns of their file.
pub(super) fn rejects_batch(part: u32, rejects: &[Reject]) -> RecordBatch {
    let number = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
    let text =
        |read: fn(&Reject) -> &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(rejects.iter().map(read))) };
    let pages: ArrayRef = Arc::new(Int32Array::from_value(number(part), rejects.len()));
    let positions: ArrayRef =
        Arc::new(Int32Array::from_iter_values(rejects.iter().map(|reject| number(reject.position))));
    RecordBatch::try_from_iter([
        ("page", pages),
        ("position", positions),
        ("reason", text(|reject| &reject.reason)),
        ("raw", text(|reject| &reject.raw)),
    ])
    .expect("the columns have one length")
}

pub(super) fn fact(key: &str, value: String) -> KeyValue {
    KeyValue::new(key.to_owned(), value)
}

fn write_batch(file: &mut NewFile, batch: &RecordBatch, facts: Vec<KeyValue>) -> Result<()> {
    let write = |file: &mut NewFile| {
        let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties(batch, facts)))?;
        writer.write(batch)?;
        writer.into_inner().map(drop)
    };
    let written: Result<(), ParquetError> = write(&mut *file);
    written.map_err(|error| {
        let failed = || Error::internal("a page cannot be written as Parquet").with_source(error);
        file.failure().unwrap_or_else(failed)
    })
}

/// Reads the rows of a staged part, in order.
///
/// # Errors
/// `Storage` when the file cannot be read.
pub(crate) fn read_part(path: &Path) -> Result<Vec<RecordBatch>> {
    part_batches(path)?.collect()
}

/// Reads the rows of a staged part batch by batch, in order. Only one batch is in memory.
///
/// # Errors
/// `Storage` when the file cannot be read.
pub(crate) fn part_batches(path: &Path) -> Result<impl Iterator<Item = Result<RecordBatch>>> {
    let reader = open(path)?.build().map_err(|error| damaged(path).with_source(error))?;
    Ok(reader.map(|batch| batch.map_err(|error| damaged(path).with_source(error))))
}

/// Reads the metadata of a staged page. A readable footer shows that the file is complete.
///
/// # Errors
/// `Storage` when the file is not a complete page, or its metadata contains another page number.
pub(super) fn read_facts(path: &Path, page: u32) -> Result<StagedPage> {
    let builder = open(path)?;
    let metadata = builder.metadata().file_metadata();
    let fact = |key: &str| -> Option<u64> {
        let pairs = metadata.key_value_metadata()?;
        pairs.iter().find(|pair| pair.key == key)?.value.as_ref()?.parse().ok()
    };
    let (found, rows, rejected) = (fact("page"), fact("rows"), fact("rejected"));
    match (found, rows, rejected) {
        (Some(found), Some(rows), Some(rejected))
            if found == u64::from(page) && u64::try_from(metadata.num_rows()) == Ok(rows) =>
        {
            Ok(StagedPage { page, rows, rejected, fingerprint: fact("fingerprint") })
        }
        _ => Err(damaged(path)),
    }
}

pub(super) fn open(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>> {
    let file = File::open(path).map_err(|error| Error::io("open", path, error))?;
    ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| damaged(path).with_source(error))
}

/// Returns the error for a staged part whose contents differ from what was written.
pub(crate) fn damaged(path: &Path) -> Error {
    Error::new(ErrorKind::Storage, format!("the staged page `{}` is damaged", path.display()))
}

/// Returns the writer properties of a page: LZ4, because pages are read once and soon (decision 0008), and no
/// statistics, because no reader uses them.
pub(crate) fn properties(batch: &RecordBatch, facts: Vec<KeyValue>) -> WriterProperties {
    let row_bytes = batch.get_array_memory_size() / batch.num_rows().max(1);
    let group_rows = (STAGED_GROUP_BYTES / row_bytes.max(1)).clamp(1, STAGED_GROUP_ROWS);
    properties_for_groups(group_rows, facts)
}

/// Returns the writer properties of a part whose row groups have up to this number of rows.
pub(super) fn properties_for_groups(group_rows: usize, facts: Vec<KeyValue>) -> WriterProperties {
    WriterProperties::builder()
        .set_compression(Compression::LZ4_RAW)
        .set_dictionary_enabled(false)
        .set_max_row_group_row_count(Some(group_rows))
        .set_statistics_enabled(EnabledStatistics::None)
        .set_key_value_metadata((!facts.is_empty()).then_some(facts))
        .build()
}
