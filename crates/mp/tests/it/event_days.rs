//! Days of events that are missing, were removed, or were fetched in part.

use mixpanel_simulator::{Events, Revision};
use serde_json::json;

use crate::events::{clean, count, days, fetch, number, start, with_faults};
use crate::support::{Home, Simulator};

fn change(home: &Home, sql: &str) {
    duckdb::Connection::open(home.database()).expect("a database").execute_batch(sql).expect("SQL");
}

#[test]
fn a_refresh_fetches_days_whose_rows_were_removed() {
    let (_simulator, home, events) = start(clean());
    fetch(&home, &events, (8, 0), &["--parallel"]).exits(0);
    let expected = count(&events, &days(&events, 8, 0));
    let old = days(&events, 7, 7)[0];
    for removed in [
        "true".to_owned(),
        format!("event_time::DATE = '{old}'"),
        format!("rowid IN (SELECT max(rowid) FROM events WHERE event_time::DATE = '{old}')"),
    ] {
        change(&home, &format!("DELETE FROM events WHERE {removed}"));
        let refreshed = home.run(&["fetch", "events", "--refresh", "--parallel"]).exits(0);
        assert!(refreshed.stderr.contains("than were loaded; fetching all days since"), "{}", refreshed.stderr);
        assert_eq!(number(&home, "SELECT count(*) FROM events"), expected, "{removed}");
        let next = home.run(&["fetch", "events", "--refresh", "--parallel"]).exits(0);
        assert!(!next.stderr.contains("than were loaded"), "{}", next.stderr);
    }
}

#[test]
fn a_failed_day_is_never_called_superseded_and_is_fetched_by_a_refresh() {
    let (_simulator, home, events) = start(clean());
    let day = days(&events, 8, 8)[0].to_string();
    let server = Simulator::start(with_faults(clean(), &[&format!("days={day}..{day} times=4 total=4 status=500")]));
    let home = home.with("MP_BASE_URL", &server.base_url());
    fetch(&home, &events, (9, 0), &["--parallel", "--chunk-days", "1"]).exits(1);
    let since = home.run(&["fetch", "events", "--since", "last", "--parallel"]).exits(0);
    assert!(since.stderr.contains(&format!("`--since {day}` fetches it and all later ones")), "{}", since.stderr);
    let status = home.run(&["fetch", "status", "-f", "json"]).exits(0).json();
    assert_eq!(status[0]["is_superseded"], false, "{status}");
    home.run(&["fetch", "events", "--refresh", "--parallel"]).exits(0);
    assert_eq!(number(&home, "SELECT count(*) FROM events"), count(&events, &days(&events, 9, 0)));
}

#[test]
fn a_run_is_superseded_when_all_of_its_days_were_fetched_since() {
    let (_simulator, home, events) = start(clean());
    let day = days(&events, 2, 2)[0].to_string();
    let server = Simulator::start(with_faults(clean(), &[&format!("days={day}..{day} times=4 total=4 status=500")]));
    let home = home.with("MP_BASE_URL", &server.base_url());
    fetch(&home, &events, (3, 0), &["--chunk-days", "1", "--replace"]).exits(1);
    fetch(&home, &events, (3, 0), &["--replace"]).exits(0);
    let status = home.run(&["fetch", "status", "-f", "json"]).exits(0).json();
    assert_eq!(status[0]["is_superseded"], true, "{status}");
}

#[test]
fn a_resume_that_replaces_needs_force_if_days_were_fetched_since() {
    for option in ["--append", "--replace"] {
        let (_simulator, home, events) = start(clean());
        let day = days(&events, 2, 2)[0].to_string();
        let server = Simulator::start(with_faults(clean(), &[&format!("days={day}..{day} times=1 status=401")]));
        let home = home.with("MP_BASE_URL", &server.base_url());
        fetch(&home, &events, (3, 0), &["--chunk-days", "1", option]).exits(2);
        fetch(&home, &events, (3, 0), &["--append"]).exits(0);
        let run = home.run(&["fetch", "resume", "events", "--replace"]).exits(1);
        assert!(run.stderr.contains("was loaded after this run began"), "{option}: {}", run.stderr);
        home.shell(&run.resume_command()).exits(0);
        assert_eq!(number(&home, "SELECT count(*) FROM events"), count(&events, &days(&events, 3, 0)), "{option}");
    }
}

#[test]
fn a_gap_is_announced_and_found_by_the_comparison_with_mixpanel() {
    let (_simulator, home, events) = start(clean());
    fetch(&home, &events, (12, 10), &["--parallel"]).exits(0);
    home.run(&["fetch", "events", "--since", "7d", "--parallel"]).exits(0);
    let last = home.run(&["fetch", "events", "--since", "last", "--parallel"]).exits(0);
    assert!(
        last.stderr.contains("2 days between the first and the last of `events` were never fetched"),
        "{}",
        last.stderr
    );
    let verify = ["verify", "events", "--against", "mixpanel"];
    let gap = days(&events, 9, 8).into_iter().filter(|day| events.count(*day) > 0).count();
    assert_eq!(home.run(&verify).exits(1).json()["differing_days"].as_array().map(Vec::len), Some(gap));
    home.run(&[&verify[..], &["--repair"]].concat()).exits(0);
    assert_eq!(number(&home, "SELECT count(*) FROM events"), count(&events, &days(&events, 12, 0)));
    // Rows that were removed differ as well.
    let old = days(&events, 11, 11)[0];
    change(&home, &format!("DELETE FROM events WHERE event_time::DATE = '{old}'"));
    let found = home.run(&verify).exits(1).json();
    assert_eq!(
        (&found["differing_days"][0]["day"], &found["differing_days"][0]["rows"]),
        (&json!(old.to_string()), &json!(0))
    );
}

#[test]
fn a_fetch_of_some_events_neither_replaces_nor_settles_the_days_of_all() {
    let (_simulator, home, events) = start(clean());
    fetch(&home, &events, (6, 0), &["--parallel"]).exits(0);
    let all = count(&events, &days(&events, 6, 0));
    let some = ["-w", r#"properties["plan"] == "pro""#];
    fetch(&home, &events, (6, 0), &[&["--append", "--parallel", "--refresh-days", "0"][..], &some].concat()).exits(0);
    let open = "SELECT count(*) FROM _days WHERE state = 'open'";
    assert_eq!(number(&home, open), 7, "a part of the events settled a day");
    let refused = home.run(&[&["fetch", "events", "--since", "last"][..], &some].concat()).exits(3);
    assert!(refused.stderr.contains("no where expression"), "{}", refused.stderr);
    assert_eq!(number(&home, "SELECT count(*) FROM events"), all);
    // All events of the days may be fetched again.
    home.run(&["fetch", "events", "--refresh", "--parallel"]).exits(0);
    assert_eq!(number(&home, "SELECT count(*) FROM events"), all);
}

#[test]
fn an_append_that_keeps_duplicates_is_refused_for_days_that_the_table_has() {
    let (_simulator, home, events) = start(clean());
    fetch(&home, &events, (6, 3), &["--parallel", "--dedupe", "none"]).exits(0);
    let refused = fetch(&home, &events, (4, 0), &["--append", "--dedupe", "none"]).exits(3);
    assert!(refused.stderr.contains("`--since` replaces whole days"), "{}", refused.stderr);
    fetch(&home, &events, (2, 0), &["--append", "--dedupe", "none"]).exits(0);
    home.run(&["fetch", "events", "--since", "4d", "--dedupe", "none"]).exits(0);
    assert_eq!(number(&home, "SELECT count(*) FROM events"), count(&events, &days(&events, 6, 0)));
}

/// Starts a server whose events of some settled days were deleted after they were fetched with these options.
fn start_with_deleted_events(options: &[&str], faults: &[&str]) -> (Simulator, Home) {
    let mut config = clean();
    config.events.deleted_rows = 0.2;
    let (_first, home, events) = start(config.clone());
    fetch(&home, &events, (9, 0), &[&["--chunk-days", "5"], options].concat()).exits(0);
    config.events.revision = Revision::Fixed(1);
    let later = Simulator::start(with_faults(config, faults));
    let home = home.with("MP_BASE_URL", &later.base_url());
    (later, home)
}

const REPAIR: [&str; 5] = ["verify", "events", "--against", "mixpanel", "--repair"];

#[test]
fn a_repair_of_a_table_with_rules_suggests_a_fetch_with_the_same_rules() {
    for rules in [&["--drop", "plan"][..], &["--drop", "plan", "--dedupe", "day", "--events", "View Item,App Open"]] {
        let (_simulator, home) = start_with_deleted_events(rules, &[]);
        let run = home.run(&REPAIR);
        assert_ne!(run.code, Some(0));
        let hint = run.stderr.lines().find(|line| line.contains("fetches all days from then on again"));
        let command =
            hint.unwrap_or_else(|| panic!("no hint in:\n{}", run.stderr)).split('`').nth(1).expect("a command");
        assert!(command.contains(" --drop plan"), "{command}");
        home.shell(command).exits(0);
        home.run(&REPAIR[..4]).exits(0);
        assert_eq!(number(&home, "SELECT count(*) FROM events WHERE prop(properties, 'plan') IS NOT NULL"), 0);
    }
}

#[test]
fn the_command_that_repairs_goes_to_the_same_server() {
    let (simulator, home) = start_with_deleted_events(&[], &[]);
    let server = simulator.base_url();
    let run = home.run(&[&["--base-url", server.as_str()][..], &REPAIR[..4]].concat()).exits(1);
    let hint = run.stderr.lines().find(|line| line.contains("fetches these days again")).expect("a hint");
    assert!(hint.contains(&format!("--repair --base-url {server}")), "{hint}");
}

#[test]
fn days_that_a_repair_could_not_fetch_are_fetched_by_resume() {
    let day = days(&Events::new(&clean()), 8, 8)[0];
    let fault = format!("days={day}..{day} times=4 total=4 status=500");
    let (_simulator, home) = start_with_deleted_events(&[], &[&fault]);
    let run = home.run(&REPAIR).exits(1);
    assert!(!run.stderr.contains("--repair"), "{}", run.stderr);
    home.shell(&run.resume_command()).exits(0);
    home.run(&REPAIR[..4]).exits(0);
}

#[test]
fn a_resume_into_an_existing_table_is_offered_the_options_of_events() {
    let (_simulator, home, events) = start(with_faults(clean(), &["requests=3 total=1 status=403"]));
    fetch(&home, &events, (6, 0), &["--chunk-days", "1"]).exits(2);
    let status = home.run(&["fetch", "status", "-f", "table"]).exits(0);
    assert!(status.stdout.contains("3/7 batches"), "{}", status.stdout);
    fetch(&home, &events, (2, 0), &[]).exits(0);
    let run = home.run(&["fetch", "resume", "events"]).prints_nothing();
    let run = run.says(&["`--append` to add events that the table does not have, or `--replace`"]);
    assert!(!run.stderr.contains("upsert") && !run.stderr.contains("profiles"), "{}", run.stderr);
}

#[test]
fn a_table_keeps_its_rule_for_duplicates() {
    let (_simulator, home, events) = start(clean());
    fetch(&home, &events, (6, 3), &["--dedupe", "day"]).exits(0);
    for other in [&["--since", "last"][..], &["--refresh"], &["--since", "2d", "--dedupe", "none"]] {
        let run = home.run(&[&["fetch", "events"], other].concat()).exits(3).prints_nothing();
        run.says(&["was loaded with duplicates removed by day, and this fetch has", "hint: use `--dedupe day`, or"]);
    }
    fetch(&home, &events, (2, 0), &["--append"]).exits(3).says(&["duplicates removed by time", "`--dedupe day`"]);
    fetch(&home, &events, (2, 1), &["--append", "--dedupe", "day"]).exits(0);
    home.run(&["fetch", "events", "--since", "last", "--dedupe", "day"]).exits(0);
}

/// A table that mp did not load has no load to continue, so `--since last` is not suggested for it.
#[test]
fn a_table_without_a_load_can_be_appended_to_or_replaced() {
    let (_simulator, home, events) = start(clean());
    crate::statistics::create_events(&home);
    let first = days(&events, 3, 3)[0].to_string();
    for words in [&["--refresh", "--from", &first][..], &["--since", &first], &["--from", &first, "--to", "today"]] {
        let run = home.run(&[&["fetch", "events"], words].concat()).prints_nothing();
        let run = run.says(&["already exists", "`--from`, `--to` and `--append`"]);
        assert!(!run.stderr.contains("--since last"), "{}", run.stderr);
    }
    fetch(&home, &events, (3, 1), &["--append"]).exits(0);
    home.run(&["fetch", "events", "--refresh", "--from", &first]).exits(0);
}
