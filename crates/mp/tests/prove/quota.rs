//! The hourly limit, shortened to seconds, across kills and between processes.

use std::time::{Duration, Instant};

use mixpanel_simulator::{Quota, SessionPages, SimulatorConfig, Stats};
use rustix::process::Signal;

use crate::cases::Length;
use crate::fetches::{check_rows, staged};
use crate::support::{Home, Simulator};
use crate::tools::{Running, finish};

/// Mixpanel's limit of counted requests per window.
const LIMIT: u32 = 60;

/// Maximum number of requests in flight when the first one is rejected.
const REFUSED_AT_MOST: usize = 5;

/// Number of pages of an export that does not fit into a window.
const PAGES: u64 = 65;

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
