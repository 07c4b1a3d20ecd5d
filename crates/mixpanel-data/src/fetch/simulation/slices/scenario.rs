//! Generates a scenario from a seed.

use std::time::Duration;

use mixpanel_simulator::{
    EventClock, ExportFault, ExportFraming, ExportLimitStyle, FinalNewline, Quota, Revision, RowOrder, SimulatorConfig,
};

use super::super::scenario::{Draw, LoadFault};

/// A simulated project, and what happens to a fetch of it.
#[derive(Debug)]
pub(super) struct Scenario {
    pub(super) config: SimulatorConfig,
    /// Number of days to fetch, up to yesterday; 1 more if the last one has not begun.
    pub(super) days: i64,
    /// Number of days that the second fetch replaces.
    pub(super) refreshed_days: i64,
    pub(super) includes_tomorrow: bool,
    /// Event names to fetch; all if empty.
    pub(super) names: Vec<String>,
    pub(super) chunk_days: Option<u32>,
    /// How many requests the plan may need.
    pub(super) requests: u32,
    pub(super) workers: u32,
    pub(super) max_wait: Duration,
    pub(super) quota: crate::quota::Quota,
    pub(super) outages: Vec<(Duration, Duration)>,
    pub(super) interruptions: Vec<Interruption>,
    /// The same for the second fetch, which takes fewer steps.
    pub(super) refresh_interruptions: Vec<Interruption>,
    /// Faults of the first loads, one per load.
    pub(super) load_faults: Vec<LoadFault>,
}

/// How a process ends early.
#[derive(Debug, Clone, Copy)]
pub(super) enum Interruption {
    /// It is killed before this step, possibly leaving a damaged file.
    Crash { step: u64, damages: bool },
    /// The user stops it after this time.
    Stop { after: Duration },
}

const FAULTS: [&str; 18] = [
    "status=500",
    "status=503 header=Retry-After:7",
    "status=400",
    "cut=100",
    "cut=3000",
    "cut=1 framing=content-length",
    "stall=100 for=90s",
    "stall=0 for=400s",
    "delay=40s",
    "reset",
    "html",
    "rate-limit",
    "concurrency-limit",
    "terminated-early rows=0",
    "terminated-early rows=9",
    "error-line rows=3",
    "cut-line rows=5",
    "no-gzip-trailer",
];

pub(super) fn scenario(seed: u64) -> Scenario {
    let draw = &mut Draw::new(seed ^ 0x51CE);
    let days = 1 + i64::try_from(draw.below(24)).unwrap();
    let config = server(draw, seed);
    let outages = if draw.once_in(8) {
        let begin = Duration::from_millis(draw.below(20_000));
        vec![(begin, begin + Duration::from_secs(1 + draw.below(60)))]
    } else {
        Vec::new()
    };
    let interruptions = (0..draw.pick(&[0, 0, 1, 1, 2, 3])).map(|_| interruption(draw, 60)).collect();
    let window = config.export_quota.unwrap_or_default();
    let quota = crate::quota::Quota { window: window.window, ..crate::quota::Quota::default() };
    // Half of the clients use the server's quota; the others assume the documented one.
    let quota = if draw.once_in(2) { crate::quota::Quota { requests: window.requests, ..quota } } else { quota };
    let names = ["App Open", "Search", "View Item", "Purchase"];
    let names = if draw.once_in(4) { names.map(str::to_owned).to_vec() } else { Vec::new() };
    Scenario {
        config,
        days,
        refreshed_days: 1 + i64::try_from(draw.below(u64::try_from(days).unwrap())).unwrap(),
        includes_tomorrow: draw.once_in(8),
        names,
        chunk_days: draw.pick(&[None, None, Some(1), Some(3), Some(7), Some(100)]),
        requests: draw.pick(&[50, 50, 5, 1]),
        workers: u32::try_from(1 + draw.below(8)).unwrap(),
        max_wait: draw.pick(&[Duration::from_secs(1_800), Duration::from_secs(2 * 3_600)]),
        quota,
        outages,
        interruptions,
        load_faults: (0..draw.pick(&[0, 0, 0, 1, 2]))
            .map(|_| draw.pick(&[LoadFault::Before, LoadFault::After]))
            .collect(),
        refresh_interruptions: (0..draw.pick(&[0, 1, 1, 2])).map(|_| interruption(draw, 12)).collect(),
    }
}

/// Returns an interruption; a crash comes before step `steps`.
fn interruption(draw: &mut Draw, steps: u64) -> Interruption {
    if draw.once_in(4) {
        return Interruption::Stop { after: Duration::from_millis(draw.below(30_000)) };
    }
    Interruption::Crash { step: draw.below(steps), damages: draw.once_in(4) }
}

fn server(draw: &mut Draw, seed: u64) -> SimulatorConfig {
    let mut config = SimulatorConfig { seed, ..SimulatorConfig::default() }.with_profiles(20);
    config.recent_requests = 0;
    config.latency = Duration::from_millis(draw.pick(&[0, 50, 2_000]));
    config.jitter = Duration::from_millis(draw.pick(&[0, 100, 9_000]));
    config.events.per_day = Some(draw.pick(&[3, 12, 30]));
    config.events.clock = EventClock::Frozen;
    config.events.revision = Revision::Fixed(0);
    (config.events.late_rows, config.events.deleted_rows, config.events.rekeyed) = (0.1, 0.1, 0.1);
    config.events.order = draw.pick(&[RowOrder::Fixed, RowOrder::Shuffled]);
    config.events.framing = draw.pick(&[ExportFraming::Chunked, ExportFraming::ContentLength]);
    config.events.final_newline = draw.pick(&[FinalNewline::Present, FinalNewline::Missing]);
    config.events.limit_style = draw.pick(&[ExportLimitStyle::Json, ExportLimitStyle::JsonWithRetryAfter]);
    config.events.gzip_threshold = draw.pick(&[0, 1_400, usize::MAX]);
    let requests = u32::try_from(2 + draw.below(30)).unwrap();
    let window = Duration::from_secs(draw.pick(&[60, 600, 3_600]));
    config.export_quota = draw.once_in(2).then_some(Quota { requests, window });
    for _ in 0..draw.below(5) {
        let fault = draw.pick(&FAULTS);
        let selector = match draw.below(4) {
            0 => format!("requests={} ", draw.below(20)),
            1 => format!("every={} ", 1 + draw.below(5)),
            2 => format!("longer={} ", 1 + draw.below(4)),
            _ => String::new(),
        };
        // Permanent faults lead to partial tables.
        let times = if draw.once_in(6) { String::new() } else { format!("times={} ", 1 + draw.below(3)) };
        config.export_faults.push(format!("{selector}{times}{fault}").parse::<ExportFault>().unwrap());
    }
    if draw.once_in(30) {
        let fault = draw.pick(&["status=401 total=1", "status=403", "hourly-limit total=1"]);
        config.export_faults.push(format!("requests={} {fault}", draw.below(8)).parse().unwrap());
    }
    config
}
