//! What is measured, and how fast it could be at best.

use std::fmt;
use std::time::Duration;

/// Profiles on a page: Mixpanel's own number.
const PAGE_SIZE: u64 = 1_000;

/// Requests at once: what Mixpanel allows, and what `mp fetch profiles --parallel` does unless told otherwise.
const WORKERS: u64 = 5;

/// How many times each scenario is run, unless it has to be quick. Odd, so that the median is a run.
const RUNS: usize = 3;

/// How much of the bench is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Every scenario, several times.
    Full,
    /// What can be said in a few seconds: the short scenarios, once.
    Quick,
}

impl Extent {
    /// How many times each scenario is run.
    pub(crate) fn runs(self) -> usize {
        match self {
            Self::Full => RUNS,
            Self::Quick => 1,
        }
    }

    /// The scenarios, in the order in which they are run and shown.
    pub(crate) fn scenarios(self) -> Vec<Scenario> {
        // Twenty-five pages and a server as slow as the real one: the waiting is what counts.
        let waiting = |mode| Scenario { profiles: 24_600, latency: Duration::from_millis(400), mode };
        // No waiting at all: our own speed is what counts.
        let working = |profiles| Scenario { profiles, latency: Duration::ZERO, mode: Mode::Parallel };
        match self {
            Self::Full => {
                vec![waiting(Mode::Parallel), waiting(Mode::Sequential), working(100_000), working(1_000_000)]
            }
            Self::Quick => vec![waiting(Mode::Parallel), working(100_000)],
        }
    }
}

/// How pages are fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Parallel,
    Sequential,
}

impl Mode {
    /// The name in the table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Parallel => "parallel",
            Self::Sequential => "sequential",
        }
    }
}

/// One fetch of so many profiles from a server that takes so long for every reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scenario {
    pub(crate) profiles: u64,
    pub(crate) latency: Duration,
    pub(crate) mode: Mode,
}

impl Scenario {
    /// How many replies must be waited for one after the other.
    ///
    /// The first page is always fetched alone, because it says how many there are.
    fn rounds(&self) -> u64 {
        let pages = self.profiles.div_ceil(PAGE_SIZE).max(1);
        match self.mode {
            Mode::Parallel => 1 + (pages - 1).div_ceil(WORKERS),
            Mode::Sequential => pages,
        }
    }

    /// The options of `mp simulate` that make a server for it.
    pub(crate) fn server(&self) -> Vec<String> {
        let latency = format!("{}ms", self.latency.as_millis());
        let (profiles, page_size) = (self.profiles.to_string(), PAGE_SIZE.to_string());
        ["--quota", "off", "--profiles", &profiles, "--page-size", &page_size, "--latency", &latency]
            .map(str::to_owned)
            .to_vec()
    }

    /// The time that waiting for the server alone takes; none if the server does not make one wait.
    pub(crate) fn ideal(&self) -> Option<Duration> {
        let rounds = u32::try_from(self.rounds()).unwrap_or(u32::MAX);
        (!self.latency.is_zero()).then(|| self.latency.saturating_mul(rounds))
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { profiles, latency, mode } = self;
        write!(f, "{} profiles at {} ms, {}", grouped(*profiles), latency.as_millis(), mode.name())
    }
}

/// Writes a number with a comma between thousands.
pub(crate) fn grouped(number: u64) -> String {
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

    fn rounds(profiles: u64, mode: Mode) -> u64 {
        Scenario { profiles, latency: Duration::ZERO, mode }.rounds()
    }

    #[test]
    fn sequentially_every_page_is_a_round() {
        assert_eq!(rounds(24_600, Mode::Sequential), 25);
        assert_eq!(rounds(1_000, Mode::Sequential), 1);
        assert_eq!(rounds(1_001, Mode::Sequential), 2);
    }

    #[test]
    fn in_parallel_the_first_page_comes_alone_and_the_others_in_fives() {
        for (pages, expected) in [(1, 1), (2, 2), (6, 2), (7, 3), (11, 3), (25, 6), (26, 6), (27, 7)] {
            assert_eq!(rounds(pages * PAGE_SIZE, Mode::Parallel), expected, "{pages} pages");
        }
    }

    #[test]
    fn the_scenario_reaches_the_simulator() {
        let line = Extent::Quick.scenarios()[0].server().join(" ");
        assert!(line.contains("--profiles 24600") && line.contains("--latency 400ms"), "{line}");
    }

    #[test]
    fn nobody_at_all_is_one_round_too() {
        assert_eq!(rounds(0, Mode::Parallel), 1);
        assert_eq!(rounds(0, Mode::Sequential), 1);
    }

    #[test]
    fn twenty_five_slow_pages_take_six_waits_instead_of_twenty_five() {
        let ideal = |mode| Scenario { profiles: 24_600, latency: Duration::from_millis(400), mode }.ideal();
        assert_eq!(ideal(Mode::Parallel), Some(Duration::from_millis(2_400)));
        assert_eq!(ideal(Mode::Sequential), Some(Duration::from_secs(10)));
    }

    #[test]
    fn without_latency_there_is_nothing_to_compare_with() {
        assert_eq!(Scenario { profiles: 1, latency: Duration::ZERO, mode: Mode::Parallel }.ideal(), None);
    }

    #[test]
    fn a_quick_bench_leaves_out_what_takes_long() {
        let quick = Extent::Quick.scenarios();
        let full = Extent::Full.scenarios();
        assert!(quick.iter().all(|scenario| full.contains(scenario)), "{quick:?}");
        assert!(quick.iter().all(|scenario| scenario.mode == Mode::Parallel && scenario.profiles < 1_000_000));
        assert_eq!(Extent::Quick.runs(), 1);
        assert_eq!(Extent::Full.runs() % 2, 1, "the median must be a run");
    }

    #[test]
    fn thousands_are_set_apart() {
        let cases = [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (24_600, "24,600"),
            (100_000, "100,000"),
            (1_000_000, "1,000,000"),
        ];
        for (number, text) in cases {
            assert_eq!(grouped(number), text);
        }
    }
}
