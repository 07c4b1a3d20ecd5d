//! `mp simulate`.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Home, Run};

/// A running `mp simulate`, and the variables that it printed.
struct Running {
    child: Option<Child>,
    variables: Vec<(String, String)>,
}

impl Running {
    fn start(home: &Home, arguments: &[&str]) -> Self {
        let mut command = home.command(&[&["simulate", "--addr", "127.0.0.1:0"], arguments].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let lines = stdout.lines().take(5).map(|line| line.expect("a line"));
        let variables = lines.map(|line| {
            let (name, value) = line.strip_prefix("export ").and_then(|line| line.split_once('=')).expect("a variable");
            (name.to_owned(), value.to_owned())
        });
        Self { variables: variables.collect(), child: Some(child) }
    }

    fn home(&self) -> Home {
        self.variables.iter().fold(Home::new(), |home, (name, value)| home.with(name, value))
    }

    fn stop(mut self) -> Run {
        let child = self.child.take().expect("it runs");
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("a process number")).expect("not zero");
        kill_process(pid, Signal::TERM).expect("it lives");
        Run::new(child.wait_with_output().expect("it ends"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it lives");
            child.wait().expect("it ends");
        }
    }
}

#[test]
fn the_printed_variables_are_all_that_a_fetch_needs() {
    let running = Running::start(
        &Home::new(),
        &["--profiles", "250", "--page-size", "100", "--fault", "pages=1 status=503 times=1"],
    );
    let home = running.home();
    assert_eq!(home.run(&["auth", "test"]).exits(0).json()["events_found"], 6);
    let result = home.run(&["fetch", "profiles", "--parallel"]).exits(0).json();
    assert_eq!((&result["total_rows"], &result["retries"]), (&250.into(), &1.into()));
    let run = running.stop().exits(143);
    run.says(&["5 requests answered", "2 counted", "1 fault applied"]).exits(143);
}

#[test]
fn quotas_faults_and_records_can_be_given() {
    let home = Home::new();
    let faults = home.path().join("faults.json");
    std::fs::write(&faults, r#"[{"pages": "1", "status": 404}]"#).expect("a file");
    let records = home.path().join("records.jsonl");
    let lines: Vec<String> = (0..30)
        .map(|number| format!(r#"{{"distinct_id":"u{number}","properties":{{"n":{number}}},"last_seen":null}}"#))
        .collect();
    std::fs::write(&records, lines.join("\n")).expect("a file");
    let (faults, records) = (faults.display().to_string(), records.display().to_string());
    let arguments =
        ["--file", &records, "--page-size", "10", "--faults", &faults, "--quota", "2/1s", "--count-session-pages"];
    let running = Running::start(&home, &arguments);
    let arguments = ["fetch", "profiles", "--stdout", "-q", "--page-size", "10", "--quota", "2/1s"];
    let run = running.home().run(&arguments).exits(1);
    for number in [0, 29] {
        let record = format!(r#"{{"distinct_id":"u{number}","last_seen":null,"properties":{{"n":{number}}}}}"#);
        assert!(run.stdout.contains(&record), "{run:?}");
    }
    running.stop().exits(143).says(&[" 1 refused with 429"]);

    home.run(&["simulate", "--faults", "nowhere.json"]).exits(4).says(&["nowhere.json"]).prints_nothing();
    std::fs::write(home.path().join("bad.json"), "[{\"pages\": \"1\"}]").expect("a file");
    home.run(&["simulate", "--faults", "bad.json"]).exits(3).says(&["bad.json", "hint:"]).prints_nothing();
    std::fs::write(home.path().join("bad.jsonl"), "{}\n").expect("a file");
    home.run(&["simulate", "--file", "bad.jsonl"]).exits(3).says(&["bad.jsonl", "line 1"]).prints_nothing();
    home.run(&["simulate", "--addr", "0.0.0.0:0"]).exits(1).says(&["not a loopback address"]).prints_nothing();
}
