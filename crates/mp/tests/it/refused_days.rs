//! Exports that the server refuses because of their days.

use jiff::ToSpan as _;
use jiff::civil::Date;
use mixpanel_simulator::{EventOptions, Events, SimulatorConfig};
use serde_json::json;

use crate::support::{Home, Run, Simulator};

fn start(faults: &[String]) -> (Simulator, Home, Events) {
    start_with(EventOptions::clean(), faults)
}

fn start_with(events: EventOptions, faults: &[String]) -> (Simulator, Home, Events) {
    let events = EventOptions { per_day: Some(40), ..events };
    let mut config = SimulatorConfig { events, ..SimulatorConfig::default() }.with_profiles(500);
    // `mp` counts days back from today.
    (config.reference_time, config.export_per_second) = (jiff::Timestamp::now(), None);
    config.export_faults = faults.iter().map(|fault| fault.parse().expect("a fault")).collect();
    let simulator = Simulator::start(config.clone());
    let home = Home::new().with_server(&simulator);
    (simulator, home, Events::new(&config))
}

/// Returns the day this many days before today.
fn ago(events: &Events, days: i64) -> Date {
    events.today().saturating_sub(days.days())
}

/// Returns the number of events from `first` to `last` days ago.
fn count(events: &Events, first: i64, last: i64) -> u64 {
    (last..=first).map(|days| events.count(ago(events, days))).sum()
}

/// Refuses all exports of these days because they end in the future.
fn in_the_future(from: Date, to: Date) -> String {
    format!("days={from}..{to} status=400 body=\"to_date cannot be later than today\"")
}

fn fetch(home: &Home, from: &str, options: &[&str]) -> Run {
    home.run(&[&["fetch", "events", "--from", from, "--to", "today", "--chunk-days", "1"], options].concat())
}

#[test]
fn a_past_day_that_the_server_calls_future_is_missing() {
    let (_, _, events) = start(&[]);
    for (first, last) in [(6, 6), (6, 5), (2, 2)] {
        let (_simulator, home, events) = start(&[in_the_future(ago(&events, first), ago(&events, last))]);
        let run = fetch(&home, "6d", &[]).exits(1);
        let result = run.json();
        let range = [ago(&events, first).to_string(), ago(&events, last).to_string()];
        assert_eq!(result["failed_date_ranges"], json!([range]));
        assert_eq!(result["rows"], count(&events, 6, 0) - count(&events, first, last));
        assert!(!run.stderr.contains("has not begun"), "{}", run.stderr);
        let run = run.says(&["`events` lacks events of ", "to_date cannot be later than today"]);
        home.shell(&run.resume_command()).exits(1);
    }
}

#[test]
fn one_day_that_the_server_rejects_costs_no_other_day() {
    let (_, _, events) = start(&[]);
    for (rejected, status, options) in [
        (6, 400, &[][..]),
        (6, 400, &["--parallel"]),
        (3, 400, &[]),
        (3, 422, &["--parallel", "--workers", "3"]),
        (0, 400, &["--parallel", "--workers", "20"]),
    ] {
        let day = ago(&events, rejected);
        let (_simulator, home, events) = start(&[format!("days={day} status={status} body=\"no such day\"")]);
        let run = fetch(&home, "6d", options).exits(1).says(&["`events` lacks events of ", "no such day"]);
        assert_eq!(run.json()["failed_date_ranges"], json!([[day.to_string(), day.to_string()]]), "{options:?}");
        assert_eq!(run.json()["rows"], count(&events, 6, 0) - count(&events, rejected, rejected), "{options:?}");
        let stream = fetch(&home, "6d", &[&["--stdout"], options].concat()).exits(1).says(&["no such day"]);
        let lines = u64::try_from(stream.stdout.lines().count()).unwrap();
        assert_eq!(lines, count(&events, 6, 0) - count(&events, rejected, rejected), "{options:?}");
    }
}

#[test]
fn today_is_left_out_if_the_server_calls_it_future() {
    let (_, _, events) = start(&[]);
    let (_simulator, home, events) = start(&[in_the_future(ago(&events, 0), ago(&events, 0))]);
    for (table, options) in [("single", &["--chunk-days", "3"][..]), ("days", &[]), ("parallel", &["--parallel"])] {
        let from = ["fetch", "events", table, "--from", "2d", "--to", "today"];
        let run = home.run(&[&from[..], if options.is_empty() { &["--chunk-days", "1"] } else { options }].concat());
        let run = run.exits(0).says(&[&format!("{} has not begun yet", ago(&events, 0))]);
        assert_eq!(
            (&run.json()["rows"], &run.json()["failed_date_ranges"]),
            (&json!(count(&events, 2, 1)), &json!([]))
        );
    }
}

#[test]
fn a_fetch_of_which_every_day_is_refused_fails_and_leaves_no_table() {
    let (_, _, events) = start(&[]);
    for from in ["today", "1d", "6d"] {
        let (_simulator, home, _) = start(&[in_the_future(ago(&events, 40), ago(&events, 0))]);
        let run = fetch(&home, from, &["--stdout"]).exits(1).prints_nothing();
        let _seen = run.says(&["the output lacks events of ", "to_date cannot be later than today"]);
        for options in [&[][..], &["--parallel"]] {
            let run = fetch(&home, from, options).exits(3).prints_nothing();
            let run = run.says(&["to_date cannot be later than today", "check the date and time of this machine"]);
            assert!(!run.stderr.contains("fetch resume"), "{}", run.stderr);
        }
        home.run(&["query", "sql", "select count(*) from events"]).exits(4);
    }
}

/// Starts a server that exports the last five days and today.
fn start_with_history() -> (Simulator, Home, Events) {
    start_with(EventOptions { history_days: Some(5), ..EventOptions::clean() }, &[])
}

/// Returns the command of the hint on how to fetch later days.
fn suggested(run: &Run) -> String {
    let hint = run.stderr.lines().find(|line| line.contains("fetches all days that the project keeps"));
    let hint = hint.unwrap_or_else(|| panic!("no hint in:\n{}", run.stderr));
    hint.split('`').nth(1).expect("a command in backticks").to_owned()
}

#[test]
fn a_fetch_that_goes_back_too_far_suggests_the_command_that_works() {
    let filter = r#"properties["plan"] == "it's""#;
    for options in [
        &["--from", "10d", "--to", "today"][..],
        &["visits", "--from=10d", "--to=1d", "--parallel", "--chunk-days", "2"],
        &["--since", "10d"],
        &["--refresh", "--from", "10d"],
        &["--from", "10d", "--to", "today", "--stdout", "-w", filter],
    ] {
        let (_simulator, home, events) = start_with_history();
        let database = home.path().join("my events.db");
        let database = database.to_str().expect("a path");
        let arguments = [&["fetch", "events"], options, &["--db", database]].concat();
        let run = home.run(&arguments).exits(3).prints_nothing();
        let first = ago(&events, 5);
        let run = run.says(&[&format!("the project keeps 5 days of events, so {first} is the first day to fetch")]);
        assert!(!run.stderr.contains("role") && !run.stderr.contains("credentials"), "{}", run.stderr);
        let command = suggested(&run);
        assert!(command.contains(&format!(" {first} ")), "{command}");
        assert_eq!(command.matches("--db").count(), 1, "{command}");
        let fetched = home.shell(&command).exits(0);
        if !options.contains(&"--stdout") {
            let last = i64::from(options.contains(&"--to=1d"));
            assert_eq!(fetched.json()["rows"], count(&events, 5, last), "{command}");
        }
    }
}

#[test]
fn a_run_that_goes_back_too_far_loads_what_it_has() {
    let (_, _, events) = start(&[]);
    let refused = format!("days={0}..{0} status=403 body=\"Date range exceeds 5 days into the past\"", ago(&events, 2));
    let (_simulator, home, events) = start(&[refused]);
    let run = fetch(&home, "4d", &[]).exits(3).prints_nothing();
    let command = run.resume_command();
    assert!(command.ends_with(" --accept-partial"), "{command}");
    let resumed = home.shell(command.trim_end_matches(" --accept-partial")).exits(3).prints_nothing();
    let day = ago(&events, 5);
    let resumed = resumed.says(&[&format!("earlier days cannot be fetched: start a new fetch with `--from {day}`")]);
    assert_eq!(resumed.resume_command(), command);
    let loaded = home.shell(&command).exits(1).json();
    assert_eq!(loaded["rows"], count(&events, 4, 3));
}

#[test]
fn a_request_that_is_refused_gets_a_hint_that_fits_its_options() {
    let long = "--from 1d --to today --where true";
    for (status, options, hint) in [
        ("414", long, "the request is too long: use a shorter `--where` expression, or fewer names in `--events`"),
        ("413", "--from 1d --to today -e a,b", "the request is too long"),
        ("413", "--from 1d --to today", "a proxy, a firewall or a network login page may"),
        ("200", "--from 200d --to today --limit 5", "use fewer days: `--limit` sends one request"),
        ("200", "--from 200d --to today", "use `--parallel`, which has no limit, or fewer days"),
    ] {
        let (_simulator, home, _) = start(&[format!("status={status}")]);
        let words: Vec<&str> = ["fetch", "events"].into_iter().chain(options.split(' ')).collect();
        let run = home.run(&words).exits(3).prints_nothing().says(&[hint]);
        assert_eq!(run.stderr.matches("hint:").count(), 1, "{}", run.stderr);
    }
}
