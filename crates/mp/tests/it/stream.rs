//! `mp fetch profiles --stdout`.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;
use std::time::Duration;

use mixpanel_simulator::SimulatorConfig;
use rustix::process::Signal;
use serde_json::Value;

use crate::process::{end, is_ignored, send, start};
use crate::snapshot::assert_run;
use crate::support::{Home, Run, Simulator};

fn lines(run: &Run) -> Vec<Value> {
    run.stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

#[test]
fn streamed_records_are_in_page_order_in_both_modes() {
    let simulator = Simulator::with_faults(530, &["pages=1 status=503 times=1"]);
    let home = Home::new().with_server(&simulator);
    let sequential = home.run(&["fetch", "profiles", "--stdout"]).exits(0);
    let parallel = home.run(&["fetch", "profiles", "--stdout", "--parallel"]).exits(0);
    assert_eq!(sequential.stdout, parallel.stdout);
    let records = lines(&parallel);
    assert_eq!(records.len(), 530);
    let keys: Vec<&String> = records[0].as_object().expect("an object").keys().collect();
    assert_eq!(keys, ["distinct_id", "last_seen", "properties"]);
    assert!(!home.database().exists());
    let left: Vec<_> =
        std::fs::read_dir(home.path().join(".mp/data")).map(|entries| entries.collect()).unwrap_or_default();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn raw_output_is_unchanged_from_the_server() {
    let simulator = Simulator::with_faults(120, &[]);
    let home = Home::new().with_server(&simulator);
    for mode in [&["--parallel"][..], &[]] {
        let run = home.run(&[&["fetch", "profiles", "--stdout", "--raw", "-q"], mode].concat()).exits(0);
        let records = lines(&run);
        assert_eq!(records.len(), 120);
        assert!(records.iter().all(|record| record["$properties"]["$last_seen"].is_string()));
        assert_eq!(run.stderr, "");
    }
}

#[test]
fn streamed_records_can_be_served_by_the_simulator() {
    let simulator = Simulator::with_faults(150, &[]);
    let home = Home::new().with_server(&simulator);
    let first = home.run(&["fetch", "profiles", "--stdout", "-q"]).exits(0);
    let records = mixpanel_simulator::Records::read(first.stdout.as_bytes()).expect("records");
    let config = SimulatorConfig {
        profiles: mixpanel_simulator::ProfileSource::Records(records.into()),
        ..SimulatorConfig::default()
    };
    let second = Simulator::start(config);
    let home = Home::new().with_server(&second);
    assert_eq!(home.run(&["fetch", "profiles", "--stdout", "-q"]).exits(0).stdout, first.stdout);
}

/// Starts a simulator that serves these records, one per line.
pub(crate) fn serving(records: &str) -> Simulator {
    let records = mixpanel_simulator::Records::read(records.as_bytes()).expect("records");
    let profiles = mixpanel_simulator::ProfileSource::Records(records.into());
    Simulator::start(SimulatorConfig { profiles, ..SimulatorConfig::default() })
}

#[test]
fn a_last_seen_that_does_not_round_trip_stays_in_properties() {
    let usual = r#""2026-01-01T00:00:00""#;
    let others = [
        r#""2025-12-31T23:59:60""#,
        r#""2026-01-01T00:00:00.1234567""#,
        r#""2026-01-01T02:00:00+02:00""#,
        r#""2026-01-01T00:00:00Z""#,
        r#""2026-01-01 00:00:00""#,
        r#""2026-01-01""#,
        r#""soon""#,
        "1767225600",
        "null",
    ];
    let records: Vec<String> = [usual]
        .iter()
        .chain(&others)
        .enumerate()
        .map(|(id, seen)| {
            format!(r#"{{"$distinct_id":"{id:02}","$properties":{{"a":1.50,"$last_seen":{seen},"b":2}}}}"#)
        })
        .collect();
    let first = serving(&records.join("\n"));
    let home = Home::new().with_server(&first);
    let _fetched = home.run(&["fetch", "profiles", "users", "-q"]).exits(0);
    let sql = "SELECT properties::VARCHAR AS p FROM users ORDER BY distinct_id";
    let stored = home.run(&["query", "sql", sql, "-f", "plain"]).exits(0).stdout;
    let kept = others.iter().map(|seen| format!(r#"{{"a":1.50,"$last_seen":{seen},"b":2}}"#));
    let expected: Vec<String> = std::iter::once(r#"{"a":1.50,"b":2}"#.to_owned()).chain(kept).collect();
    assert_eq!(stored.lines().collect::<Vec<_>>(), expected);
    let moments = "SELECT count(last_seen) FROM users";
    assert_eq!(home.run(&["query", "sql", "-s", "-f", "plain", moments]).exits(0).stdout, "7\n");
    // The output can be served again and yields the same text.
    let printed = home.run(&["fetch", "profiles", "--stdout", "-q"]).exits(0).stdout;
    let second = serving(&printed);
    let home = Home::new().with_server(&second);
    assert_eq!(home.run(&["fetch", "profiles", "--stdout", "-q"]).exits(0).stdout, printed);
}

#[test]
fn missing_pages_are_named_and_the_exit_code_is_1() {
    let simulator = Simulator::with_faults(500, &["pages=1 status=404"]);
    let home = Home::new().with_server(&simulator);
    let run = home.run(&["fetch", "profiles", "--stdout", "--parallel", "-q"]).exits(1);
    assert_eq!(lines(&run).len(), 400);
    assert_run!(run.exits(1));
}

#[test]
fn an_interrupted_stream_is_called_incomplete_with_the_number_of_records() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        if is_ignored(signal) {
            println!("skipped: {signal:?} is ignored here");
            continue;
        }
        let latency = Duration::from_millis(100);
        let simulator = Simulator::start(SimulatorConfig { page_size: 10, latency, ..SimulatorConfig::default() });
        let home = Home::new().with_server(&simulator);
        let (child, stderr) = start(&home, &["fetch", "profiles", "--stdout"], "page 2");
        send(&child, signal);
        let run = end(child, stderr).exits(code);
        let records = lines(&run).len();
        assert!(records >= 30, "{records}");
        let text =
            format!("hint: the output is incomplete: {records} profiles were written; a stream cannot be resumed");
        run.says(&[&text]);
    }
}

#[test]
fn a_stream_that_is_ended_at_once_is_called_incomplete() {
    if is_ignored(Signal::INT) {
        return println!("skipped: the signal is ignored here");
    }
    let simulator = Simulator::with_faults(500, &["pages=1 delay=300s"]);
    let home = Home::new().with_server(&simulator);
    let (child, mut stderr) = start(&home, &["fetch", "profiles", "--stdout"], "page 0");
    send(&child, Signal::INT);
    let mut line = String::new();
    stderr.read_line(&mut line).expect("a line");
    assert!(line.starts_with("stopping: "), "{line}");
    send(&child, Signal::INT);
    end(child, stderr).exits(130).says(&["hint: the output is incomplete and cannot be resumed"]);
}

#[test]
fn a_closed_pipe_ends_the_stream_quietly() {
    let simulator = Simulator::with_faults(20_000, &[]);
    let home = Home::new().with_server(&simulator);
    let mut command = home.command(&["fetch", "profiles", "--stdout", "--no-progress"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("a line");
    assert!(line.starts_with("{\"distinct_id\":"));
    drop(stdout);
    let status = child.wait().expect("it ends");
    let mut stderr = String::new();
    child.stderr.take().expect("a pipe").read_to_string(&mut stderr).expect("words");
    assert_eq!((status.code(), stderr.contains("error")), (Some(0), false), "{stderr}");
    assert!(simulator.stats().requests < 150, "it stops asking");
}
