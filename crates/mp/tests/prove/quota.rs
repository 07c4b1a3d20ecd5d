//! The hourly limit, with an hour of some seconds, over kills and between processes.

use std::time::{Duration, Instant};

use mixpanel_simulator::{Quota, SessionPages, SimulatorConfig, Stats};
use rustix::process::Signal;

use crate::cases::Length;
use crate::fetches::{check_rows, staged};
use crate::support::{Home, Simulator};
use crate::tools::{Running, finish};

/// Mixpanel's number of counted requests in a window.
const LIMIT: u32 = 60;

/// Requests in flight when the first of them is refused.
const REFUSED_AT_MOST: usize = 5;

/// Pages of the export that does not fit into a window.
const PAGES: u64 = 65;

/// Time after which something that should have happened counts as hung.
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
    // All that are in flight must have been answered, or the third process would be blamed for them.
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
            // Longer than other tests let a command run: each waits for the other's requests to leave the window, too.
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
        stats.greatest_counted_in_window, stats.greatest_refused_in_window
    );
}

/// The server would allow much more, so only the program keeps the limit.
#[test]
fn a_limit_below_the_servers_holds_between_processes() {
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
                    // One database each, so that no process waits for the load of another.
                    let _fetched =
                        home.run(&["fetch", "profiles", "--quota", quota, "--db", &format!("{number}.db")]).exits(0);
                }
            });
        }
    });
    let most = simulator.stats().greatest_counted_in_window;
    assert!(most <= limit, "{most} counted requests within {window} s, and {limit} are allowed");
    eprintln!("prove: {fetches} fetches of 4 processes at a time at {quota}: at most {most} counted in a window");
}

/// Waits until the simulator has seen this.
fn until(simulator: &Simulator, what: &str, seen: impl Fn(&Stats) -> bool) {
    let begun = Instant::now();
    while !seen(&simulator.stats()) {
        assert!(begun.elapsed() < HUNG, "it does not come to {what}: {:?}", simulator.stats());
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn check_windows(stats: &Stats) {
    let (counted, refused) = (stats.greatest_counted_in_window, stats.greatest_refused_in_window);
    assert!(counted <= LIMIT as usize, "{counted} requests were counted within one window");
    assert!(refused <= REFUSED_AT_MOST, "{refused} requests were refused within one window");
}
