use super::*;

const KEY: &str = "0123456789abcdef";

fn read_with_rules(body: &str, drop: &[&str], hash: &[&str]) -> Result<Outcome, BodyFault> {
    let reading = EventReading { rules: Some(rules_for_tests(drop, hash, KEY)), ..EventReading::default() };
    read_with(body.as_bytes(), 1 << 10, january(), &reading)
}

#[test]
fn dropped_and_hashed_values_are_nowhere() {
    let line = event(
        r#"{"time":1767225600123,"distinct_id":"canary","mail":"canary","list":["canary"],"a":1,"secret":"canary"}"#,
    );
    let outcome =
        read_with_rules(&format!("{line}{line}"), &["secret", "event"], &["mail", "list", "distinct_id"]).unwrap();
    let text = format!("{outcome:?}");
    assert!(!text.contains("canary"), "{text}");
    let row = &outcome.rows[0];
    assert_eq!((row.event.as_str(), row.distinct_id.len()), ("A", 64));
    assert!(row.properties.ends_with(r#"],"a":1}"#), "{}", row.properties);
    // Not even a generated id depends on a dropped value.
    let other = read_with_rules(
        &line.replace(r#""secret":"canary""#, r#""secret":2"#),
        &["secret"],
        &["mail", "list", "distinct_id"],
    );
    assert_eq!(other.unwrap().rows[0].insert_id, row.insert_id);
    for name in ["mail", "list", "secret"] {
        assert!(outcome.end.unstored.has_matched(name), "{name}");
    }
    assert!(!outcome.end.unstored.has_matched("event"));
}

#[test]
fn what_the_rules_cannot_be_applied_to_is_withheld() {
    let good = event(r#"{"time":1767225600123}"#);
    for line in [
        "canary",
        r#"{"event":"A","properties":{"mail":"canary""#,
        r#"{"event":"A","properties":{"mail":"canary\ud800"}}"#,
        r#"{"event":"A","properties":{"distinct_id":{"x":"canary"}}}"#,
        r#"{"event":"A","properties":"canary"}"#,
        r#"["canary"]"#,
    ] {
        let outcome = read_with_rules(&format!("{line}\n{good}"), &[], &["mail", "distinct_id"]).unwrap();
        assert_eq!((outcome.rows.len(), outcome.rejects.len()), (1, 1), "{line}");
        assert!(!format!("{outcome:?}").contains("canary"), "{line}");
        assert!(outcome.rejects[0].reason.ends_with("withheld, because properties are dropped or hashed"), "{line}");
        for before in ["", good.as_str()] {
            let last = read_with_rules(&format!("{before}{line}\n"), &[], &["mail", "distinct_id"]);
            assert!(!format!("{last:?}").contains("canary"), "{line}: {last:?}");
        }
    }
    let reject = read_with_rules(&format!("{good}{}", event(r#"{"mail":"canary"}"#)), &[], &["mail"]).unwrap();
    assert!(reject.rejects[0].raw.contains("\"mail\":\"") && !reject.rejects[0].raw.contains("canary"));
}

#[test]
fn an_event_that_the_rules_cannot_be_applied_to_shows_that_the_body_is_an_export() {
    let hash = ["mail", "distinct_id"];
    for line in [
        r#"{"event":"A","properties":{"mail":"\ud800"}}"#,
        r#"{"event":"A","properties":{"distinct_id":{}}}"#,
        r#"{"event":"A","properties":"x"}"#,
    ] {
        for (before, rejects) in [("", 1), ("[]\n", 2), ("garbage\n", 2)] {
            let outcome = read_with_rules(&format!("{before}{line}\n"), &[], &hash);
            let outcome = outcome.unwrap_or_else(|fault| panic!("{before}{line}: {fault:?}"));
            assert_eq!((outcome.rows.len(), outcome.rejects.len()), (0, rejects), "{before}{line}");
        }
    }
    for body in ["[]\n", "42", r#"{"properties":"x"}"#, "garbage\n"] {
        let fault = read_with_rules(body, &[], &hash).unwrap_err();
        assert!(matches!(fault, BodyFault::NotAnExport(_)), "{body}: {fault:?}");
    }
}

#[test]
fn rules_do_not_hide_what_the_server_says() {
    let good = event(r#"{"time":1767225600123}"#);
    for (line, expected) in [
        ("terminated early", BodyFault::TerminatedEarly),
        (r#"{"error":"too big"}"#, BodyFault::Error("too big".to_owned())),
        (r#"{"error":"too b"#, BodyFault::Error("too b".to_owned())),
    ] {
        let fault = read_with_rules(&format!("{good}{line}"), &["error", "event"], &[]).unwrap_err();
        assert_eq!(fault, expected);
    }
}

#[test]
fn many_hashed_events_do_not_add_up_to_a_limit() {
    let line = event(&format!("{{\"time\":1767225600123,\"x\":\"{}\"}}", "y".repeat(1 << 20)));
    let outcome = read_with_rules(&line.repeat(300), &["z"], &["x"]).unwrap();
    assert_eq!((outcome.facts().rows, outcome.facts().rejected), (300, 0));
}
