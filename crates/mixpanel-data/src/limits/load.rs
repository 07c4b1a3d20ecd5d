//! Limits of row groups and statements in a load.

use super::VECTOR_ROWS;

/// Maximum rows per row group in a staged page. DuckDB reads whole row groups. This is also the minimum for a table
/// ([`ROW_GROUP_ROWS`]), so no staged row group has to be split (decision 0008).
pub(crate) const STAGED_GROUP_ROWS: usize = 2_048;

/// Maximum bytes per row group in a staged page, unless it has a single row. With the smallest memory budget, DuckDB
/// cannot read a 10 MB row group (decision 0008).
pub(crate) const STAGED_GROUP_BYTES: usize = 2 << 20;

/// Load speed assumed by estimates, in profiles of 1 KB per second. Measured on two cores: 140,000 to 220,000.
pub(crate) const LOAD_ROWS_PER_SECOND: f64 = 160_000.0;

/// Maximum DuckDB threads for a load, capped at the number of processors. Each thread fills its own row group.
pub(crate) const LOAD_THREADS_MAX: u32 = 4;

/// Maximum bytes per row group. With rows of 1 KB, DuckDB's default of 122,880 rows is six times this size; a load with
/// two threads then takes a third longer, and 1 GB of memory (decision 0008).
pub(crate) const ROW_GROUP_BYTES: u64 = 20 << 20;

/// Row groups that must fit into DuckDB's memory; with fewer, its threads wait for each other.
pub(crate) const ROW_GROUPS_IN_MEMORY: u64 = 11;

/// Minimum rows per row group of a small table of profiles, whose row groups are so small that the threads of a load, or
/// of a query, can share them. With smaller ones, the file grows (decision 0008).
pub(crate) const SHARED_GROUP_ROWS: u64 = 3 * VECTOR_ROWS;

/// Average bytes per profile from which no two are assumed to have the same properties, so that DuckDB does not look for
/// repeated texts (decision 0008).
pub(crate) const DISTINCT_ROW_BYTES: u64 = 256;

/// Minimum and maximum rows per row group.
pub(crate) const ROW_GROUP_ROWS: std::ops::RangeInclusive<u64> = 2_048..=122_880;

/// Maximum staged pages per load statement. More statements produce more and smaller row groups. Fewer statements need
/// more memory, because DuckDB keeps data about every file until the statement ends: 50 MiB for 10,000 files (decision
/// 0008).
pub(crate) const LOAD_PAGES_PER_STATEMENT: usize = 1_000;
