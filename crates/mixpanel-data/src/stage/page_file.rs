//! One page as a Parquet file: its rows as columns, and what else is known of it in the file's own metadata.

use std::fs::File;
use std::path::Path;

use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use crate::error::{Error, ErrorKind, Result};
use crate::parse::ProfileRows;
use crate::types::ProfileWriteTask;

/// Writes a page into an open file and returns the file, its bytes handed to the system but not yet on disk.
pub(super) fn write_page(file: File, path: &Path, task: &ProfileWriteTask) -> Result<File> {
    let batch = task.rows.to_record_batch();
    let failed = |error: parquet::errors::ParquetError| write_error(path, error);
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties(task))).map_err(failed)?;
    writer.write(&batch).map_err(failed)?;
    writer.into_inner().map_err(failed)
}

/// Reads the rows of a staged page, in order.
///
/// # Errors
/// `Storage` when the file cannot be read as a page.
pub(crate) fn read_page(path: &Path) -> Result<Vec<ProfileRows>> {
    let file = File::open(path).map_err(|error| Error::io("open", path, error))?;
    let damaged = || Error::new(ErrorKind::Storage, format!("the staged page `{}` is damaged", path.display()));
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| damaged().with_source(error))?;
    let reader = builder.build().map_err(|error| damaged().with_source(error))?;
    reader
        .map(|batch| {
            let batch = batch.map_err(|error| damaged().with_source(error))?;
            ProfileRows::from_record_batch(&batch).ok_or_else(damaged)
        })
        .collect()
}

/// Zstandard at its fastest level: the pages are read once, soon. Nobody asks them for statistics.
fn properties(task: &ProfileWriteTask) -> WriterProperties {
    let fact = |key: &str, value: String| KeyValue::new(key.to_owned(), value);
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_key_value_metadata(Some(vec![
            fact("page", task.page_index.to_string()),
            fact("rows", task.rows.len().to_string()),
            fact("rejected", task.rows.rejects().len().to_string()),
            fact("body_sha256", task.body_sha256.clone()),
        ]))
        .build()
}

/// Parquet hides the I/O error inside its own; a full disk must not be taken for anything else.
fn write_error(path: &Path, error: parquet::errors::ParquetError) -> Error {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(current) = cause {
        if let Some(io) = current.downcast_ref::<std::io::Error>() {
            let copy = io
                .raw_os_error()
                .map_or_else(|| std::io::Error::new(io.kind(), io.to_string()), std::io::Error::from_raw_os_error);
            return Error::io("write the page", path, copy);
        }
        cause = current.source();
    }
    Error::new(ErrorKind::Storage, format!("cannot write the page `{}`", path.display())).with_source(error)
}
