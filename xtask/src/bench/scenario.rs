//! The matrix of fetches, and the time each one spends waiting for the server.

use std::fmt;
use std::time::Duration;

/// Concurrent requests: one, or Mixpanel's limit, which `mp fetch profiles --parallel` uses.
pub(super) const SEQUENTIAL: u64 = 1;
pub(super) const PARALLEL: u64 = 5;

/// Numbers of profiles: 25 and 100 pages of Mixpanel's default size, the last one not full, and a million.
pub(super) const SIZES: [u64; 3] = [24_600, 99_600, 1_000_000];

/// Profiles per page: Mixpanel's default, and ten times that.
pub(super) const PAGE_SIZE: u64 = 1_000;
const PAGE_SIZES: [u64; 2] = [PAGE_SIZE, 10_000];

/// Latencies per response: none, to measure only our own speed; a nearby server; a server as slow as Mixpanel.
const LATENCIES: [Duration; 3] = [Duration::ZERO, Duration::from_millis(50), SLOW];
const SLOW: Duration = Duration::from_millis(400);

/// Scenarios that wait longer than this for the server are left out, because they add no information.
const WAIT_MAX: Duration = Duration::from_secs(120);

/// Scenarios that wait longer than this run once, because the waiting dwarfs the noise of a busy machine.
const WAIT_OFTEN_MAX: Duration = Duration::from_secs(20);

/// The number of runs of all other scenarios, except with `--quick`. Odd, so that the median is an actual run.
const RUNS: usize = 3;

/// The scenarios with targets: the small and the medium number from a server as slow as Mixpanel, and the medium number
/// and a million without latency.
pub(super) const SLOW_SMALL: Scenario = Scenario::typical(SIZES[0], SLOW);
pub(super) const SLOW_MIDDLE: Scenario = Scenario::typical(SIZES[1], SLOW);
pub(super) const MIDDLE: Scenario = Scenario::typical(SIZES[1], Duration::ZERO);
pub(super) const MILLION: Scenario = Scenario::typical(SIZES[2], Duration::ZERO);

/// How much to measure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Extent {
    /// The whole matrix, most of it several times.
    #[default]
    Full,
    /// Only the scenarios with targets, once.
    Quick,
}

impl Extent {
    /// Returns the number of runs of a scenario.
    pub(super) fn runs(self, scenario: &Scenario) -> usize {
        let waits = scenario.waiting();
        let is_long = waits > WAIT_OFTEN_MAX || (scenario.profiles >= 1_000_000 && !waits.is_zero());
        if is_long { 1 } else { self.repeats() }
    }

    /// Returns the number of runs of all other measurements.
    pub(super) fn repeats(self) -> usize {
        match self {
            Self::Full => RUNS,
            Self::Quick => 1,
        }
    }

    /// Returns the scenarios, in the order in which they run and appear in the tables.
    pub(super) fn scenarios(self) -> Vec<Scenario> {
        match self {
            Self::Full => matrix().into_iter().filter(|scenario| scenario.waiting() <= WAIT_MAX).collect(),
            Self::Quick => vec![SLOW_SMALL, MIDDLE, SLOW_MIDDLE, MILLION],
        }
    }

    /// Describes which part of the matrix is left out, and why.
    pub(super) fn left_out(self) -> String {
        match self {
            Self::Quick => "Only the scenarios that the targets are about; without --quick there are more.".to_owned(),
            Self::Full => {
                let long = matrix().into_iter().filter(|scenario| scenario.waiting() > WAIT_MAX);
                let names: Vec<String> =
                    long.map(|scenario| format!("{scenario} ({} s)", scenario.waiting().as_secs())).collect();
                format!("Left out, because they would only wait: {}.", names.join("; "))
            }
        }
    }
}

fn matrix() -> Vec<Scenario> {
    let mut all = Vec::new();
    for profiles in SIZES {
        for page_size in PAGE_SIZES {
            for latency in LATENCIES {
                for workers in [PARALLEL, SEQUENTIAL] {
                    all.push(Scenario { profiles, page_size, latency, workers });
                }
            }
        }
    }
    all
}

/// One fetch: the number of profiles, the page size, the server's latency per response, and the concurrency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scenario {
    pub(super) profiles: u64,
    pub(super) page_size: u64,
    pub(super) latency: Duration,
    /// Concurrent requests.
    pub(super) workers: u64,
}

impl Scenario {
    /// Returns a typical fetch: in parallel, with Mixpanel's default page size.
    pub(super) const fn typical(profiles: u64, latency: Duration) -> Self {
        Self { profiles, page_size: PAGE_SIZE, latency, workers: PARALLEL }
    }

    /// Returns the name of the fetch mode.
    pub(super) fn mode(&self) -> &'static str {
        if self.workers == SEQUENTIAL { "sequential" } else { "parallel" }
    }

    /// Returns whether the server is as slow as Mixpanel.
    pub(super) fn is_slow(&self) -> bool {
        self.latency == SLOW
    }

    /// Returns the number of round trips.
    ///
    /// The first page is always fetched alone, because it contains the total.
    fn rounds(&self) -> u64 {
        let pages = self.profiles.div_ceil(self.page_size).max(1);
        1 + (pages - 1).div_ceil(self.workers)
    }

    /// Returns the time spent waiting for the server.
    pub(super) fn waiting(&self) -> Duration {
        self.latency.saturating_mul(u32::try_from(self.rounds()).unwrap_or(u32::MAX))
    }

    /// Returns the options for `mp simulate` that configure this scenario's server.
    pub(super) fn server(&self) -> Vec<String> {
        let latency = format!("{}ms", self.latency.as_millis());
        let (profiles, page_size) = (self.profiles.to_string(), self.page_size.to_string());
        ["--quota", "off", "--profiles", &profiles, "--page-size", &page_size, "--latency", &latency]
            .map(str::to_owned)
            .to_vec()
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { profiles, page_size, latency, .. } = self;
        let (profiles, page_size) = (grouped(*profiles), grouped(*page_size));
        write!(f, "{profiles} profiles at {} ms, {page_size} a page, {}", latency.as_millis(), self.mode())
    }
}

/// Formats a number with commas as thousands separators.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_count_page_0_alone_then_batches_of_workers() {
        for (pages, parallel) in [(1, 1), (2, 2), (6, 2), (7, 3), (11, 3), (25, 6), (26, 6), (27, 7), (1_000, 201)] {
            let scenario = Scenario { page_size: 10_000, ..Scenario::typical(pages * 10_000, SLOW) };
            assert_eq!(scenario.rounds(), parallel, "{pages} pages");
            assert_eq!(Scenario { workers: SEQUENTIAL, ..scenario }.rounds(), pages);
        }
        assert_eq!(Scenario::typical(0, SLOW).rounds(), 1);
        assert_eq!(SLOW_SMALL.waiting(), Duration::from_millis(2_400));
        assert_eq!(Scenario { workers: SEQUENTIAL, ..SLOW_SMALL }.waiting(), Duration::from_secs(10));
    }

    #[test]
    fn only_scenarios_that_take_minutes_are_left_out() {
        let full = Extent::Full.scenarios();
        assert_eq!(full.len(), 3 * 2 * 3 * 2 - 1);
        let left_out = Extent::Full.left_out();
        assert!(left_out.contains("1,000,000 profiles at 400 ms, 1,000 a page, sequential (400 s)"), "{left_out}");
        let repeats = |scenario: &Scenario| u32::try_from(Extent::Full.runs(scenario)).unwrap();
        let waiting: Duration = full.iter().map(|scenario| scenario.waiting() * repeats(scenario)).sum();
        assert!(waiting < Duration::from_secs(9 * 60), "{waiting:?} of waiting leaves no time for the rest");
        assert!(Extent::Quick.scenarios().iter().all(|scenario| full.contains(scenario)));
    }

    #[test]
    fn short_scenarios_are_run_an_odd_number_of_times_and_long_ones_once() {
        assert_eq!([MILLION, SLOW_MIDDLE].map(|scenario| Extent::Full.runs(&scenario)), [3, 3]);
        assert_eq!(Extent::Full.runs(&Scenario { workers: SEQUENTIAL, ..SLOW_MIDDLE }), 1);
        assert_eq!(Extent::Full.runs(&Scenario::typical(1_000_000, Duration::from_millis(50))), 1);
        assert_eq!(Extent::Quick.runs(&MILLION), 1);
    }
}
