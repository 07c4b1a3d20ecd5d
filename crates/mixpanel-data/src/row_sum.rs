//! The checksum of a set of rows: their number, and the sum of their hashes. Two sets with the same checksum contain
//! the same rows, in any order.
//!
//! The hash is that of DuckDB's function `hash`, computed here without DuckDB, so that received rows can be compared
//! with what DuckDB returns, without trusting any step in between. It detects damage and defects, not deliberate
//! forgery.
//!
//! Source: `src/common/types/hash.cpp` and `vector_hash.cpp` of DuckDB 1.5.5. `load::duckdb::digest` implements the
//! same checksum in SQL, and its tests compare the two.

#[cfg(test)]
mod tests;

use std::path::Path;

use arrow::array::{Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::dataset::Dataset;
use crate::error::{Error, ErrorKind, Result};
use crate::parse::Reject;

/// Key of the sum in the metadata of a staged file.
pub(crate) const SUM_KEY: &str = "row_sum";

/// Prefix of a recorded sum, which identifies the hash function.
const PREFIX: &str = "duckdb-hash-1:";

const MULTIPLIER: u64 = 0xd6e8_feb8_6659_fd93;
const NULL: u64 = 0xbf58_476d_1ce4_e5b9;

/// The number of rows and the sum of their hashes. Cannot overflow with fewer than 2^64 rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct RowSum {
    pub(crate) rows: u64,
    pub(crate) hashes: u128,
}

impl RowSum {
    /// Returns the sum of the rows in a batch. `None` if it does not have the columns of the dataset.
    pub(crate) fn of_batch(dataset: &Dataset, rows: &RecordBatch) -> Option<Self> {
        let names: Vec<&str> = dataset.columns.iter().map(|column| column.name).collect();
        Self::of_columns(&names, rows)
    }

    /// Returns the sum of these columns of the rows in a batch. `None` if it does not have them.
    pub(crate) fn of_columns(columns: &[&str], rows: &RecordBatch) -> Option<Self> {
        Some(hash_rows(rows, columns)?.into_iter().collect())
    }

    /// Returns the sum of the rejects of a page.
    pub(crate) fn of_rejects(page: u32, rejects: &[Reject]) -> Self {
        let page = text(&page.to_string());
        let hash = |reject: &Reject| {
            let place = combine(page, text(&reject.position.to_string()));
            combine(combine(place, text(&reject.reason)), text(&reject.raw))
        };
        rejects.iter().map(hash).collect()
    }

    /// Adds the rows of `other`.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self { rows: self.rows.wrapping_add(other.rows), hashes: self.hashes.wrapping_add(other.hashes) }
    }

    /// Subtracts the rows of `other`. If they were not among the summed rows, the result is meaningless.
    pub(crate) fn minus(self, other: Self) -> Self {
        Self { rows: self.rows.wrapping_sub(other.rows), hashes: self.hashes.wrapping_sub(other.hashes) }
    }

    /// Returns the text that is recorded in a staged file. The number of rows is in the file itself.
    pub(crate) fn to_text(self) -> String {
        format!("{PREFIX}{:032x}", self.hashes)
    }

    /// Parses the text recorded in a staged file of `rows` rows. `None` if it
    /// is malformed or was recorded with another hash function.
    pub(crate) fn read(rows: u64, text: &str) -> Option<Self> {
        let hashes = u128::from_str_radix(text.strip_prefix(PREFIX)?, 16).ok()?;
        Some(Self { rows, hashes })
    }

    /// Reads the rows of a staged file without DuckDB and returns their sum.
    ///
    /// # Errors
    /// `Storage` when the file cannot be read as rows of the dataset.
    pub(crate) fn of_file(dataset: &Dataset, path: &Path) -> Result<Self> {
        let names: Vec<&str> = dataset.columns.iter().map(|column| column.name).collect();
        let add = |sum: Self, hashes: Result<Vec<u64>>| Ok(sum.plus(hashes?.into_iter().collect()));
        hashes_of_file(path, &names)?.try_fold(Self::default(), add)
    }
}

/// Reads a staged file, about a thousand rows at a time, and returns a hash of `columns` for each row.
///
/// # Errors
/// `Storage` when the file cannot be read, or does not have these columns.
pub(crate) fn hashes_of_file(path: &Path, columns: &[&str]) -> Result<impl Iterator<Item = Result<Vec<u64>>>> {
    let unreadable = move || {
        Error::new(ErrorKind::Storage, format!("the staged file `{}` cannot be read", path.display())).with_path(path)
    };
    let file = std::fs::File::open(path).map_err(|error| unreadable().with_source(error))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .and_then(ParquetRecordBatchReaderBuilder::build)
        .map_err(|error| unreadable().with_source(error))?;
    Ok(reader.map(move |batch| {
        let batch = batch.map_err(|error| unreadable().with_source(error))?;
        hash_rows(&batch, columns).ok_or_else(unreadable)
    }))
}

/// Hashes `columns` in each row. `None` if one is missing or has a type that no dataset uses.
fn hash_rows(rows: &RecordBatch, columns: &[&str]) -> Option<Vec<u64>> {
    let mut hashes: Option<Vec<u64>> = None;
    for name in columns {
        let column = hash_column(rows.column_by_name(name)?)?;
        hashes = Some(match hashes {
            None => column,
            Some(hashes) => hashes.into_iter().zip(column).map(|(hash, column)| combine(hash, column)).collect(),
        });
    }
    hashes
}

fn hash_column(column: &dyn Array) -> Option<Vec<u64>> {
    if let Some(texts) = column.as_any().downcast_ref::<StringArray>() {
        return Some(texts.iter().map(|value| value.map_or(NULL, text)).collect());
    }
    let times = column.as_any().downcast_ref::<TimestampMicrosecondArray>()?;
    Some(times.iter().map(|value| value.map_or(NULL, |micros| mix(micros.cast_unsigned()))).collect())
}

impl FromIterator<u64> for RowSum {
    fn from_iter<I: IntoIterator<Item = u64>>(hashes: I) -> Self {
        let add = |sum: Self, hash: u64| sum.plus(Self { rows: 1, hashes: u128::from(hash) });
        hashes.into_iter().fold(Self::default(), add)
    }
}

/// Hashes a 64-bit number: `MurmurHash64` in DuckDB.
fn mix(value: u64) -> u64 {
    let step = |value: u64| (value ^ (value >> 32)).wrapping_mul(MULTIPLIER);
    let value = step(step(value));
    value ^ (value >> 32)
}

/// Hashes a text: `HashBytes` in DuckDB.
fn text(text: &str) -> u64 {
    let bytes = text.as_bytes();
    let mut hash = 0xe17a_1465 ^ (bytes.len() as u64).wrapping_mul(0xc6a4_a793_5bd1_e995);
    let (blocks, rest) = bytes.as_chunks::<8>();
    for block in blocks {
        hash = (hash ^ u64::from_le_bytes(*block)).wrapping_mul(MULTIPLIER);
    }
    if !rest.is_empty() {
        let mut block = [0; 8];
        block[..rest.len()].copy_from_slice(rest);
        hash = (hash ^ u64::from_le_bytes(block)).wrapping_mul(MULTIPLIER);
    }
    mix(hash)
}

/// Combines the hash of a row so far with that of one more column: `CombineHashScalar` in DuckDB.
fn combine(hash: u64, column: u64) -> u64 {
    (hash ^ (hash >> 32)).wrapping_mul(MULTIPLIER) ^ column
}
