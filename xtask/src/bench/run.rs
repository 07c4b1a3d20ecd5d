//! What one process took, and what is said of several runs of the same.

use std::time::Duration;

use super::scenario::Scenario;
use super::usage::Usage;

/// One run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Run {
    /// From the start of the process to its end, or the part of it that is wanted.
    pub(super) wall: Duration,
    pub(super) usage: Usage,
    /// Processor time of the simulator meanwhile.
    pub(super) simulator_cpu: Option<Duration>,
    /// Size of the database, in bytes.
    pub(super) database: u64,
}

/// Several runs of the same, of which there is at least one.
#[derive(Clone, Debug)]
pub(super) struct Runs(pub(super) Vec<Run>);

impl Runs {
    /// Does something so many times.
    pub(super) fn of<E>(count: usize, mut once: impl FnMut(usize) -> Result<Run, E>) -> Result<Self, E> {
        (1..=count.max(1)).map(&mut once).collect::<Result<_, E>>().map(Self)
    }

    /// The run with the median time; the faster one of the two in the middle.
    pub(super) fn median(&self) -> Run {
        let mut runs = self.0.clone();
        runs.sort_by_key(|run| run.wall);
        runs[(runs.len() - 1) / 2]
    }

    /// The median time.
    pub(super) fn wall(&self) -> Duration {
        self.median().wall
    }

    /// The greatest of all peaks.
    pub(super) fn peak_kib(&self) -> Option<u64> {
        self.0.iter().filter_map(|run| run.usage.peak_kib).max()
    }
}

/// A scenario with its runs.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    pub(super) scenario: Scenario,
    pub(super) runs: Runs,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(milliseconds: u64, peak_kib: Option<u64>) -> Run {
        Run { wall: Duration::from_millis(milliseconds), usage: Usage { peak_kib, cpu: None }, ..Run::default() }
    }

    #[test]
    fn the_median_run_counts_and_the_greatest_memory() {
        let runs = Runs(vec![run(3_000, Some(90)), run(2_400, Some(100)), run(2_640, Some(80))]);
        assert_eq!(runs.median(), run(2_640, Some(80)));
        assert_eq!(runs.peak_kib(), Some(100));
    }

    #[test]
    fn of_two_runs_the_faster_one_counts_as_the_median() {
        assert_eq!(Runs(vec![run(3_000, None), run(2_500, None)]).median(), run(2_500, None));
    }

    #[test]
    fn what_fails_is_not_tried_again() {
        let mut tried = 0;
        let failed = Runs::of(3, |number| {
            tried = number;
            if number == 2 { Err("no") } else { Ok(Run::default()) }
        });
        assert_eq!((failed.unwrap_err(), tried), ("no", 2));
    }
}
