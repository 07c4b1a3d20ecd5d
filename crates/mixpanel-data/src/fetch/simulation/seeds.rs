//! Chooses seeds, and runs them on all cores.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::mutant::{self, Mutant};

/// Returns the seeds that the environment variable selects, or `default`, and those that `known` lists, one per line.
pub(super) fn seeds(variable: &str, default: Range<u64>, known: &str) -> Vec<u64> {
    let range = std::env::var(variable).ok().and_then(|text| {
        let (from, to) = text.split_once("..")?;
        Some(from.parse().ok()?..to.parse().ok()?)
    });
    let known = known.lines().filter_map(|line| line.split('#').next()?.trim().parse::<u64>().ok());
    range.unwrap_or(default).chain(known).collect()
}

/// Runs seeds on all cores. Returns each failed seed with its message. With a mutant, stops at the first failure.
pub(super) fn run_each(seeds: &[u64], mutant: Option<Mutant>, run: impl Fn(u64) + Sync) -> Vec<(u64, String)> {
    let (next, failed) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    std::panic::set_hook(Box::new(|_| {}));
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                mutant::activate(mutant);
                loop {
                    let index = usize::try_from(next.fetch_add(1, Ordering::Relaxed)).unwrap();
                    let is_found = mutant.is_some() && !failed.lock().unwrap().is_empty();
                    let Some(seed) = seeds.get(index).filter(|_| !is_found) else { return };
                    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(*seed))) {
                        let text = panic.downcast_ref::<String>().cloned();
                        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                        failed.lock().unwrap().push((*seed, text.unwrap_or_default()));
                    }
                }
            });
        }
    });
    let _ = std::panic::take_hook();
    failed.into_inner().unwrap()
}

/// Prints the failed seeds and fails if there are any. `variable` replays one.
pub(super) fn assert_none_failed(failed: &[(u64, String)], count: usize, variable: &str) {
    for (seed, text) in failed {
        println!("failing seed: {seed}: {}", text.lines().take(6).collect::<Vec<_>>().join(" | "));
    }
    assert!(failed.is_empty(), "{} of {count} seeds failed; replay one with {variable}=N..N+1", failed.len());
}
