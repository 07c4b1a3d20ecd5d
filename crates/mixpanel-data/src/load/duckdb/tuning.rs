//! The resources of a load: memory, threads, row groups. They do not affect the contents of the table.

use std::fs::File;
use std::path::{Path, PathBuf};

use duckdb::Connection;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};

use crate::dataset::Dataset;
use crate::limits::{
    DISTINCT_ROW_BYTES, ENGINE_BYTES_MIN, LOAD_THREADS_MAX, READ_STEP_BYTES, ROW_GROUP_BYTES, ROW_GROUP_ROWS,
    ROW_GROUPS_IN_MEMORY, SHARED_GROUP_ROWS, SLICE_MEMORY_BYTES, SORT_BYTES, TEXT_BLOCK_BYTES, TEXT_INLINE_BYTES,
    VECTOR_ROWS,
};
use crate::memory::{engine_bytes, engine_bytes_last, memory_for};
use crate::store::settings::{Effort, Tuning};

/// The number of staged pages sampled to estimate the row size.
const SAMPLED_PAGES: usize = 8;

/// Returns the settings for a load of these pages and rejects in a process that may use `memory` bytes. Starts with
/// `effort` and skips any effort that cannot succeed. `makes_table` is whether the rows become a table of their own.
pub(super) fn for_load(
    dataset: &Dataset,
    makes_table: bool,
    memory: u64,
    (pages, rejects): (&[PathBuf], &[PathBuf]),
    effort: Effort,
) -> Tuning {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = u32::try_from(processors).unwrap_or(LOAD_THREADS_MAX).clamp(1, LOAD_THREADS_MAX);
    let staged = StagedSize::of(pages);
    // A slice is never held in memory as a whole.
    let (page_bytes, memory) = match dataset.is_by_day() {
        true => (staged.page_bytes.min(SLICE_MEMORY_BYTES), memory.saturating_sub(SORT_BYTES)),
        false => (staged.page_bytes, memory),
    };
    let engine = engine_bytes(memory, staged.bytes, page_bytes);
    // Rows and rejects are written one after the other.
    let vector_bytes = staged.large_vector_bytes().max(StagedSize::of(rejects).large_vector_bytes());
    let needs = |threads: u32| vector_bytes.saturating_mul(threads.into()).saturating_add(ENGINE_BYTES_MIN);
    let effort = match effort {
        effort if vector_bytes == 0 => effort,
        Effort::Usual | Effort::Frugal if needs(1) > engine => Effort::Last,
        // Each thread needs memory for the rows it reads and the rows it writes.
        Effort::Usual if needs(2 * threads) > engine => Effort::Frugal,
        effort => effort,
    };
    let engine = if effort == Effort::Last { engine.max(engine_bytes_last(memory)) } else { engine };
    let row_group = ROW_GROUP_BYTES.min(engine / ROW_GROUPS_IN_MEMORY);
    Tuning {
        memory_mb: engine / 1_000_000,
        threads: if effort == Effort::Usual { threads } else { 1 },
        row_group_rows: match row_group_rows(row_group, staged.row_bytes) {
            rows if dataset.is_by_day() => sorted_group_rows(rows),
            rows if makes_table => rows.min(shared_group_rows(staged.rows, threads)),
            rows => rows,
        },
        dictionaries: dataset.is_by_day() || staged.row_bytes < DISTINCT_ROW_BYTES,
        effort,
    }
}

/// Returns the memory, in bytes, that the process needs for a load of these pages and rejects.
pub(super) fn memory_needed(pages: &[PathBuf], rejects: &[PathBuf]) -> u64 {
    let most = largest_vector(pages).1.max(largest_vector(rejects).1);
    memory_for(most.saturating_add(ENGINE_BYTES_MIN))
}

/// The number of rows to read back at once. When DuckDB reads large texts, it holds those of 2,048 rows in memory, and
/// not all of this counts toward its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Steps(Option<u64>);

impl Steps {
    /// Returns the step for rows from these files.
    pub(super) fn of_staged(files: &[PathBuf]) -> Self {
        Self::of_vectors(largest_vector(files))
    }

    /// Returns the step for a table of `rows` rows, assuming that it fills the database file.
    pub(super) fn of_table(database: &Path, rows: u64) -> Self {
        let row_bytes = std::fs::metadata(database).map_or(0, |file| file.len()) / rows.max(1);
        let rows = VECTOR_ROWS.min(rows);
        let is_large = row_bytes > TEXT_INLINE_BYTES;
        Self::of_vectors((rows, if is_large { pinned((rows, row_bytes.saturating_mul(rows))) } else { 0 }))
    }

    /// Returns the step for vectors of `rows` rows that take `bytes` bytes.
    fn of_vectors((rows, bytes): (u64, u64)) -> Self {
        let fits = bytes <= READ_STEP_BYTES;
        Self((!fits).then(|| (READ_STEP_BYTES.saturating_mul(rows) / bytes).max(1)))
    }

    /// Returns the smaller of two steps.
    pub(super) fn and(self, other: Self) -> Self {
        Self([self.0, other.0].into_iter().flatten().min())
    }

    /// Returns SQL conditions that together select every row of a table once. Each selects at most one step of rows.
    pub(super) fn conditions(self, connection: &Connection, table: &str) -> Result<Vec<String>, duckdb::Error> {
        let Some(step) = self.0 else { return Ok(vec!["true".to_owned()]) };
        // Uncommitted rows have a separate range of row ids, far above the others.
        let sql = format!("SELECT min(rowid), max(rowid) FROM {table} GROUP BY rowid >> 50 ORDER BY 1");
        let mut query = connection.prepare(&sql)?;
        let ranges: Vec<(u64, u64)> =
            query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
        let step_of = |(first, last): (u64, u64)| {
            let starts = (first..=last).step_by(usize::try_from(step).unwrap_or(usize::MAX));
            starts.map(move |start| format!("rowid BETWEEN {start} AND {}", last.min(start + step - 1)))
        };
        Ok(ranges.into_iter().flat_map(step_of).collect())
    }
}

/// Returns the row count and in-memory size of the largest vector, the unit in which DuckDB processes rows.
fn largest_vector(files: &[PathBuf]) -> (u64, u64) {
    let groups: Vec<(u64, u64)> = files
        .iter()
        .filter_map(|file| footer(file))
        .flat_map(|metadata| metadata.row_groups().iter().map(group_size).collect::<Vec<_>>())
        .collect();
    // The window is the shortest sequence of row groups up to this one that fills a vector.
    let (mut first, mut rows, mut bytes, mut most) = (0, 0, 0_u64, (0, 0));
    for (index, (group_rows, _)) in groups.iter().enumerate() {
        rows += group_rows;
        bytes = bytes.saturating_add(pinned(groups[index]));
        while rows.saturating_sub(groups[first].0) >= VECTOR_ROWS {
            rows -= groups[first].0;
            bytes -= pinned(groups[first]);
            first += 1;
        }
        most = if bytes > most.1 { (rows, bytes) } else { most };
    }
    most
}

fn group_size(group: &RowGroupMetaData) -> (u64, u64) {
    (u64::try_from(group.num_rows()).unwrap_or_default(), u64::try_from(group.total_byte_size()).unwrap_or_default())
}

/// Returns the memory, in bytes, that `rows` texts with a total of `bytes` bytes take while DuckDB processes them.
fn pinned((rows, bytes): (u64, u64)) -> u64 {
    let row_bytes = bytes.div_ceil(rows.max(1));
    let is_in_shared_blocks = row_bytes > TEXT_INLINE_BYTES && row_bytes <= TEXT_BLOCK_BYTES;
    let each = if is_in_shared_blocks { TEXT_BLOCK_BYTES / (TEXT_BLOCK_BYTES / row_bytes) } else { row_bytes };
    each.saturating_mul(rows)
}

/// Returns the number of rows in a row group of `bytes` bytes. Each thread keeps the row group that it is filling in
/// memory.
fn row_group_rows(bytes: u64, row_bytes: u64) -> u64 {
    let rows = bytes / row_bytes.max(1) / VECTOR_ROWS * VECTOR_ROWS;
    rows.clamp(*ROW_GROUP_ROWS.start(), *ROW_GROUP_ROWS.end())
}

/// Returns the number of rows in a row group with which each thread fills two or more, unless they would be too small.
/// Threads share the work of a load and of a query by row groups.
fn shared_group_rows(rows: u64, threads: u32) -> u64 {
    let rows = rows / (2 * u64::from(threads)) / VECTOR_ROWS * VECTOR_ROWS;
    rows.clamp(SHARED_GROUP_ROWS, *ROW_GROUP_ROWS.end())
}

/// Returns the largest number of rows in a row group, up to `rows`, of which DuckDB fills several with what a sort returns
/// at once. Otherwise it writes half of the sorted rows twice, and the file is 40 % larger (measured with 1.5.5).
fn sorted_group_rows(rows: u64) -> u64 {
    let sorted = *ROW_GROUP_ROWS.end();
    let fits = |parts: &u64| {
        sorted.is_multiple_of(*parts) && (sorted / parts).is_multiple_of(VECTOR_ROWS) && sorted / parts <= rows
    };
    (1..=sorted / VECTOR_ROWS).find(fits).map_or(VECTOR_ROWS, |parts| sorted / parts)
}

/// The uncompressed size of the staged pages, in bytes, estimated from the footers of a sample. Unreadable pages are
/// ignored here and reported by the load.
#[derive(Debug, PartialEq, Eq)]
struct StagedSize {
    rows: u64,
    bytes: u64,
    /// Average per page.
    page_bytes: u64,
    /// Average per row.
    row_bytes: u64,
    /// Per vector, in DuckDB's memory.
    vector_bytes: u64,
}

impl StagedSize {
    /// Returns `vector_bytes`, or 0 if the texts are so small that DuckDB does not hold a whole vector of them in
    /// memory.
    fn large_vector_bytes(&self) -> u64 {
        if self.row_bytes > TEXT_INLINE_BYTES { self.vector_bytes } else { 0 }
    }

    fn of(pages: &[PathBuf]) -> Self {
        let step = pages.len().div_ceil(SAMPLED_PAGES).max(1);
        let sampled = pages.iter().step_by(step).filter_map(|page| rows_and_bytes(page));
        let (sampled_pages, rows, bytes) =
            sampled.fold((0_u64, 0_u64, 0_u64), |(pages, all_rows, all), (rows, bytes)| {
                (pages + 1, all_rows.saturating_add(rows), all.saturating_add(bytes))
            });
        let page_bytes = bytes / sampled_pages.max(1);
        let all_rows = (rows / sampled_pages.max(1)).saturating_mul(pages.len() as u64);
        let row_bytes = bytes / rows.max(1);
        Self {
            rows: all_rows,
            bytes: page_bytes.saturating_mul(pages.len() as u64),
            page_bytes,
            row_bytes,
            vector_bytes: pinned((VECTOR_ROWS.min(all_rows), row_bytes.saturating_mul(VECTOR_ROWS.min(all_rows)))),
        }
    }
}

fn rows_and_bytes(page: &Path) -> Option<(u64, u64)> {
    let metadata = footer(page)?;
    // The sizes in a damaged footer can be arbitrary.
    let bytes = metadata.row_groups().iter().map(|group| group.total_byte_size()).fold(0, i64::saturating_add);
    Some((u64::try_from(metadata.file_metadata().num_rows()).ok()?, u64::try_from(bytes).ok()?))
}

fn footer(page: &Path) -> Option<ParquetMetaData> {
    ParquetMetaDataReader::new().parse_and_finish(&File::open(page).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::PROFILES;
    use crate::limits::{MEMORY_DEFAULT, MEMORY_RANGE};
    use crate::load::duckdb::testing::Fixture;

    #[test]
    fn row_group_size_in_bytes_is_independent_of_row_size() {
        for (row_bytes, rows) in
            [(0, 122_880), (1, 122_880), (100, 122_880), (1_000, 20_480), (4_000, 4_096), (1 << 22, 2_048)]
        {
            assert_eq!(row_group_rows(20 << 20, row_bytes), rows, "{row_bytes}");
        }
    }

    #[test]
    fn staged_row_groups_never_exceed_table_row_groups() {
        assert!(crate::limits::STAGED_GROUP_ROWS as u64 <= row_group_rows(0, 1));
    }

    #[test]
    fn small_tables_have_small_row_groups() {
        for (rows, threads, expected) in [
            (0, 2, 6_144),
            (24_600, 2, 6_144),
            (24_600, 4, 6_144),
            (49_152, 2, 12_288),
            (49_152, 4, 6_144),
            (100_000, 1, 49_152),
            (10_000_000, 4, 122_880),
        ] {
            assert_eq!(shared_group_rows(rows, threads), expected, "{rows} rows, {threads} threads");
        }
    }

    #[test]
    fn only_large_profiles_are_expected_to_differ() {
        let mut fixture = Fixture::new();
        for (bytes, expected) in [(20, true), (1_000, false)] {
            let text = format!(r#"{{"k":"{}"}}"#, "x".repeat(bytes));
            fixture.restage();
            fixture.page(&[("a", &text, None), ("b", &text, None)]);
            let tuned = for_load(&PROFILES, true, MEMORY_DEFAULT, (&fixture.pages, &[]), Effort::Usual);
            assert_eq!(tuned.dictionaries, expected, "{bytes}");
        }
    }

    #[test]
    fn row_groups_of_sorted_rows_divide_what_a_sort_returns() {
        for (rows, expected) in
            [(122_880, 122_880), (122_879, 61_440), (61_440, 61_440), (59_392, 40_960), (2_048, 2_048), (2_049, 2_048)]
        {
            assert_eq!(sorted_group_rows(rows), expected, "{rows}");
        }
    }

    #[test]
    fn the_memory_budget_is_divided() {
        let tuned = |memory| for_load(&PROFILES, false, memory, (&[], &[]), Effort::Usual);
        assert!((200..300).contains(&tuned(MEMORY_DEFAULT).memory_mb), "{:?}", tuned(MEMORY_DEFAULT));
        // The value with which the minimum memory was tested.
        assert!((40..50).contains(&tuned(*MEMORY_RANGE.start()).memory_mb), "{:?}", tuned(*MEMORY_RANGE.start()));
        assert!(tuned(1 << 33).memory_mb > 7_000);
        assert!((1..=LOAD_THREADS_MAX).contains(&tuned(MEMORY_DEFAULT).threads));
    }

    #[test]
    fn large_rows_are_loaded_by_one_thread_and_with_more_memory_if_need_be() {
        let mut fixture = Fixture::new();
        let effort = |fixture: &Fixture, memory| {
            for_load(&PROFILES, false, memory, (&fixture.pages, &fixture.rejects), Effort::Usual).effort
        };
        let least = *MEMORY_RANGE.start();
        for (kib, pages, expected) in [
            (1, 20, [Effort::Usual, Effort::Usual]),
            (6, 20, [Effort::Frugal, Effort::Usual]),
            (40, 20, [Effort::Last, Effort::Frugal]),
        ] {
            let text = format!(r#"{{"k":"{}"}}"#, "x".repeat(kib << 10));
            let rows: Vec<_> = (0..120).map(|_| ("a", text.as_str(), None)).collect();
            fixture.restage();
            for _ in 0..pages {
                fixture.page(&rows);
            }
            let found = [effort(&fixture, least), effort(&fixture, MEMORY_DEFAULT)];
            assert!(found == expected, "{kib} KiB: {found:?}");
            let needed = memory_needed(&fixture.pages, &fixture.rejects);
            assert!(needed >= kib as u64 * 1_024 * 120 * pages.min(17), "{kib}: {needed}");
        }
    }

    #[test]
    fn large_rows_are_read_back_in_steps() {
        const MIB: u64 = 1 << 20;
        for (rows, bytes, step) in [
            (0, 0, None),
            (2_048, 2 * MIB, None),
            (2_048, 64 * MIB, Some(1_024)),
            (120, 120 * MIB, Some(32)),
            (4, 4_096 * MIB, Some(1)),
        ] {
            assert_eq!(Steps::of_vectors((rows, bytes)), Steps(step), "{rows} rows of {bytes} bytes");
        }
        assert_eq!(Steps(None).and(Steps(Some(7))).and(Steps(Some(9))), Steps(Some(7)));
        let fixture = Fixture::new();
        fixture.execute("CREATE TABLE t AS SELECT 1 AS a FROM range(5)");
        assert_eq!(Steps::of_table(&fixture.database, 5), Steps(None), "a small file of few rows");
        assert_eq!(Steps::of_table(&fixture.database, 0), Steps(None));
    }

    /// Uncommitted rows have a separate range of row ids.
    #[test]
    fn steps_select_every_row_once() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE t AS SELECT range AS a FROM range(5000)").unwrap();
        connection.execute_batch("DELETE FROM t WHERE a BETWEEN 100 AND 300; BEGIN").unwrap();
        connection.execute_batch("INSERT INTO t SELECT range FROM range(5000, 10000)").unwrap();
        for step in [None, Some(7), Some(2_048), Some(1 << 40)] {
            let conditions = Steps(step).conditions(&connection, "t").unwrap();
            let selected = conditions.iter().map(|condition| {
                let sql = format!("SELECT count(*), coalesce(sum(a), 0)::BIGINT FROM t WHERE {condition}");
                connection.query_row(&sql, [], |row| Ok((row.get::<_, u64>(0)?, row.get::<_, u64>(1)?))).unwrap()
            });
            let found = selected.fold((0, 0), |all, step| (all.0 + step.0, all.1 + step.1));
            assert_eq!(found, (9_799, 49_995_000 - 201 * 200), "{step:?}");
        }
        assert!(Steps(Some(7)).conditions(&connection, "(SELECT 1 AS rowid LIMIT 0)").unwrap().is_empty());
    }

    #[test]
    fn the_staged_size_is_estimated_from_footers() {
        let mut fixture = Fixture::new();
        let large = format!(r#"{{"k":"{}"}}"#, "x".repeat(3_000));
        for _ in 0..20 {
            fixture.page(&[("a", &large, None), ("b", &large, Some(1))]);
        }
        let about_40_rows = |found: &StagedSize| {
            assert!((3_000..3_300).contains(&found.row_bytes), "{found:?}");
            assert!((120_000..132_000).contains(&found.bytes), "{found:?}");
            assert!((6_000..6_600).contains(&found.page_bytes), "{found:?}");
        };
        about_40_rows(&StagedSize::of(&fixture.pages));
        std::fs::write(&fixture.pages[0], "damaged").unwrap();
        about_40_rows(&StagedSize::of(&fixture.pages));
        assert_eq!(StagedSize::of(&[]), StagedSize { rows: 0, bytes: 0, page_bytes: 0, row_bytes: 0, vector_bytes: 0 });
    }
}
