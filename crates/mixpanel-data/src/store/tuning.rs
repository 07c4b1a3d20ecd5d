//! How a load goes about its work: memory, threads, row groups. Nothing of it changes what is in the table.

use std::fs::File;
use std::path::{Path, PathBuf};

use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};

use crate::limits::{
    ENGINE_LEAST_BYTES, LOAD_THREADS_MAX, ROW_GROUP_BYTES, ROW_GROUP_ROWS, ROW_GROUPS_IN_MEMORY, TEXT_BLOCK_BYTES,
    TEXT_INLINE_BYTES, VECTOR_ROWS,
};
use crate::memory::{engine_bytes, engine_bytes_last, memory_for};

/// Staged pages that are looked at to learn how large a row is.
const SAMPLED_PAGES: usize = 8;

/// How a load goes about it. Each is slower than the one before, or takes more of the process's memory, and is tried when
/// that one ran out of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effort {
    /// All threads, and row groups of the best size.
    Usual,
    /// One thread, which writes every row group at once and never joins small ones.
    Frugal,
    /// The same, with all the memory that the process can spare.
    Last,
}

impl Effort {
    /// What to try next.
    pub(super) fn next(self) -> Option<Self> {
        match self {
            Self::Usual => Some(Self::Frugal),
            Self::Frugal => Some(Self::Last),
            Self::Last => None,
        }
    }
}

/// Settings of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tuning {
    /// Memory that it may use, in megabytes. It takes some more beside that.
    pub(super) memory_mb: u64,
    pub(super) threads: u32,
    /// Rows of one row group, a multiple of 2,048.
    pub(super) row_group_rows: u64,
    pub(super) effort: Effort,
}

impl Tuning {
    /// For changes that move no rows.
    pub(super) const SMALL: Self =
        Self { memory_mb: 128, threads: 1, row_group_rows: *ROW_GROUP_ROWS.end(), effort: Effort::Usual };

    /// For a load of these pages, in a process that may use `memory` bytes. Where `effort` cannot succeed, for the next.
    pub(super) fn for_load(memory: u64, pages: &[PathBuf], effort: Effort) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = u32::try_from(processors).unwrap_or(LOAD_THREADS_MAX).clamp(1, LOAD_THREADS_MAX);
        let staged = Staged::of(pages);
        let engine = engine_bytes(memory, staged.bytes, staged.page_bytes);
        let needs =
            |threads: u32| staged.vector_bytes.saturating_mul(threads.into()).saturating_add(ENGINE_LEAST_BYTES);
        let effort = match effort {
            effort if staged.row_bytes <= TEXT_INLINE_BYTES => effort,
            Effort::Usual | Effort::Frugal if needs(1) > engine => Effort::Last,
            // Beside what each thread reads, there is what it writes.
            Effort::Usual if needs(2 * threads) > engine => Effort::Frugal,
            effort => effort,
        };
        let engine = if effort == Effort::Last { engine.max(engine_bytes_last(memory)) } else { engine };
        let row_group = ROW_GROUP_BYTES.min(engine / ROW_GROUPS_IN_MEMORY);
        Self {
            memory_mb: engine / 1_000_000,
            threads: if effort == Effort::Usual { threads } else { 1 },
            row_group_rows: row_group_rows(row_group, staged.row_bytes),
            effort,
        }
    }
}

/// The memory of the process with which a load of these pages succeeds. A load into a table that has rows reads them once
/// more, from where it has put them first.
pub(super) fn memory_needed(pages: &[PathBuf]) -> u64 {
    let groups: Vec<(u64, u64)> = pages
        .iter()
        .filter_map(|page| footer(page))
        .flat_map(|metadata| metadata.row_groups().iter().map(group_size).collect::<Vec<_>>())
        .collect();
    // Every run of row groups that holds as many rows as DuckDB handles at once, and one more, for where it begins.
    let (mut first, mut rows, mut bytes, mut most) = (0, 0, 0_u64, 0);
    for (index, (group_rows, _)) in groups.iter().enumerate() {
        rows += group_rows;
        bytes = bytes.saturating_add(pinned(groups[index]));
        while rows.saturating_sub(groups[first].0) >= VECTOR_ROWS {
            rows -= groups[first].0;
            bytes -= pinned(groups[first]);
            first += 1;
        }
        most = most.max(bytes);
    }
    memory_for(most.saturating_mul(2).saturating_add(ENGINE_LEAST_BYTES))
}

fn group_size(group: &RowGroupMetaData) -> (u64, u64) {
    (u64::try_from(group.num_rows()).unwrap_or_default(), u64::try_from(group.total_byte_size()).unwrap_or_default())
}

/// The memory that the texts of so many rows take while DuckDB handles them, from how many bytes they have.
fn pinned((rows, bytes): (u64, u64)) -> u64 {
    let row_bytes = bytes.div_ceil(rows.max(1));
    let is_in_shared_blocks = row_bytes > TEXT_INLINE_BYTES && row_bytes <= TEXT_BLOCK_BYTES;
    let each = if is_in_shared_blocks { TEXT_BLOCK_BYTES / (TEXT_BLOCK_BYTES / row_bytes) } else { row_bytes };
    each.saturating_mul(rows)
}

/// The rows of a row group of so many bytes: every thread has one in memory while it fills it.
fn row_group_rows(bytes: u64, row_bytes: u64) -> u64 {
    let rows = bytes / row_bytes.max(1) / VECTOR_ROWS * VECTOR_ROWS;
    rows.clamp(*ROW_GROUP_ROWS.start(), *ROW_GROUP_ROWS.end())
}

/// How much is staged, uncompressed, by what some of the pages say of themselves. A page that cannot be read says nothing
/// here; reading it for the load will say why.
#[derive(Debug, PartialEq, Eq)]
struct Staged {
    bytes: u64,
    /// Of one page, on average.
    page_bytes: u64,
    /// Of one row, on average.
    row_bytes: u64,
    /// Of as many rows as DuckDB handles at once, in its memory.
    vector_bytes: u64,
}

impl Staged {
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
            bytes: page_bytes.saturating_mul(pages.len() as u64),
            page_bytes,
            row_bytes,
            vector_bytes: pinned((VECTOR_ROWS.min(all_rows), row_bytes.saturating_mul(VECTOR_ROWS.min(all_rows)))),
        }
    }
}

fn rows_and_bytes(page: &Path) -> Option<(u64, u64)> {
    let metadata = footer(page)?;
    // A damaged page may say anything.
    let bytes = metadata.row_groups().iter().map(|group| group.total_byte_size()).fold(0, i64::saturating_add);
    Some((u64::try_from(metadata.file_metadata().num_rows()).ok()?, u64::try_from(bytes).ok()?))
}

fn footer(page: &Path) -> Option<ParquetMetaData> {
    ParquetMetaDataReader::new().parse_and_finish(&File::open(page).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{MEMORY_DEFAULT, MEMORY_RANGE};
    use crate::store::testing::Fixture;

    #[test]
    fn row_groups_are_as_large_in_bytes_whatever_the_size_of_a_row() {
        for (row_bytes, rows) in
            [(0, 122_880), (1, 122_880), (100, 122_880), (1_000, 20_480), (4_000, 4_096), (1 << 22, 2_048)]
        {
            assert_eq!(row_group_rows(20 << 20, row_bytes), rows, "{row_bytes}");
        }
    }

    #[test]
    fn a_row_group_of_a_staged_page_fits_into_any_of_the_table() {
        assert!(crate::limits::STAGED_GROUP_ROWS as u64 <= row_group_rows(0, 1));
    }

    #[test]
    fn what_the_process_may_use_is_shared_out() {
        let tuned = |memory| Tuning::for_load(memory, &[], Effort::Usual);
        assert!((200..300).contains(&tuned(MEMORY_DEFAULT).memory_mb), "{:?}", tuned(MEMORY_DEFAULT));
        // What the least was tried with.
        assert!((40..50).contains(&tuned(*MEMORY_RANGE.start()).memory_mb), "{:?}", tuned(*MEMORY_RANGE.start()));
        assert!(tuned(1 << 33).memory_mb > 7_000);
        assert!((1..=LOAD_THREADS_MAX).contains(&tuned(MEMORY_DEFAULT).threads));
    }

    #[test]
    fn large_rows_are_loaded_by_one_thread_and_with_more_memory_if_need_be() {
        let mut fixture = Fixture::new();
        let effort = |fixture: &Fixture, memory| Tuning::for_load(memory, &fixture.pages, Effort::Usual).effort;
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
            let needed = memory_needed(&fixture.pages);
            assert!(needed >= kib as u64 * 1_024 * 120 * pages.min(17), "{kib}: {needed}");
        }
    }

    #[test]
    fn the_size_of_what_is_staged_is_what_the_pages_say() {
        let mut fixture = Fixture::new();
        let large = format!(r#"{{"k":"{}"}}"#, "x".repeat(3_000));
        for _ in 0..20 {
            fixture.page(&[("a", &large, None), ("b", &large, Some(1))]);
        }
        let about_40_rows = |found: &Staged| {
            assert!((3_000..3_300).contains(&found.row_bytes), "{found:?}");
            assert!((120_000..132_000).contains(&found.bytes), "{found:?}");
            assert!((6_000..6_600).contains(&found.page_bytes), "{found:?}");
        };
        about_40_rows(&Staged::of(&fixture.pages));
        std::fs::write(&fixture.pages[0], "damaged").unwrap();
        about_40_rows(&Staged::of(&fixture.pages));
        assert_eq!(Staged::of(&[]), Staged { bytes: 0, page_bytes: 0, row_bytes: 0, vector_bytes: 0 });
    }
}
