//! What rows come to: how many they are, and the sum of a hash of each. Two sets of rows with one sum are the same rows,
//! whatever their order.
//!
//! The hash is the one that DuckDB's function `hash` computes, computed here without DuckDB. So what was received can be
//! compared with what DuckDB hands back, and no step between the two is trusted. It finds damage and defects, not
//! somebody who means to deceive.
//!
//! Source: `src/common/types/hash.cpp` and `vector_hash.cpp` of DuckDB 1.5.5. `store::digest` has the same in SQL, and
//! its tests compare the two.

#[cfg(test)]
mod tests;

use std::path::Path;

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::error::{Error, ErrorKind, Result};
use crate::parse::{ProfileRows, Reject};

/// The key of the sum in the metadata of a staged file.
pub(crate) const SUM_KEY: &str = "row_sum";

/// Stands before a recorded sum; another hash has another name.
const PREFIX: &str = "duckdb-hash-1:";

const MULTIPLIER: u64 = 0xd6e8_feb8_6659_fd93;
const NULL: u64 = 0xbf58_476d_1ce4_e5b9;

/// Rows and the sum of their hashes. 2^64 rows fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct RowSum {
    pub(crate) rows: u64,
    pub(crate) hashes: u128,
}

impl RowSum {
    /// Returns the sum of the rows of a page.
    pub(crate) fn of_profiles(rows: &ProfileRows) -> Self {
        let hash = |row: crate::parse::ProfileRow<'_>| {
            let seen = row.last_seen.map_or(NULL, |micros| mix(micros.cast_unsigned()));
            combine(combine(text(row.distinct_id), text(row.properties)), seen)
        };
        rows.iter().map(hash).collect()
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

    /// Adds rows.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self { rows: self.rows.wrapping_add(other.rows), hashes: self.hashes.wrapping_add(other.hashes) }
    }

    /// Takes rows away. If they were not among the summed ones, neither is the result the sum of anything.
    pub(crate) fn minus(self, other: Self) -> Self {
        Self { rows: self.rows.wrapping_sub(other.rows), hashes: self.hashes.wrapping_sub(other.hashes) }
    }

    /// Returns what is recorded in a staged file. How many rows it has, the file itself says.
    pub(crate) fn to_text(self) -> String {
        format!("{PREFIX}{:032x}", self.hashes)
    }

    /// Reads what is recorded in a staged file of `rows` rows. `None` if it is of another hash.
    pub(crate) fn read(rows: u64, text: &str) -> Option<Self> {
        let hashes = u128::from_str_radix(text.strip_prefix(PREFIX)?, 16).ok()?;
        Some(Self { rows, hashes })
    }

    /// Reads the rows of a staged page, without DuckDB, and returns their sum.
    ///
    /// # Errors
    /// `Storage` when the file cannot be read as a page.
    pub(crate) fn of_page_file(path: &Path) -> Result<Self> {
        let mut sum = Self::default();
        for rows in rows_of(path)? {
            sum = sum.plus(Self::of_profiles(&rows?));
        }
        Ok(sum)
    }
}

/// Reads the rows of a staged page, some thousand at a time.
///
/// # Errors
/// `Storage` when the file cannot be read as a page.
pub(crate) fn rows_of(path: &Path) -> Result<impl Iterator<Item = Result<ProfileRows>>> {
    let unreadable = move || {
        Error::new(ErrorKind::Storage, format!("the staged file `{}` cannot be read", path.display())).with_path(path)
    };
    let file = std::fs::File::open(path).map_err(|error| unreadable().with_source(error))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .and_then(ParquetRecordBatchReaderBuilder::build)
        .map_err(|error| unreadable().with_source(error))?;
    Ok(reader.map(move |batch| {
        let batch = batch.map_err(|error| unreadable().with_source(error))?;
        ProfileRows::from_record_batch(&batch).ok_or_else(unreadable)
    }))
}

impl FromIterator<u64> for RowSum {
    fn from_iter<I: IntoIterator<Item = u64>>(hashes: I) -> Self {
        let add = |sum: Self, hash: u64| sum.plus(Self { rows: 1, hashes: u128::from(hash) });
        hashes.into_iter().fold(Self::default(), add)
    }
}

/// Hashes a number of 64 bits: `MurmurHash64` in DuckDB.
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

/// Hashes one more column: `CombineHashScalar` in DuckDB.
fn combine(hash: u64, column: u64) -> u64 {
    (hash ^ (hash >> 32)).wrapping_mul(MULTIPLIER) ^ column
}
