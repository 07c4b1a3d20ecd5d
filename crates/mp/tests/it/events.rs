//! `mp fetch events` against the simulator. The expected events come from the simulator's own reference, which shares no
//! code with the fetch.

use jiff::civil::Date;
use mixpanel_simulator::{EventOptions, Events, Revision, SimulatorConfig};
use serde_json::{Value, json};

use crate::snapshot::assert_run;
use crate::support::{Home, Run, Simulator};

/// A project whose events all have an identity of their own.
pub(crate) fn clean() -> SimulatorConfig {
    let events = EventOptions { per_day: Some(60), ..EventOptions::clean() };
    at_present(SimulatorConfig { events, ..SimulatorConfig::default() }.with_profiles(500))
}

/// Lets the data end now, because `mp` counts days back from today. The server does not limit the requests per second:
/// on a busy machine, requests that were sent apart arrive together.
fn at_present(config: SimulatorConfig) -> SimulatorConfig {
    SimulatorConfig { reference_time: jiff::Timestamp::now(), export_per_second: None, ..config }
}

pub(crate) fn with_faults(mut config: SimulatorConfig, faults: &[&str]) -> SimulatorConfig {
    config.export_faults = faults.iter().map(|fault| fault.parse().expect("a fault")).collect();
    config
}

pub(crate) fn start(config: SimulatorConfig) -> (Simulator, Home, Events) {
    let simulator = Simulator::start(config.clone());
    let home = Home::new().with_server(&simulator);
    (simulator, home, Events::new(&config))
}

/// Returns the days of a range that ends this many days before today.
pub(crate) fn days(events: &Events, first: i64, last: i64) -> Vec<Date> {
    let today = events.today();
    (last..=first).rev().map(|ago| today.checked_sub(jiff::ToSpan::days(ago)).expect("a day")).collect()
}

/// Returns the number of events on these days.
pub(crate) fn count(events: &Events, days: &[Date]) -> u64 {
    days.iter().map(|day| events.count(*day)).sum()
}

fn rows(home: &Home, query: &str) -> Value {
    home.run(&["query", "sql", "-f", "json", query]).exits(0).json()
}

pub(crate) fn number(home: &Home, query: &str) -> u64 {
    let run = home.run(&["query", "sql", "-s", "-f", "plain", query]).exits(0);
    run.stdout.trim().parse().expect("a number")
}

/// Fetches the last days of events, from `first` to `last` days ago.
pub(crate) fn fetch(home: &Home, events: &Events, (first, last): (i64, i64), options: &[&str]) -> Run {
    let range = days(events, first, last);
    let (from, to) = (range.first().expect("a day").to_string(), range.last().expect("a day").to_string());
    home.run(&[&["fetch", "events", "--from", &from, "--to", &to], options].concat())
}

#[test]
fn a_range_of_days_is_fetched_exactly_in_both_modes() {
    let (_simulator, home, events) = start(clean());
    let expected = count(&events, &days(&events, 9, 0));
    for (table, options) in [("one", &[][..]), ("many", &["--parallel", "--workers", "4"])] {
        let run = fetch(&home, &events, (9, 0), &[&[table][..], options].concat()).exits(0);
        let result = run.json();
        assert_eq!(result["rows"], expected, "{result}");
        assert_eq!((&result["type"], &result["received"]), (&json!("events"), &json!(expected)));
        assert_eq!(result["date_range"][1], events.today().to_string());
        assert_eq!(result["failed_date_ranges"], json!([]));
        assert!(result["open_days"].as_array().is_some_and(|days| days.len() >= 5), "{result}");
        let by_day = rows(
            &home,
            &format!("SELECT event_time::DATE AS day, count(*) AS events FROM {table} GROUP BY day ORDER BY day"),
        );
        let listed = days(&events, 9, 0).into_iter().filter(|day| events.count(*day) > 0);
        let listed: Vec<Value> =
            listed.map(|day| json!({ "day": day.to_string(), "events": events.count(day) })).collect();
        assert_eq!(by_day, Value::Array(listed));
    }
    let difference = "SELECT count(*) FROM (FROM one EXCEPT ALL FROM many)";
    assert_eq!(number(&home, difference), 0);
    home.run(&["verify", "many"]).exits(0);
}

#[test]
fn every_received_line_is_accounted_for() {
    let events = EventOptions { per_day: Some(300), duplicates: 0.2, conflicts: 0.1, ..EventOptions::default() };
    let config = at_present(SimulatorConfig { events, ..SimulatorConfig::default() }.with_profiles(500));
    let (_simulator, home, events) = start(config);
    let result = fetch(&home, &events, (4, 0), &["--parallel"]).exits(0).json();
    let field = |name: &str| result[name].as_u64().unwrap_or_else(|| panic!("no {name} in {result}"));
    assert_eq!(field("received"), count(&events, &days(&events, 4, 0)));
    assert_eq!(field("rows") + field("duplicates") + field("rejected"), field("received"));
    assert!(field("duplicates") > 0 && field("conflicting_duplicates") > 0, "{result}");
    let all = fetch(&home, &events, (4, 0), &["all", "--parallel", "--dedupe", "none"]).exits(0).json();
    assert_eq!((&all["rows"], &all["duplicates"]), (&all["received"], &json!(0)));
}

#[test]
fn arguments_are_checked_before_any_request() {
    let (simulator, home, _) = start(clean());
    for (name, arguments) in [
        ("no days", &[][..]),
        ("no last day", &["--from", "7d"]),
        ("a wrong day", &["--from", "7d", "--to", "tomorrow"]),
        ("reversed", &["--from", "2026-01-02", "--to", "2026-01-01"]),
        ("before 2000", &["--from", "1999-12-31", "--to", "2000-01-02"]),
        ("too long", &["--from", "2025-01-01", "--to", "2025-04-11"]),
        ("limit and parallel", &["--from", "7d", "--to", "today", "--limit", "5", "--parallel"]),
        ("no such zone", &["--from", "7d", "--to", "today", "--project-timezone", "Europe/Atlantis"]),
        ("no name", &["--from", "7d", "--to", "today", "-e", ","]),
        ("since last without a table", &["--since", "last"]),
        ("refresh without a table", &["--refresh"]),
        ("since last to stdout", &["--since", "last", "--stdout"]),
    ] {
        assert_run!(home.run(&[&["fetch", "events"], arguments].concat()).exits(3).prints_nothing(), name);
    }
    assert_eq!(simulator.stats().export.requests, 0);
}

#[test]
fn a_last_day_in_the_future_is_reduced_with_a_note() {
    let (_simulator, home, events) = start(clean());
    let run = home.run(&["fetch", "events", "--from", "1d", "--to", "2100-01-01"]).exits(0);
    assert!(run.stderr.contains("note: 2100-01-01 is in the future; fetching up to "), "{}", run.stderr);
    assert_eq!(run.json()["rows"], count(&events, &days(&events, 1, 0)));
}

#[test]
fn an_existing_table_is_kept_appended_to_or_replaced() {
    let (_simulator, home, events) = start(clean());
    fetch(&home, &events, (6, 4), &[]).exits(0);
    let run = fetch(&home, &events, (6, 0), &[]).exits(1).prints_nothing();
    assert!(run.stderr.contains("`--since last` to bring the table up to date"), "{}", run.stderr);
    let appended = fetch(&home, &events, (5, 0), &["--append"]).exits(0).json();
    assert_eq!(appended["table_rows"], count(&events, &days(&events, 6, 0)));
    let replaced = fetch(&home, &events, (1, 1), &["--replace"]).exits(0).json();
    assert_eq!(replaced["table_rows"], count(&events, &days(&events, 1, 1)));
}

#[test]
fn open_days_are_replaced_whole_since_the_last_load() {
    let mut config = clean();
    (config.events.late_rows, config.events.deleted_rows, config.events.rekeyed) = (0.2, 0.1, 0.1);
    let (_first, home, events) = start(config.clone());
    fetch(&home, &events, (9, 0), &["--chunk-days", "5"]).exits(0);
    // The same project some time later: events have arrived, disappeared and changed their ids.
    config.events.revision = Revision::Fixed(1);
    let later = Simulator::start(config);
    let home = home.with("MP_BASE_URL", &later.base_url());
    let options = ["--parallel", "--chunk-days", "6"];
    let result = home.run(&[&["fetch", "events", "--since", "last"], &options[..]].concat()).exits(0).json();
    // A day is settled five days after its end.
    let count = |days: &[Date], revision| days.iter().map(|day| events.lines(*day, revision).len() as u64).sum::<u64>();
    let (settled, open) = (days(&events, 9, 6), days(&events, 5, 0));
    assert_eq!(result["date_range"], json!([open[0].to_string(), open[5].to_string()]));
    assert_eq!(result["table_rows"], count(&settled, 0) + count(&open, 1), "{result}");
    assert_eq!(result["replaced_rows"], count(&open, 0), "{result}");
    assert_eq!(later.stats().export.requests, 1, "settled days are not fetched again");
    let refreshed = home.run(&[&["fetch", "events", "--refresh"], &options[..]].concat()).exits(0).json();
    assert_eq!((&refreshed["table_rows"], &refreshed["rows"]), (&result["table_rows"], &result["rows"]));
}

#[test]
fn a_refresh_creates_the_table_the_first_time() {
    let (_simulator, home, events) = start(clean());
    let from = days(&events, 7, 7)[0].to_string();
    for _ in 0..2 {
        let run =
            home.run(&["fetch", "events", "--from", &from, "--refresh", "-p", "-q", "--chunk-days", "4"]).exits(0);
        assert_eq!(run.json()["table_rows"], count(&events, &days(&events, 7, 0)));
        assert_eq!(run.stderr, "");
    }
}

#[test]
fn missing_days_are_listed_and_fetched_by_resume() {
    let (_simulator, home, events) = start(clean());
    let day = days(&events, 3, 3)[0].to_string();
    let fault = format!("days={day}..{day} times=4 total=4 status=500");
    let (_other, home) = {
        let simulator = Simulator::start(with_faults(clean(), &[&fault]));
        let url = simulator.base_url();
        (simulator, home.with("MP_BASE_URL", &url))
    };
    let run = fetch(&home, &events, (6, 0), &["--parallel", "--chunk-days", "1"]).exits(1);
    let result = run.json();
    assert_eq!(result["failed_date_ranges"], json!([[day, day]]));
    assert_eq!((&result["failed_batches"], &result["successful_batches"]), (&json!(1), &json!(6)));
    assert_eq!(result["failure_reasons"], json!(["failed_batches"]));
    assert!(run.stderr.contains(&format!("`events` lacks events of {day}\n")), "{}", run.stderr);
    let status = home.run(&["fetch", "status", "-f", "json"]).exits(0).json();
    assert_eq!((&status[0]["pages_done"], &status[0]["pages_total"]), (&json!(6), &json!(7)));
    let resumed = home.shell(&run.resume_command()).exits(0).json();
    assert_eq!(resumed["table_rows"], count(&events, &days(&events, 6, 0)));
}

#[test]
fn a_run_that_loaded_nothing_is_resumed_or_discarded() {
    let (_simulator, home, events) = start(with_faults(clean(), &["requests=3 total=1 status=403"]));
    let run = fetch(&home, &events, (6, 0), &["--chunk-days", "1"]).exits(2);
    assert!(run.stderr.contains("the 3 batches fetched so far are kept"), "{}", run.stderr);
    assert_eq!(run.json_lines(), 0);
    let resumed = home.shell(&run.resume_command()).exits(0).json();
    assert_eq!(resumed["rows"], count(&events, &days(&events, 6, 0)));
    assert_eq!(home.run(&["fetch", "status", "-f", "json"]).exits(0).json(), json!([]));
}

#[test]
fn cut_and_terminated_responses_are_fetched_again_and_split() {
    for fault in ["longer=1 cut=900", "longer=1 terminated-early rows=7", "longer=1 cut-error-line rows=3"] {
        let (_simulator, home, events) = start(with_faults(clean(), &[fault]));
        let run = fetch(&home, &events, (7, 0), &["--parallel", "--chunk-days", "8"]).exits(0);
        assert_eq!(run.json()["rows"], count(&events, &days(&events, 7, 0)), "{fault}");
        assert!(run.stderr.contains("split into 2 batches"), "{fault}: {}", run.stderr);
    }
}

#[test]
fn a_plan_sends_no_request_and_is_right() {
    let (simulator, home, events) = start(clean());
    let options = ["--parallel", "--plan"];
    let plan = fetch(&home, &events, (89, 0), &options).exits(0).json();
    assert_eq!((&plan["days"], simulator.stats().export.requests), (&json!(90), 0));
    assert!(plan["requests"].as_u64().is_some_and(|requests| (1..=50).contains(&requests)), "{plan}");
    let short = fetch(&home, &events, (9, 0), &options).exits(0).json();
    fetch(&home, &events, (9, 0), &["--parallel"]).exits(0);
    assert_eq!(short["requests"], simulator.stats().export.requests);
}

#[test]
fn events_are_printed_as_lines() {
    let (_simulator, home, events) = start(clean());
    let range = days(&events, 2, 0);
    let mut expected: Vec<Value> =
        range.iter().flat_map(|day| events.lines(*day, 0)).map(|line| value(&line)).collect();
    let run = fetch(&home, &events, (2, 0), &["--stdout", "--raw"]).exits(0);
    let mut lines: Vec<Value> = run.stdout.lines().map(|line| value(line.as_bytes())).collect();
    let key = |value: &Value| value.to_string();
    lines.sort_by_key(key);
    expected.sort_by_key(key);
    assert_eq!(lines, expected);
    let run = fetch(&home, &events, (2, 0), &["--stdout"]).exits(0);
    assert_eq!(run.stdout.lines().count(), expected.len());
    for line in run.stdout.lines().map(|line| value(line.as_bytes())) {
        let names: Vec<&str> = line.as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(names, ["event_name", "event_time", "distinct_id", "insert_id", "properties"]);
    }
    assert!(!home.database().exists(), "a stream needs no database");
}

fn value(line: &[u8]) -> Value {
    serde_json::from_slice(line).expect("JSON")
}

#[test]
fn a_sample_is_fetched_with_one_request() {
    let (simulator, home, events) = start(clean());
    let result = fetch(&home, &events, (9, 0), &["sample", "--limit", "25"]).exits(0).json();
    assert_eq!((&result["rows"], simulator.stats().export.requests), (&json!(25), 1));
    assert_eq!(result["limit"], 25);
    // The defaults for parallel fetches do not concern it.
    home.write_config("[defaults]\nparallel = true\nworkers = 8\n");
    let run = fetch(&home, &events, (9, 0), &["other", "--limit", "25"]).exits(0);
    assert!(!run.stderr.contains("--workers"), "{}", run.stderr);
}

#[test]
fn events_are_filtered_by_name() {
    let (_simulator, home, events) = start(clean());
    fetch(&home, &events, (3, 0), &["-e", "Purchase, App Open"]).exits(0);
    let names = rows(&home, "SELECT DISTINCT event_name FROM events ORDER BY ALL");
    assert_eq!(names, json!([{ "event_name": "App Open" }, { "event_name": "Purchase" }]));
    let run = home.run(&["fetch", "events", "--since", "last", "-e", "Purchase"]).exits(3).prints_nothing();
    assert!(run.stderr.contains("was loaded with the events App Open, Purchase"), "{}", run.stderr);
}

#[test]
fn local_times_of_old_projects_are_converted() {
    let zone = jiff::tz::TimeZone::get("America/New_York").expect("a zone");
    let mut config = clean();
    config.events.timezone = zone;
    let (_simulator, home, events) = start(config);
    let zoned = ["--project-timezone", "America/New_York"];
    let result = fetch(&home, &events, (3, 0), &zoned).exits(0).json();
    assert_eq!((&result["rows"], &result["outside_range"]), (&json!(count(&events, &days(&events, 3, 0))), &json!(0)));
    let zones = rows(&home, "SELECT DISTINCT time_zone FROM _days");
    assert_eq!(zones, json!([{ "time_zone": "America/New_York" }]));
    let other = fetch(&home, &events, (3, 0), &["--append", "--project-timezone", "UTC"]).exits(3);
    assert!(other.stderr.contains("are those of America/New_York, not of UTC"), "{}", other.stderr);
    fetch(&home, &events, (3, 0), &["--append"]).exits(0);
    // Another table keeps the same local times, in hours that the zone is behind UTC.
    fetch(&home, &events, (3, 0), &["local"]).exits(0);
    let hours = rows(
        &home,
        "SELECT DISTINCT date_diff('minute', local.event_time, events.event_time) IN (240, 300) AS is_offset,
                (SELECT count(*) FROM events) = (SELECT count(*) FROM local) AS has_all
         FROM events FULL JOIN local USING (event_name, distinct_id, insert_id)",
    );
    assert_eq!(hours, json!([{ "is_offset": true, "has_all": true }]));
}

#[test]
fn settled_days_are_compared_with_the_counts_of_mixpanel_and_repaired() {
    let mut config = clean();
    config.events.deleted_rows = 0.2;
    let (first, home, events) = start(config.clone());
    fetch(&home, &events, (9, 0), &["--chunk-days", "5"]).exits(0);
    let verify = ["verify", "events", "--against", "mixpanel"];
    let same = home.run(&verify).exits(0).json();
    assert_eq!((&same["days"], &same["open_days"], &same["differing_days"]), (&json!(4), &json!(6), &json!([])));
    assert_eq!(first.stats().counted_requests, 1, "one query");
    // Events were deleted since.
    config.events.revision = Revision::Fixed(1);
    let later = Simulator::start(config);
    let home = home.with("MP_BASE_URL", &later.base_url());
    let number = |day: &Date, revision| events.lines(*day, revision).len();
    let differing: Vec<Value> = days(&events, 9, 6)
        .iter()
        .filter(|day| number(day, 0) != number(day, 1))
        .map(|day| {
            json!({ "day": day.to_string(), "rows": number(day, 0), "counted": number(day, 1), "counted_before": null })
        })
        .collect();
    assert!(!differing.is_empty());
    let run = home.run(&verify).exits(1);
    assert_eq!(run.json()["differing_days"], Value::Array(differing.clone()));
    assert!(
        run.stderr.contains("verify events --against mixpanel --repair` fetches these days again"),
        "{}",
        run.stderr
    );
    let repaired = home.run(&[&verify[..], &["--repair"]].concat()).exits(0).json();
    assert_eq!(repaired["repaired_days"], differing.len());
    assert_eq!(home.run(&verify).exits(0).json()["differing_days"], json!([]));
    let settled = days(&events, 9, 6).iter().map(|day| number(day, 1)).sum::<usize>();
    let open = days(&events, 5, 0).iter().map(|day| number(day, 0)).sum::<usize>();
    assert_eq!(self::number(&home, "SELECT count(*) FROM events"), (settled + open) as u64);
}

#[test]
fn a_table_that_mixpanel_cannot_count_is_not_compared() {
    let (_simulator, home, events) = start(clean());
    fetch(&home, &events, (7, 0), &["--chunk-days", "8", "-w", r#"properties["plan"] == "pro""#]).exits(0);
    let run = home.run(&["verify", "events", "--against", "mixpanel"]).exits(3).prints_nothing();
    assert!(run.stderr.contains("has a where expression, and Mixpanel counts all events"), "{}", run.stderr);
    let wrong = home.run(&["verify", "events", "--repair"]).exits(3);
    assert!(wrong.stderr.contains("--against"), "{}", wrong.stderr);
}
