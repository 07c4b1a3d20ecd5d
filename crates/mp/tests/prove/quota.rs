//! The hourly limit, shortened to seconds, across kills and between processes.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jiff::{Timestamp, ToSpan as _};
use mixpanel_simulator::{EventOptions, Events, Quota, SessionPages, SimulatorConfig, Stats};
use rustix::process::Signal;

use crate::cases::Length;
use crate::fetches::{check_rows, staged};
use crate::support::{Home, Run, Simulator};
use crate::tools::{Running, finish};

/// Mixpanel's limit of counted requests per window.
const LIMIT: u32 = 60;

/// Maximum number of requests in flight when the first one is rejected.
const REFUSED_AT_MOST: usize = 5;

/// Number of pages of an export that does not fit into a window.
const PAGES: u64 = 65;

/// Time without an export after which it counts as a wait for the quota. Without one, three may follow each other every
/// 1.25 s.
const PAUSE: Duration = Duration::from_secs(3);

/// Begins the announcement of a wait.
const ANNOUNCED: &str = "waiting until";

/// How late the test may see an export that the server received.
const SEEN_LATE: Duration = Duration::from_millis(250);

/// Time after which the command counts as hung.
const HUNG: Duration = Duration::from_secs(120);

#[test]
fn the_limit_holds_over_kills_and_between_processes() {
    let window = Duration::from_secs(Length::wanted().pick(60, 8));
    let quota = format!("{LIMIT}/{}s", window.as_secs());
    let simulator = Simulator::start(
        SimulatorConfig {
            session_pages: SessionPages::Counted,
            quota: Some(quota.parse::<Quota>().expect("a quota")),
            page_size: 10,
            latency: Duration::from_millis(20),
            ..SimulatorConfig::default()
        }
        .with_profiles(PAGES * 10),
    );
    let home = Home::new().with_server(&simulator);

    let fetch = |name| ["fetch", "profiles", name, "--parallel", "--quota", &quota];
    let resume = ["fetch", "resume", "--parallel", "--quota", &quota];
    let first = Running::until(home.command(&fetch("profiles")), "page 0");
    until(&simulator, "20 pages", |stats| stats.requests >= 20);
    first.send(Signal::KILL);
    assert_eq!(first.end().1.code, None);
    let kept = staged(&home).len();
    let second = Running::until(home.command(&resume), "waiting until");
    // Wait for the requests in flight, which would otherwise be attributed to the third process.
    until(&simulator, "the limit", |stats| stats.counted_requests >= u64::from(LIMIT));
    second.send(Signal::KILL);
    assert_eq!(second.end().1.code, None);
    let refused = simulator.stats().too_many_requests.hourly;
    let third = home.run(&resume).exits(0).says(&["waiting until"]);
    let now_refused = simulator.stats().too_many_requests.hourly;
    assert_eq!(now_refused, refused, "the limit was forgotten with the process that knew it: {}", third.stderr);
    check_rows(&home, "profiles", PAGES * 10);
    check_windows(&simulator.stats());

    std::thread::scope(|scope| {
        for name in ["one", "two"] {
            let (home, fetch) = (&home, &fetch);
            // Without the usual timeout: each process also waits for the other's requests to leave the window.
            scope.spawn(move || finish(home.command(&fetch(name))).exits(0));
        }
    });
    for name in ["one", "two"] {
        check_rows(&home, name, PAGES * 10);
    }
    let stats = simulator.stats();
    check_windows(&stats);
    eprintln!(
        "prove: {PAGES} pages at {quota}, killed with {kept} pages and in the wait, then 2 processes at once: at most {} \
         counted and {} refused in a window",
        stats.max_counted_in_window, stats.max_refused_in_window
    );
}

/// The server allows far more, so only `mp` enforces the limit.
#[test]
fn a_limit_below_that_of_the_server_is_shared_by_processes() {
    let length = Length::wanted();
    let (limit, window, fetches) = (8, length.pick(5, 2), length.pick(40, 20));
    let servers = Some(Quota { requests: 9_999, window: Duration::from_secs(window) });
    let config = SimulatorConfig { quota: servers, page_size: 10, ..SimulatorConfig::default() };
    let simulator = Simulator::start(config.with_profiles(5));
    let quota = format!("{limit}/{window}s");
    let home = Home::new().with_server(&simulator);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (home, quota) = (&home, &quota);
            scope.spawn(move || {
                for number in (thread..fetches).step_by(4) {
                    // A separate database for each, so that no process waits for another's load.
                    let _fetched =
                        home.run(&["fetch", "profiles", "--quota", quota, "--db", &format!("{number}.db")]).exits(0);
                }
            });
        }
    });
    let most = simulator.stats().max_counted_in_window;
    assert!(most <= limit, "{most} counted requests within {window} s, and {limit} are allowed");
    eprintln!("prove: {fetches} fetches of 4 processes at a time at {quota}: at most {most} counted in a window");
}

/// Waits until the simulator's statistics meet this condition.
fn until(simulator: &Simulator, what: &str, seen: impl Fn(&Stats) -> bool) {
    let begun = Instant::now();
    while !seen(&simulator.stats()) {
        assert!(begun.elapsed() < HUNG, "it does not come to {what}: {:?}", simulator.stats());
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn check_windows(stats: &Stats) {
    let (counted, refused) = (stats.max_counted_in_window, stats.max_refused_in_window);
    assert!(counted <= LIMIT as usize, "{counted} requests were counted within one window");
    assert!(refused <= REFUSED_AT_MOST, "{refused} requests were refused within one window");
}

/// A request for each day needs more requests than the window allows. The server's log of exports, the announcements and
/// the estimate must agree. The wait may differ from the estimate by a tenth of the window, or 2 s in a short one.
#[test]
fn exports_stay_within_their_limit_and_wait_as_estimated() {
    let (limit, window, days): (u32, u64, u32) = Length::wanted().pick((LIMIT, 60, 90), (12, 10, 18));
    let (quota, window) = (format!("{limit}/{window}s"), Duration::from_secs(window));
    let config = SimulatorConfig {
        events: EventOptions { per_day: Some(60), ..EventOptions::clean() },
        reference_time: Timestamp::now(),
        export_quota: Some(quota.parse().expect("a quota")),
        // Requests that were sent apart arrive together on a busy machine.
        export_per_second: None,
        latency: Duration::from_millis(20),
        ..SimulatorConfig::default()
    };
    let config = config.with_profiles(500);
    let (simulator, events) = (Simulator::start(config.clone()), Events::new(&config));
    let home = Home::new().with_server(&simulator);
    let first = events.today().saturating_sub(i64::from(days - 1).days());
    let (from, to) = (first.to_string(), events.today().to_string());
    let fetch = ["fetch", "events", "--from", &from, "--to", &to, "--chunk-days", "1", "--parallel", "--quota", &quota];

    let plan = home.run(&[&fetch[..], &["--plan"]].concat()).exits(0).json();
    assert_eq!((plan["requests"].as_u64(), simulator.stats().requests), (Some(days.into()), 0), "{plan}");
    let estimate = plan["wait_seconds"].as_f64().expect("a number");

    let (exports, lines, run) = watch(&simulator, home.command(&fetch));
    let rows: u64 = first.series(1.day()).take_while(|day| *day <= events.today()).map(|day| events.count(day)).sum();
    assert_eq!(run.exits(0).json()["rows"], rows);
    let stats = simulator.stats().export;
    assert_eq!((stats.requests, stats.refused_hourly, exports.len()), (days.into(), 0, days as usize), "{stats:?}");
    assert_eq!(stats.max_counted_in_window, limit as usize, "{stats:?}");
    let limit = limit as usize;
    for times in exports.windows(limit + 1) {
        let within = times[limit] - times[0] + SEEN_LATE;
        assert!(within >= window, "{} exports within {within:?}", limit + 1);
    }

    let waits = check_announced(&exports, &lines);
    assert!(waits > 0, "no wait was long enough to be checked");
    // From the last export that fits into the first window, each waits until an earlier one leaves the window.
    let waited = (exports[exports.len() - 1] - exports[limit - 1]).as_secs_f64();
    let tolerance = (window / 10).max(Duration::from_secs(2)).as_secs_f64();
    assert!((waited - estimate).abs() <= tolerance, "{estimate} s were estimated, and it waited {waited} s");
    eprintln!(
        "prove: {days} days of events at {quota}: at most {} exports in a window, {waits} long waits, {} announcements, \
         {estimate:.1} s estimated and {waited:.1} s waited",
        stats.max_counted_in_window,
        lines.iter().filter(|(_, line)| line.starts_with(ANNOUNCED)).count()
    );
}

/// Checks that each wait was announced when it began, with its length. Returns the number of waits.
fn check_announced(exports: &[Instant], lines: &[(Instant, String)]) -> usize {
    let waits = exports.windows(2).filter(|times| times[1] - times[0] > PAUSE);
    let check = |times: &[Instant]| {
        let is_of_wait = |(at, line): &&(Instant, String)| {
            let seconds = line.split_once(" (").and_then(|(_, rest)| rest.split_once("s)")?.0.parse().ok());
            let end = *at + Duration::from_secs(seconds.unwrap_or_default());
            // The length is rounded to seconds.
            let is_end = end + PAUSE / 2 > times[1] && end < times[1] + PAUSE / 2;
            line.starts_with(ANNOUNCED) && *at < times[0] + PAUSE / 2 && is_end
        };
        let wait = times[1] - times[0];
        let after = |at: Instant| at.saturating_duration_since(exports[0]).as_secs_f64();
        let exports: Vec<f64> = exports.iter().map(|at| after(*at)).collect();
        let shown: Vec<_> = lines.iter().map(|(at, line)| (after(*at), line)).collect();
        assert!(
            lines.iter().any(|line| is_of_wait(&line)),
            "a wait of {wait:?} was not announced: exports at {exports:.2?} s, lines at {shown:.2?}"
        );
    };
    waits.map(check).count()
}

/// Runs a command. Returns when the server received each export, and when it printed each line.
fn watch(simulator: &Simulator, mut command: Command) -> (Vec<Instant>, Vec<(Instant, String)>, Run) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let (mut exports, mut lines, has_ended) = (Vec::new(), Vec::new(), AtomicBool::new(false));
    let stderr = BufReader::new(child.stderr.take().expect("a pipe"));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (mut is_last, mut before) = (false, Instant::now());
            while !is_last {
                // Read before the statistics, which then contain the last export.
                is_last = has_ended.load(Ordering::SeqCst);
                let seen = usize::try_from(simulator.stats().export.requests).expect("a few");
                let now = Instant::now();
                exports.resize(seen, now);
                if now - before > SEEN_LATE {
                    eprintln!("the test was itself paused for {:?}", now - before);
                }
                before = now;
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        lines.extend(stderr.lines().map(|line| (Instant::now(), line.expect("a line"))));
        has_ended.store(true, Ordering::SeqCst);
    });
    let mut stdout = Vec::new();
    child.stdout.take().expect("a pipe").read_to_end(&mut stdout).expect("output");
    let stderr = lines.iter().flat_map(|(_, line)| [line.as_bytes(), b"\n"].concat()).collect();
    let run = Run::new(Output { status: child.wait().expect("it ends"), stdout, stderr });
    (exports, lines, run)
}
