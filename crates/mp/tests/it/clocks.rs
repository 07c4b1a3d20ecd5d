//! Clocks that differ from the server's.

use std::time::Duration;

use mixpanel_simulator::{OddEvent, SimulatorConfig};
use serde_json::json;

use crate::events;
use crate::support::{Home, Simulator};

const FIVE_DAYS: Duration = Duration::from_secs(5 * 86_400);

fn simulator(clock_behind: Duration, clock_ahead: Duration) -> Simulator {
    let config = SimulatorConfig { clock_behind, clock_ahead, page_size: 100, ..SimulatorConfig::default() };
    Simulator::start(config.with_profiles(300))
}

fn value(home: &Home, sql: &str) -> String {
    home.run(&["query", "sql", "-s", "-f", "plain", sql]).exits(0).stdout
}

/// Returns the hours from a recorded time in UTC to now.
fn age(home: &Home, time: &str) -> i64 {
    let sql = format!("SELECT round(epoch(now() AT TIME ZONE 'UTC' - {time}) / 3600)::BIGINT");
    value(home, &sql).trim().parse().expect("hours")
}

#[test]
fn times_are_recorded_by_the_clock_of_the_server_and_a_full_load_is_not_repeated() {
    let zero = Duration::ZERO;
    let right = simulator(zero, zero);
    for (case, behind, ahead, hours, warning) in [
        ("ahead", FIVE_DAYS, zero, 120, Some("this machine's clock is 5d 00h ahead of the server's; ")),
        ("behind", zero, FIVE_DAYS, -120, Some("this machine's clock is ")),
        ("within the tolerance", zero, Duration::from_secs(240), 0, None),
    ] {
        let simulator = simulator(behind, ahead);
        let home = Home::new().with_server(&simulator);
        let run = home.run(&["fetch", "profiles", "users", "--no-progress"]).exits(0);
        let found = run.stderr.lines().find_map(|line| line.strip_prefix("warning: "));
        assert_eq!(found.is_some(), warning.is_some(), "{case}: {}", run.stderr);
        if let (Some(found), Some(start)) = (found, warning) {
            assert!(found.starts_with(start), "{case}: {found}");
            let side = if hours > 0 { " ahead of the server's" } else { " behind the server's" };
            assert!(found.contains(side), "{case}: {found}");
            assert!(found.ends_with("; loads are recorded with the server's time"), "{case}: {found}");
        }
        let result =
            format!("TIMESTAMP '{}'", run.json()["fetched_at"].as_str().expect("a time").trim_end_matches('Z'));
        let listed = home.run(&["inspect", "tables", "--jq", ".[] | select(.name == \"users\").fetched_at"]).exits(0);
        let listed = format!("TIMESTAMP '{}'", listed.stdout.trim().trim_end_matches('Z'));
        let (started, finished) = ("(SELECT started_at FROM _fetches)", "(SELECT finished_at FROM _fetches)");
        for time in [&result, &listed, started, finished] {
            assert_eq!(age(&home, time), hours, "{case}: {time}");
        }
        assert_eq!(value(&home, "SELECT started_at <= finished_at FROM _fetches"), "true\n", "{case}");
        // A replaced table would not have this row.
        let insert = "INSERT INTO users SELECT 'mine', properties, last_seen FROM users LIMIT 1";
        duckdb::Connection::open(home.database()).expect("a database").execute_batch(insert).expect("SQL");
        let refresh = ["fetch", "profiles", "users", "--refresh", "--full-every", "1h", "-q"];
        let _same_clock = home.run(&refresh).exits(0);
        let home = home.with_server(&right);
        let _right_clock = home.run(&refresh).exits(0);
        assert_eq!(value(&home, "SELECT count(*) FROM users WHERE distinct_id = 'mine'"), "1\n", "{case}");
    }
}

/// A run that was fetched while the clock was wrong, and is only loaded later, has the times of the server, too.
#[test]
fn a_resumed_run_is_recorded_by_the_clock_of_the_server() {
    let config = SimulatorConfig {
        clock_ahead: FIVE_DAYS,
        page_size: 100,
        faults: vec!["pages=1 status=404 times=1".parse().expect("a fault")],
        ..SimulatorConfig::default()
    };
    let simulator = Simulator::start(config.with_profiles(300));
    let home = Home::new().with_server(&simulator);
    let _partial = home.run(&["fetch", "profiles", "users", "-q"]).exits(1);
    let _whole = home.run(&["fetch", "resume", "users", "-q"]).exits(0);
    for time in ["min(started_at)", "max(started_at)", "min(finished_at)", "max(finished_at)"] {
        assert_eq!(age(&home, &format!("(SELECT {time} FROM _fetches)")), -120, "{time}");
    }
}

/// The server's time has whole seconds, so a run may be recorded a second before one that preceded it.
#[test]
fn a_newer_load_is_noticed_even_if_it_is_recorded_as_a_little_older() {
    for behind in [0, 1] {
        let config = SimulatorConfig {
            page_size: 100,
            faults: vec!["pages=1 status=401 times=1".parse().expect("a fault")],
            ..SimulatorConfig::default()
        };
        let first = Simulator::start(config.with_profiles(300));
        let second = simulator(Duration::from_secs(behind), Duration::ZERO);
        let home = Home::new().with_server(&first);
        let _older = home.run(&["fetch", "profiles", "users", "--replace", "-q"]).exits(2);
        let home = home.with_server(&second);
        let other = ["fetch", "profiles", "users", "--append", "-q", "--distinct-id", "nobody"];
        let _newer = home.run(&other).exits(0);
        let status = home.run(&["fetch", "status", "-f", "json"]).exits(0).json();
        assert_eq!(status[0]["is_superseded"], true, "{behind} s: {status}");
        let refused = home.run(&["fetch", "resume", "users", "--replace"]).exits(1);
        assert!(refused.stderr.contains("was loaded after this run began"), "{}", refused.stderr);
    }
}

#[test]
fn days_fetched_again_are_noticed_even_if_they_are_recorded_as_a_little_older() {
    for behind in [0, 1] {
        let (_first, home, events) = events::start(events::clean());
        let day = events::days(&events, 2, 2)[0];
        let fault = format!("days={day}..{day} times=1 status=401");
        let failing = Simulator::start(events::with_faults(events::clean(), &[&fault]));
        let config = SimulatorConfig { clock_behind: Duration::from_secs(behind), ..events::clean() };
        let other = Simulator::start(config);
        let home = home.with_server(&failing);
        let _older = events::fetch(&home, &events, (3, 0), &["--chunk-days", "1", "--replace"]).exits(2);
        let home = home.with_server(&other);
        let _newer = events::fetch(&home, &events, (3, 0), &["--append"]).exits(0);
        let status = home.run(&["fetch", "status", "-f", "json"]).exits(0).json();
        assert_eq!(status[0]["is_superseded"], true, "{behind} s: {status}");
        let refused = home.run(&["fetch", "resume", "events", "--replace"]).exits(1);
        assert!(refused.stderr.contains("was loaded after this run began"), "{}", refused.stderr);
    }
}

/// The counts are from before the fetch of the days, whatever the clocks say.
#[test]
fn repaired_days_are_compared_with_the_counts_at_their_repair() {
    for behind in [10, 432_000] {
        let mut config = events::clean();
        config.events.odd = vec![OddEvent::InsertIdMissing];
        config.clock_behind = Duration::from_secs(behind);
        let (_simulator, home, events) = events::start(config);
        events::fetch(&home, &events, (9, 0), &["--refresh-days", "0"]).exits(0);
        let verify = ["verify", "events", "--against", "mixpanel"];
        // Mixpanel never counts the odd event of each day.
        assert_ne!(home.run(&verify).exits(1).json()["differing_days"], json!([]));
        home.run(&[&verify[..], &["--repair"]].concat()).exits(0);
        let repaired = home.run(&verify);
        assert_eq!(repaired.code, Some(0), "{behind} s behind: {}", repaired.stdout);
    }
}
