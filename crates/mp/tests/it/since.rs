//! `--since` with a time, `--full-every`, and the load from which `--since last` continues.

use jiff::{SignedDuration, Timestamp};

use crate::snapshot::assert_run;
use crate::stream::serving;
use crate::support::{Home, Simulator};

/// Serves one profile per text: its id, its version and the month in which it was last seen.
fn profiles(texts: &[&str]) -> Simulator {
    let record = |text: &&str| {
        let [id, version, month] = text.split(' ').collect::<Vec<_>>()[..] else { panic!("{text}") };
        format!(r#"{{"$distinct_id":"{id}","$properties":{{"v":{version},"$last_seen":"2026-{month}-10T10:00:00"}}}}"#)
    };
    serving(&texts.iter().map(record).collect::<Vec<_>>().join("\n"))
}

fn text(home: &Home, sql: &str) -> String {
    home.run(&["query", "sql", "-s", "-f", "plain", sql]).exits(0).stdout.trim_end().to_owned()
}

/// Returns the ids and versions in the table.
fn table(home: &Home) -> String {
    text(home, "select string_agg(distinct_id || (properties->>'v'), ' ' order by distinct_id) from users")
}

fn execute(home: &Home, sql: &str) {
    duckdb::Connection::open(home.database()).expect("a database").execute_batch(sql).expect(sql);
}

/// Returns the filter of the last request.
fn filter(simulator: &Simulator) -> Option<String> {
    let stats = simulator.stats();
    let request = stats.recent_requests.iter().max_by_key(|request| request.number).expect("a request");
    request.params.get("where").cloned()
}

fn fetch<'a>(options: &[&'a str]) -> Vec<&'a str> {
    [&["fetch", "profiles", "users", "-q"], options].concat()
}

#[test]
fn a_start_time_selects_what_was_seen_since() {
    let simulator = profiles(&["a 1 01", "b 1 02", "c 1 03"]);
    for (since, ids) in [
        ("2026-01-01", "a1 b1 c1"),
        ("2026-02-01", "b1 c1"),
        ("2026-02-10T10:00:00", "b1 c1"),
        ("2026-02-10T12:00:00+02:00", "b1 c1"),
        ("2026-02-10T10:00:01Z", "c1"),
    ] {
        let home = Home::new().with_server(&simulator);
        home.run(&fetch(&["--since", since])).exits(0);
        assert_eq!(table(&home), ids, "{since}");
        let printed = home.run(&["fetch", "profiles", "--stdout", "-q", "--since", since]).exits(0).stdout;
        assert_eq!(printed.lines().count(), ids.split(' ').count(), "{since}");
    }
    let home = Home::new().with_server(&simulator);
    home.run(&fetch(&["--since", "2026-02-01", "-w", r#"properties["v"] == 1"#])).exits(0);
    let expected = r#"(properties["v"] == 1) and properties["$last_seen"] >= "2026-02-01T00:00:00""#;
    assert_eq!(filter(&simulator).as_deref(), Some(expected));
}

#[test]
fn a_duration_counts_back_from_now() {
    let simulator = profiles(&["a 1 01"]);
    let home = Home::new().with_server(&simulator);
    let run = assert_run!(home.run(&["fetch", "profiles", "users", "--since", "36h", "--no-progress"]).exits(0));
    assert_eq!(run.json()["rows"], 0);
    let filter = filter(&simulator).expect("a filter");
    let start = filter.split('"').rev().nth(1).expect("a time");
    let start: Timestamp = format!("{start}Z").parse().expect("a time");
    let ago = Timestamp::now().duration_since(start);
    let (least, most) = (SignedDuration::from_secs(36 * 3_600), SignedDuration::from_secs(36 * 3_600 + 120));
    assert!(ago >= least && ago < most, "{ago}");
}

#[test]
fn a_start_time_updates_the_table_unless_told_otherwise() {
    let (first, second) = (profiles(&["a 1 01", "c 1 03"]), profiles(&["a 2 01", "c 2 03", "d 2 03"]));
    let url = first.base_url();
    for (options, expected) in
        [(&[][..], "a1 c2 d2"), (&["--upsert"], "a1 c2 d2"), (&["--append"], "a1 c1 d2"), (&["--replace"], "c2 d2")]
    {
        let home = Home::new().with_server(&second);
        home.run(&fetch(&["--base-url", &url])).exits(0);
        home.run(&fetch(&[&["--since", "2026-02-01"], options].concat())).exits(0);
        assert_eq!(table(&home), expected, "{options:?}");
    }
}

#[test]
fn wrong_start_times_are_rejected_before_any_request() {
    let simulator = profiles(&["a 1 01"]);
    let home = Home::new().with_server(&simulator);
    for options in [
        &["--since", "2999-01-01"][..],
        &["--stdout", "--since", "2999-01-01"],
        &["--since", "last", "--limit", "5"],
        &["--full-every", "30d"],
        &["--since", "7d", "--full-every", "30d"],
        &["--since", "last", "--full-every", "0"],
    ] {
        let run = home.run(&[&["fetch", "profiles"], options].concat()).exits(3).prints_nothing();
        assert_run!(run, options.join(" "));
    }
    assert_eq!(simulator.stats().requests, 0);
}

#[test]
fn since_last_continues_only_from_loads_that_leave_no_gap() {
    let simulator = profiles(&["a 1 01", "b 1 02", "c 1 03"]);
    // The options of a second load, and whether the next update continues from it.
    for (options, continues) in [
        (&["--since", "2020-01-01", "-w", r#"properties["v"] == 1"#][..], false),
        (&["--limit", "1", "--upsert"], false),
        (&["--append"], false),
        (&["--upsert"], true),
        (&["--since", "last"], true),
    ] {
        let home = Home::new().with_server(&simulator);
        home.run(&fetch(&[])).exits(0);
        execute(&home, "UPDATE _fetches SET started_at = '2026-02-20'");
        home.run(&fetch(options)).exits(0);
        home.run(&fetch(&["--since", "last"])).exits(0);
        // Not later than the newest profile.
        let start = if continues { "2026-03-09T10:00:00" } else { "2026-02-19T00:00:00" };
        let filter = filter(&simulator).expect("a filter");
        assert!(filter.ends_with(&format!(">= \"{start}\"")), "{options:?}: {filter}");
    }
}

#[test]
fn since_last_needs_a_load_of_all_profiles() {
    let simulator = profiles(&["a 1 01", "b 1 02"]);
    for first in [&["--since", "2020-01-01"][..], &["--limit", "1"]] {
        let home = Home::new().with_server(&simulator);
        home.run(&fetch(first)).exits(0);
        let requests = simulator.stats().requests;
        let run = home.run(&fetch(&["--since", "last"])).exits(3).prints_nothing();
        run.says(&["no complete load to update from", "`--replace`"]);
        assert_eq!(simulator.stats().requests, requests, "{first:?}");
        // An upsert of all profiles makes the table complete.
        home.run(&fetch(&["--upsert"])).exits(0);
        home.run(&fetch(&["--since", "last"])).exits(0);
    }
}

#[test]
fn a_full_load_follows_when_the_last_one_is_too_old() {
    let (first, second) = (profiles(&["a 1 01", "b 1 02"]), profiles(&["b 2 02"]));
    let url = first.base_url();
    let update = ["fetch", "profiles", "users", "--no-progress", "--since", "last", "--full-every", "30d"];
    // Updates and upserts in between do not count as full loads.
    for between in [&["--since", "last"], &["--upsert"][..]] {
        let home = Home::new().with_server(&second);
        home.run(&fetch(&["--base-url", &url])).exits(0);
        home.run(&update).exits(0);
        assert!(filter(&second).is_some(), "the full load is recent");
        execute(
            &home,
            "UPDATE _fetches SET started_at = '2026-02-20', run_id = '20260220T000000000Z-00000000' WHERE made_table",
        );
        if !between.is_empty() {
            home.run(&fetch(between)).exits(0);
        }
        let run = home.run(&update).exits(0);
        assert_eq!((filter(&second), table(&home).as_str()), (None, "b2"), "{between:?}");
        assert_run!(run, "due");
        home.run(&update).exits(0);
        assert!(filter(&second).is_some(), "the full load is recent again");
    }
}
