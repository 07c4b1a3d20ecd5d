//! What a database is opened for, and the settings that follow from it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use duckdb::Config;

use super::settings::{Effort, Tuning};
use super::sql_text::{as_pattern, literal};

/// What a database is opened for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Access<'a> {
    /// For user queries. They cannot access any file, so they cannot spill to disk.
    ReadOnly,
    /// For a user query that spills to `spill_directory`. It could access the files of the database and that directory,
    /// so it must be bound with `ReadOnly` first.
    Spilling { spill_directory: &'a Path, memory_mb: Option<u64> },
    /// For writing the result of a query to `file`, the only file it can access besides the database. It spills to
    /// `spill_directory`.
    Export { file: &'a Path, spill_directory: &'a Path, tuning: Tuning },
    /// For this program's own changes. A missing database is created.
    ReadWrite,
    /// For a load from this stage, the only directory it can access. A missing database is created.
    Load { stage_directory: &'a Path, tuning: Tuning },
}

impl Access<'_> {
    pub(super) fn is_read_only(self) -> bool {
        matches!(self, Self::ReadOnly | Self::Spilling { .. } | Self::Export { .. })
    }
}

/// Returns the settings that must apply before the write-ahead log is replayed, too early for SQL statements.
pub(super) fn settings(access: Access<'_>) -> Result<Config, duckdb::Error> {
    let config = Config::default().enable_autoload_extension(false)?;
    match access {
        // DuckDB's defaults: 80% of the machine's memory, and all cores.
        Access::ReadOnly => config.with("temp_directory", "")?.with("arrow_lossless_conversion", "true"),
        Access::Spilling { spill_directory, memory_mb } => {
            let config = match memory_mb {
                Some(memory_mb) => config.max_memory(&format!("{memory_mb}MB"))?,
                None => config,
            };
            config.with("temp_directory", spill_directory.to_string_lossy())?.with("arrow_lossless_conversion", "true")
        }
        Access::Export { spill_directory, tuning, .. } => {
            writing(config, tuning)?.with("temp_directory", spill_directory.to_string_lossy())
        }
        Access::ReadWrite => writing(config, Tuning::SMALL)?.with("temp_directory", ""),
        Access::Load { stage_directory, tuning } => {
            let config = match tuning.effort {
                Effort::Usual => config,
                // By default, a commit reads and merges small row groups with many deleted rows.
                Effort::Frugal | Effort::Last => {
                    config.with("write_buffer_row_group_count", "1")?.with("max_vacuum_tasks", "0")?
                }
            };
            writing(config, tuning)?
                .with("temp_directory", spill_directory(stage_directory).to_string_lossy())?
                // Staged pages are read once; caching them uses up memory that the load needs.
                .with("enable_external_file_cache", "false")?
                // DuckDB's allocator returns memory to the system once this much is free. With the defaults, 128 MB and
                // 512 MB, a load of ten million rows took 50 MiB more while counting them.
                .with("allocator_flush_threshold", "16MB")?
                .with("allocator_bulk_deallocation_flush_threshold", "16MB")
        }
    }
}

fn writing(config: Config, tuning: Tuning) -> Result<Config, duckdb::Error> {
    config
        .max_memory(&format!("{}MB", tuning.memory_mb))?
        .threads(i64::from(tuning.threads))?
        .with("preserve_insertion_order", "true")?
        // No checkpoint until `CHECKPOINT_ALWAYS`.
        .with("checkpoint_threshold", "1TB")
}

/// Makes a commit write directly to the file, bypassing the log: 20% less total time for 25,000 profiles. From then on,
/// any statement may checkpoint an existing log.
pub(super) const CHECKPOINT_ALWAYS: &str = "SET checkpoint_threshold='1KB'";

/// Returns the directory to which a load spills. It is in the stage, which is private and next to the database.
pub(crate) fn spill_directory(stage_directory: &Path) -> PathBuf {
    stage_directory.join("spill")
}

/// Returns the statements that irrevocably block access to everything else.
///
/// `enable_external_access=false` still lets `COPY`, `ATTACH` and `read_blob` access the database's own files and the
/// directories listed here: a query could plant a write-ahead log, or drop the file's lock by opening and closing it.
/// For user queries, the local file system is therefore disabled entirely.
pub(super) fn fences(access: Access<'_>) -> String {
    let mut sql = String::new();
    if let Access::Load { stage_directory, .. } = access {
        // DuckDB checks the pattern before expanding it, and each file when opening it.
        let directory = stage_directory.to_string_lossy();
        let (path, pattern) = (literal(&directory), literal(&as_pattern(&directory)));
        write!(sql, "SET allowed_directories=[{path}, {pattern}];").expect("a string can be written to");
    }
    if let Access::Export { file, .. } = access {
        write!(sql, "SET allowed_paths=[{}];", literal(&file.to_string_lossy())).expect("a string can be written to");
    }
    sql.push_str("SET enable_external_access=false;");
    if matches!(access, Access::ReadOnly) {
        sql.push_str("SET disabled_filesystems='LocalFileSystem';");
    }
    sql.push_str("SET lock_configuration=true");
    sql
}
