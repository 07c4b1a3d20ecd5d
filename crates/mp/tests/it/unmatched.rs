//! Warnings about filters, ids and properties that no profile matches.

use crate::snapshot::{assert_run, settings};
use crate::stream::serving;
use crate::support::{Home, Simulator};

#[test]
fn what_no_profile_matches_is_reported_once() {
    let simulator = Simulator::with_faults(250, &[]);
    let home = Home::new().with_server(&simulator);
    let all = home.run(&["fetch", "profiles", "--stdout", "-q"]).exits(0).stdout;
    let known: Vec<String> = all
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["distinct_id"].to_string())
        .collect();
    let some = format!("{},nosuch-1,{},nosuch-2", known[0], known[120]);
    let nothing = r#"properties["plan"] == "nosuch""#;
    for (case, options) in [
        ("where", &["-w", nothing][..]),
        ("ids", &["--distinct-ids", "nosuch-1,nosuch-2"]),
        ("id", &["--distinct-id", "nosuch"]),
        ("where and ids", &["-w", nothing, "--distinct-ids", &known[0]]),
        ("some ids", &["--distinct-ids", &some]),
        ("some ids and since", &["--since", "2000-01-01", "--distinct-ids", &some]),
        ("properties", &["-o", "plan,nosuch,$last_seen,distinct_id,other"]),
    ] {
        let warned = |output: &str, text: &str| {
            let warnings: Vec<&str> = text.lines().filter(|line| line.starts_with("warning: ")).collect();
            assert_eq!(warnings.len(), 1, "{case} {output}: {text}");
            warnings[0].to_owned()
        };
        let mut seen = Vec::new();
        for mode in [&["--stdout"][..], &["--stdout", "--raw"], &["--stdout", "--parallel"]] {
            let run = home.run(&[&["fetch", "profiles", "-q"], mode, options].concat()).exits(0);
            seen.push(warned(&mode.join(" "), &run.stderr));
        }
        let table = case.replace(' ', "_");
        let run = home.run(&[&["fetch", "profiles", &table, "-q"], options].concat()).exits(0);
        seen.push(warned("table", &run.stderr));
        seen.dedup();
        assert_eq!(seen.len(), 1, "{case}: {seen:?}");
        let _bound = settings(case).bind_to_scope();
        insta::assert_snapshot!(seen[0]);
    }
}

#[test]
fn nothing_is_reported_if_everything_matches_or_is_unknown() {
    let simulator = Simulator::with_faults(250, &["pages=1 status=404"]);
    let home = Home::new().with_server(&simulator);
    let run = home.run(&["fetch", "profiles", "users", "-q", "-o", "plan,nosuch"]).exits(1);
    assert!(!run.stderr.contains("nosuch"), "a page is missing: {}", run.stderr);
    let simulator = Simulator::with_faults(250, &[]);
    let home = Home::new().with_server(&simulator);
    let run = home.run(&["fetch", "profiles", "users", "-q", "-o", "plan"]).exits(0);
    assert_eq!(run.stderr, "");
    // A rare property may be in none of the profiles of an update.
    let run = home.run(&["fetch", "profiles", "users", "-q", "-o", "plan", "--since", "last"]).exits(0);
    assert_eq!(run.stderr, "");
    // A project without profiles.
    let empty = Simulator::with_faults(0, &[]);
    let home = Home::new().with_server(&empty);
    assert_eq!(home.run(&["fetch", "profiles", "users", "-q", "-o", "plan"]).exits(0).stderr, "");
}

#[test]
fn an_update_without_news_is_a_note() {
    let simulator = serving(r#"{"$distinct_id":"a","$properties":{"$last_seen":"2026-01-10T10:00:00"}}"#);
    let home = Home::new().with_server(&simulator);
    home.run(&["fetch", "profiles", "users", "-q"]).exits(0);
    for (case, options) in [("table", &["users"][..]), ("stream", &["--stdout"])] {
        let arguments = [&["fetch", "profiles", "--no-progress", "--since", "1h"], options].concat();
        assert_run!(home.run(&arguments).exits(0).counting_lines(), case);
    }
}
