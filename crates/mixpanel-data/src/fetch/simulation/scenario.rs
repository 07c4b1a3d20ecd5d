//! Generates a scenario from a seed.

use std::time::Duration;

use mixpanel_simulator::{
    CopyChange, Fault, OddProfile, PastEnd, ProfileCopy, Quota, SessionIdMode, SessionPages, SimulatorConfig, TotalMode,
};

use crate::profile_query::IfExists;

/// A seeded random number generator (SplitMix64).
#[derive(Debug, Clone)]
pub(super) struct Draw(u64);

impl Draw {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5EED)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `end`; an `end` of 0 is treated as 1.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// Returns true once in `times` calls on average.
    pub(super) fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::try_from(self.below(from.len() as u64)).unwrap()]
    }

    pub(super) fn fraction(&mut self) -> f64 {
        self.below(1 << 20) as f64 / f64::from(1 << 20)
    }
}

/// A simulated world and what happens in it.
#[derive(Debug)]
pub(super) struct Scenario {
    pub(super) config: SimulatorConfig,
    pub(super) if_exists: IfExists,
    /// Whether the table already exists before the run, with one row.
    pub(super) has_old_table: bool,
    pub(super) workers: u32,
    pub(super) max_wait: Duration,
    /// The quota that the client assumes, which may be wrong.
    pub(super) quota: crate::quota::Quota,
    /// Periods in which the server is unreachable.
    pub(super) outages: Vec<(Duration, Duration)>,
    /// Interruptions of the first processes; later ones are not interrupted.
    pub(super) interruptions: Vec<Interruption>,
    /// Faults to inject into the first loads, one per load; later loads succeed.
    pub(super) load_faults: Vec<LoadFault>,
}

/// How a load fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LoadFault {
    /// Nothing is committed.
    Before,
    /// Everything is committed, but the process receives an error.
    After,
}

/// How a process ends early.
#[derive(Debug, Clone, Copy)]
pub(super) enum Interruption {
    /// It is killed before this step.
    Crash { step: u64, torn: Torn },
    /// The user stops it after this time.
    Stop { after: Duration },
}

/// What a killed process leaves unfinished on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Torn {
    Nothing,
    /// A temporary file with half a page.
    Temporary,
    /// The rejects of a page, without the page.
    RejectsAlone,
    /// A page with some wrong bytes.
    Damaged,
}

const ODD: [OddProfile; 14] = [
    OddProfile::IdNumber,
    OddProfile::IdTwentyDigits,
    OddProfile::IdMissing,
    OddProfile::IdNull,
    OddProfile::IdBool,
    OddProfile::PropertiesNull,
    OddProfile::PropertiesMissing,
    OddProfile::PropertiesArray,
    OddProfile::NotAnObject,
    OddProfile::LastSeenMissing,
    OddProfile::LastSeenGarbage,
    OddProfile::LastSeenNull,
    OddProfile::NumberThirtyDigits,
    OddProfile::DuplicateKeys,
];

/// Excludes `not-utf8`: a record that is not UTF-8 is rejected, even if a second response contains it intact.
const FAULTS: [&str; 17] = [
    "status=500",
    "status=503 header=Retry-After:7",
    "status=404",
    "status=400",
    "cut=100",
    "cut=1 framing=chunked",
    "stall=100 for=90s",
    "stall=0 for=500s",
    "delay=9s",
    "reset",
    "html",
    "empty",
    "invalid-json",
    "error-in-200",
    "wrong-page",
    "load-shed",
    "concurrency-limit",
];

pub(super) fn scenario(seed: u64) -> Scenario {
    let draw = &mut Draw::new(seed);
    let page_size = 1 + draw.below(6);
    let pages = if draw.once_in(12) { draw.below(2) } else { draw.below(22) };
    let profiles = pages * page_size + draw.below(page_size + 1);
    let config = server(draw, seed, profiles, u32::try_from(page_size).unwrap());
    let outages = if draw.once_in(8) {
        let begin = Duration::from_millis(draw.below(20_000));
        vec![(begin, begin + Duration::from_secs(1 + draw.below(60)))]
    } else {
        Vec::new()
    };
    let interruptions = (0..draw.pick(&[0, 0, 1, 1, 2, 3])).map(|_| interruption(draw)).collect();
    let has_old_table = draw.once_in(2);
    let window = config.quota.unwrap_or_default();
    // Half of the clients use the server's quota; the others assume the documented one.
    let quota = if draw.once_in(2) {
        crate::quota::Quota { requests: window.requests, window: window.window, reserve: 0 }
    } else {
        crate::quota::Quota { window: window.window, ..crate::quota::Quota::default() }
    };
    Scenario {
        config,
        if_exists: if has_old_table { IfExists::Replace } else { IfExists::Fail },
        has_old_table,
        workers: u32::try_from(1 + draw.below(5)).unwrap(),
        max_wait: draw.pick(&[Duration::from_secs(30), Duration::from_secs(2 * 3600), Duration::from_secs(2 * 3600)]),
        quota,
        outages,
        interruptions,
        load_faults: (0..draw.pick(&[0, 0, 0, 1, 2]))
            .map(|_| draw.pick(&[LoadFault::Before, LoadFault::After]))
            .collect(),
    }
}

fn interruption(draw: &mut Draw) -> Interruption {
    if draw.once_in(4) {
        return Interruption::Stop { after: Duration::from_millis(draw.below(30_000)) };
    }
    let torn =
        draw.pick(&[Torn::Nothing, Torn::Nothing, Torn::Temporary, Torn::RejectsAlone, Torn::Temporary, Torn::Damaged]);
    Interruption::Crash { step: draw.below(120), torn }
}

fn server(draw: &mut Draw, seed: u64, profiles: u64, page_size: u32) -> SimulatorConfig {
    let mut config = SimulatorConfig { seed, page_size, ..SimulatorConfig::default() }.with_profiles(profiles);
    config.recent_requests = 0;
    config.total = match draw.below(10) {
        0 => TotalMode::Missing,
        1 => TotalMode::EveryPage,
        2 => TotalMode::OffBy(i64::try_from(draw.below(7)).unwrap() - 3),
        3 => TotalMode::DriftPerPage(i64::try_from(draw.below(5)).unwrap() - 2),
        _ => TotalMode::FirstPage,
    };
    if draw.once_in(4) {
        config.session_id = SessionIdMode::NullOnLastPage;
    }
    if draw.once_in(3) {
        config.past_end = PastEnd::BadRequest;
    }
    config.latency = Duration::from_millis(draw.pick(&[0, 50, 400]));
    config.jitter = Duration::from_millis(draw.pick(&[0, 100, 3_000]));
    if draw.once_in(3) {
        config.session_pages = SessionPages::Counted;
    }
    let requests = u32::try_from(2 + draw.below(20)).unwrap();
    let window = Duration::from_secs(draw.pick(&[60, 600, 3_600]));
    config.quota = draw.once_in(2).then_some(Quota { requests, window });
    config.concurrency = draw.pick(&[None, Some(5), Some(5), Some(2)]);
    config.session_max_age = draw.once_in(12).then(|| Duration::from_secs(2 + draw.below(3_000)));
    for _ in 0..draw.below(4) {
        config.odd_profiles.push((draw.below(profiles.max(1)), draw.pick(&ODD)));
    }
    for _ in 0..draw.below(3) {
        let change = draw.pick(&[CopyChange::Identical, CopyChange::LaterLastSeen]);
        config.copies.push(ProfileCopy { from: draw.below(profiles.max(1)), to: draw.below(profiles.max(1)), change });
    }
    // If the total is missing or too small, the client cannot tell whether a page beyond it exists if that page is
    // refused or fails repeatedly. Such scenarios therefore have few faults and no refusals.
    let is_total_true =
        matches!(config.total, TotalMode::FirstPage | TotalMode::EveryPage | TotalMode::DriftPerPage(_));
    for number in 0..draw.below(5) {
        let fault = draw.pick(&FAULTS);
        if !is_total_true && number > 0 {
            break;
        }
        if !is_total_true && matches!(fault, "status=404" | "status=400") {
            continue;
        }
        // Permanent faults lead to partial tables.
        let times = match () {
            () if !is_total_true => " times=1".to_owned(),
            () if draw.once_in(6) => String::new(),
            () => format!(" times={}", 1 + draw.below(3)),
        };
        let page = draw.below(profiles / u64::from(page_size) + 2);
        config.faults.push(format!("pages={page} {fault}{times}").parse::<Fault>().unwrap());
    }
    if draw.once_in(5) {
        let page = 1 + draw.below(profiles / u64::from(page_size) + 2);
        // A replaced session cannot be detected on a page without a session id.
        let named = config.session_id == SessionIdMode::EveryPage;
        let kind = if named { draw.pick(&["lost-session", "replaced-session"]) } else { "lost-session" };
        let times = draw.pick(&["1", "2", "3"]);
        config.faults.push(format!("pages={page} {kind} times={times}").parse().unwrap());
    }
    if draw.once_in(30) {
        config.faults.push(
            format!(
                "pages={} {}",
                draw.below(8),
                draw.pick(&["status=401 times=1", "status=403", "hourly-limit times=1"])
            )
            .parse()
            .unwrap(),
        );
    }
    config
}
