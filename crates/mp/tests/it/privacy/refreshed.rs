//! Rules for properties together with refreshes, samples and lists of ids.

use serde_json::json;

use super::{KEY, RULES, fetch, plain, with_canaries};
use crate::support::Home;

#[test]
fn a_refresh_applies_the_same_rules_and_resumes_only_runs_that_have_them() {
    let simulator = with_canaries(&["pages=3 status=404 times=2"]);
    let home = Home::new().with_server(&simulator).with("MP_HASH_KEY", KEY);
    let refresh = ["profiles", "users", "-q", "--refresh"];
    let _clear = fetch(&home, &refresh).exits(1);
    // The run without rules is not resumed, and the table that it made is not replaced.
    let run = fetch(&home, &[&refresh[..], &RULES].concat()).exits(3);
    assert!(run.stderr.contains("has no complete load"), "{}", run.stderr);
    assert_eq!(plain(&home, "SELECT count(*) FROM users"), "190\n");
    let _dropped = home.run(&["inspect", "drop", "users", "--force"]).exits(0);
    let _discarded = fetch(&home, &["discard", "users", "--force"]).exits(0);
    let simulator = with_canaries(&["pages=3 status=404 times=1"]);
    let home = home.with_server(&simulator);
    let _partial = fetch(&home, &[&refresh[..], &RULES].concat()).exits(1);
    let requests = simulator.stats().requests;
    let result = fetch(&home, &[&refresh[..], &RULES].concat()).exits(0).json();
    assert_eq!((&result["table_rows"], simulator.stats().requests), (&json!(240), requests + 1));
    let clear =
        "SELECT count(*) FROM users WHERE contains(properties::VARCHAR, 'Wq7') OR contains(properties::VARCHAR, 'Jv3')";
    assert_eq!(plain(&home, clear), "0\n");
    // Other rules are refused, and so is a refresh without any.
    let before = simulator.stats().requests;
    for rules in [&[][..], &["--drop", "$email"], &["--hash", "$email"]] {
        let run = fetch(&home, &[&refresh[..], rules].concat()).exits(3);
        assert!(run.stderr.contains("the last load of table `users`"), "{}", run.stderr);
    }
    assert_eq!(simulator.stats().requests, before);
}

#[test]
fn hashed_ids_and_dropped_properties_are_not_reported_as_missing() {
    let simulator = with_canaries(&[]);
    let home = Home::new().with_server(&simulator).with("MP_HASH_KEY", KEY);
    let ids = ["--distinct-ids", "u1,u2,u3", "--output-properties", "$email,$phone,n"];
    let rules = ["--hash", "distinct_id", "--drop", "$phone"];
    for target in [&["profiles", "users", "--no-progress"][..], &["profiles", "--stdout", "--no-progress"]] {
        let run = fetch(&home, &[target, &ids, &rules].concat()).exits(0);
        assert!(!run.stderr.contains("warning"), "{}", run.stderr);
        let run = fetch(&home, &[target, &["--replace"][..usize::from(target[1] == "users")], &ids].concat()).exits(0);
        assert!(!run.stderr.contains("warning"), "{}", run.stderr);
    }
}
