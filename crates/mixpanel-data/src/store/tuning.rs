//! How a load goes about its work: memory, threads, row groups. Nothing of it changes what is in the table.

use std::fs::File;
use std::path::{Path, PathBuf};

use parquet::file::metadata::ParquetMetaDataReader;

use crate::limits::{LOAD_THREADS_MAX, ROW_GROUP_BYTES, ROW_GROUP_ROWS, ROW_GROUPS_IN_MEMORY};
use crate::memory::engine_bytes;

/// Rows of a row group are a multiple of the engine's unit of work.
const VECTOR_ROWS: u64 = 2_048;

/// Staged pages that are looked at to learn how large a row is.
const SAMPLED_PAGES: usize = 8;

/// Settings of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tuning {
    /// Memory that it may use, in megabytes. It takes some more beside that.
    pub(super) memory_mb: u64,
    pub(super) threads: u32,
    /// Rows of one row group, a multiple of 2,048.
    pub(super) row_group_rows: u64,
}

impl Tuning {
    /// For changes that move no rows.
    pub(super) const SMALL: Self = Self { memory_mb: 128, threads: 1, row_group_rows: *ROW_GROUP_ROWS.end() };

    /// For a load of these pages, in a process that may use `memory` bytes.
    pub(super) fn for_load(memory: u64, pages: &[PathBuf]) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = u32::try_from(processors).unwrap_or(LOAD_THREADS_MAX).clamp(1, LOAD_THREADS_MAX);
        let staged = Staged::of(pages);
        let engine = engine_bytes(memory, staged.bytes, staged.page_bytes);
        let row_group = ROW_GROUP_BYTES.min(engine / ROW_GROUPS_IN_MEMORY);
        Self { memory_mb: engine / 1_000_000, threads, row_group_rows: row_group_rows(row_group, staged.row_bytes) }
    }
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
        Self { bytes: page_bytes.saturating_mul(pages.len() as u64), page_bytes, row_bytes: bytes / rows.max(1) }
    }
}

fn rows_and_bytes(page: &Path) -> Option<(u64, u64)> {
    let metadata = ParquetMetaDataReader::new().parse_and_finish(&File::open(page).ok()?).ok()?;
    // A damaged page may say anything.
    let bytes = metadata.row_groups().iter().map(|group| group.total_byte_size()).fold(0, i64::saturating_add);
    Some((u64::try_from(metadata.file_metadata().num_rows()).ok()?, u64::try_from(bytes).ok()?))
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
        let tuned = |memory| Tuning::for_load(memory, &[]);
        assert!((200..300).contains(&tuned(MEMORY_DEFAULT).memory_mb), "{:?}", tuned(MEMORY_DEFAULT));
        // What the least was tried with.
        assert!((40..50).contains(&tuned(*MEMORY_RANGE.start()).memory_mb), "{:?}", tuned(*MEMORY_RANGE.start()));
        assert!(tuned(1 << 33).memory_mb > 7_000);
        assert!((1..=LOAD_THREADS_MAX).contains(&tuned(MEMORY_DEFAULT).threads));
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
        assert_eq!(Staged::of(&[]), Staged { bytes: 0, page_bytes: 0, row_bytes: 0 });
    }
}
