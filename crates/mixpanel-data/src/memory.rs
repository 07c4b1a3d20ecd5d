//! Divides the memory budget of the process (decision 0008).

use crate::limits::{
    ENGINE_MEMORY_RATIO, ENGINE_MEMORY_RATIO_LAST, FLIGHT_BYTES_MAX, FLIGHT_MEMORY_SHARE, MEMORY_RANGE,
    PAGES_READY_MAX, PROGRAM_BYTES, PROGRAM_BYTES_LAST, SLICE_MEMORY_BYTES, STAGED_BYTES_PER_KEPT, WORKERS_MAX,
};

/// Returns the maximum decoded bytes of pages in flight in a process with a budget of `memory` bytes.
pub(crate) fn flight_bytes(memory: u64) -> usize {
    usize::try_from(memory / FLIGHT_MEMORY_SHARE).unwrap_or(usize::MAX).min(FLIGHT_BYTES_MAX)
}

/// Returns the maximum number of slices of events in flight in a process with a budget of `memory` bytes. Half of it is
/// for the slices, because a line may be much longer than usual.
pub(crate) fn slices_in_flight(memory: u64) -> u32 {
    u32::try_from(memory / 2 / SLICE_MEMORY_BYTES).unwrap_or(u32::MAX).max(1)
}

/// Returns DuckDB's `memory_limit` for a load of `staged_bytes` in pages of `page_bytes`, chosen so that the whole
/// process stays under `memory`. Never less than the smallest tested value.
///
/// Assumes one page more than can be in flight, even for a sequential fetch. In addition to `PROGRAM_BYTES`, the
/// allocator keeps about half the size of the decoded pages that were in flight. The prebuilt DuckDB has its own
/// allocator and cannot use that memory.
pub(crate) fn engine_bytes(memory: u64, staged_bytes: u64, page_bytes: u64) -> u64 {
    let (believed, used) = ENGINE_MEMORY_RATIO;
    let share = |beside: u64| memory.saturating_sub(beside) / used * believed;
    let pages = u64::from(PAGES_READY_MAX + WORKERS_MAX);
    let in_flight = page_bytes.saturating_mul(pages).min(flight_bytes(memory) as u64);
    let kept = staged_bytes / STAGED_BYTES_PER_KEPT;
    let least = (*MEMORY_RANGE.start() - PROGRAM_BYTES) / used * believed;
    share(PROGRAM_BYTES + in_flight / 2 + kept).max(least)
}

/// Returns DuckDB's `memory_limit` for the last attempt of a load, after the usual limit was too low. Ignores the
/// memory that the allocator keeps after a fetch of large pages: exceeding the budget by that much is better than
/// failing the load.
pub(crate) fn engine_bytes_last(memory: u64) -> u64 {
    let (believed, used) = ENGINE_MEMORY_RATIO_LAST;
    memory.saturating_sub(PROGRAM_BYTES_LAST) / used * believed
}

/// Returns the memory budget, rounded up to 100 MB, with which [`engine_bytes_last`] gives DuckDB at least `engine`
/// bytes.
pub(crate) fn memory_for(engine: u64) -> u64 {
    let (believed, used) = ENGINE_MEMORY_RATIO_LAST;
    let memory = (engine / believed + 1).saturating_mul(used).saturating_add(PROGRAM_BYTES_LAST);
    memory.div_ceil(100_000_000).saturating_mul(100_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::MEMORY_DEFAULT;

    #[test]
    fn staged_bytes_reduce_the_engine_memory() {
        let [none, ten_gigabytes] = [0, 10_000_000_000].map(|staged| engine_bytes(MEMORY_DEFAULT, staged, 0));
        assert!((30_000_000..40_000_000).contains(&(none - ten_gigabytes)), "{none} {ten_gigabytes}");
        let least = engine_bytes(*MEMORY_RANGE.start(), 0, 0);
        assert_eq!(engine_bytes(MEMORY_DEFAULT, u64::MAX, 0), least);
        assert_eq!(engine_bytes(0, 0, 0), least);
    }

    #[test]
    fn the_suggested_memory_is_enough() {
        for engine in [0, 1, 43_000_000, 260_000_000, 8_600_000_000] {
            let memory = memory_for(engine);
            assert!(engine_bytes_last(memory) >= engine, "{engine} {memory}");
            assert_eq!(memory % 100_000_000, 0);
        }
    }

    #[test]
    fn large_pages_reduce_the_engine_memory() {
        let [small, large, huge] = [0, 4_000_000, u64::MAX].map(|page| engine_bytes(MEMORY_DEFAULT, 0, page));
        assert!(small > large && large > huge, "{small} {large} {huge}");
        assert!(huge > engine_bytes(*MEMORY_RANGE.start(), 0, 0), "a huge page takes no more than may be in flight");
    }
}
