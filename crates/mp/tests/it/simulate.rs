//! `mp simulate`.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::snapshot::assert_run;
use crate::support::{Home, Run};

/// A running `mp simulate` and the variables that it printed.
struct Running {
    child: Option<Child>,
    variables: Vec<(String, String)>,
}

impl Running {
    fn start(home: &Home, arguments: &[&str]) -> Self {
        let address = if arguments.contains(&"--addr") { &[][..] } else { &["--addr", "127.0.0.1:0"] };
        let mut command = home.command(&[&["simulate"], address, arguments].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let lines = stdout.lines().take(6).map(|line| line.expect("a line"));
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
    assert_eq!(home.run(&["auth", "test"]).exits(0).json()["events_found"], 9);
    let result = home.run(&["fetch", "profiles", "--parallel"]).exits(0).json();
    assert_eq!((&result["total_rows"], &result["retries"]), (&250.into(), &1.into()));
    // The database, the accounts and the quota are those of the simulator, and go with it.
    let own = running.variables.iter().find(|(name, _)| name == "MP_HOME").expect("a directory").1.clone();
    assert!(Path::new(&own).join("data/12345.db").is_file() && Path::new(&own).join("state").is_dir());
    assert!(!home.path().join(".mp").exists());
    let run = running.stop().exits(143);
    assert_run!(run.exits(143));
    assert!(!Path::new(&own).exists());
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
    assert_run!(running.stop().exits(143));

    assert_run!(home.run(&["simulate", "--faults", "nowhere.json"]).exits(4).prints_nothing());
    std::fs::write(home.path().join("bad.json"), "[{\"pages\": \"1\"}]").expect("a file");
    assert_run!(home.run(&["simulate", "--faults", "bad.json"]).exits(3).prints_nothing());
    std::fs::write(home.path().join("bad.jsonl"), "{}\n").expect("a file");
    assert_run!(home.run(&["simulate", "--file", "bad.jsonl"]).exits(3).prints_nothing());
    assert_run!(home.run(&["simulate", "--addr", "0.0.0.0:0"]).exits(1).prints_nothing());
}

#[test]
fn files_written_by_other_tools_are_served() {
    let home = Home::new();
    let record = |id: &str| format!(r#"{{"$distinct_id":"{id}","$properties":{{"k": 1.50}}}}"#);
    let (a, b) = (record("a"), record("b"));
    for text in [
        format!("\u{feff}{a}\n{b}\n"),
        format!("{a}\r\n{b}\r\n"),
        format!("\u{feff}\r\n\r\n {a} \r\n\r\n\u{feff}{b}"),
        format!("{a}\n{b}"),
    ] {
        std::fs::write(home.path().join("records.jsonl"), &text).expect("a file");
        let running = Running::start(&home, &["--file", "records.jsonl"]);
        let run = running.home().run(&["fetch", "profiles", "--stdout", "--raw", "-q"]).exits(0);
        assert_eq!(run.stdout, format!("{a}\n{b}\n"), "{text:?}");
    }
}

#[test]
fn unservable_files_are_refused_with_the_reason() {
    let home = Home::new();
    let utf16: Vec<u8> = "\u{feff}{}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (bytes, case) in [
        (&utf16[..], "UTF-16"),
        (b"\x1f\x8b\x08\0", "gzip"),
        (b"{\"$distinct_id\":\"a\"}\n{\"$distinct_id\":\"\xff\"}\n", "not UTF-8"),
        (b"[{\"$distinct_id\":\"a\"}]", "array"),
        (b"{\"$distinct_id\":\"a\"} {}", "two objects"),
    ] {
        std::fs::write(home.path().join("records.jsonl"), bytes).expect("a file");
        assert_run!(home.run(&["simulate", "--file", "records.jsonl"]).exits(3).prints_nothing(), case);
    }
    assert_run!(home.run(&["simulate", "--file", "."]).exits(3).prints_nothing());
    assert_run!(home.run(&["simulate", "--file", "nowhere.jsonl"]).exits(4).prints_nothing());
}

#[test]
fn an_address_can_be_given_by_name_and_one_in_use_is_named() {
    let home = Home::new();
    for address in ["localhost:0", ":0", "0"] {
        let running = Running::start(&home, &["--profiles", "1", "--addr", address]);
        assert!(running.variables[0].1.starts_with("http://127.0.0.1:"), "{:?}", running.variables);
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let run = home.run(&["simulate", "--addr", &address]).exits(1).prints_nothing();
    assert_run!(run.says(&[&address]));
    for address in ["localhost:70000", "example.com:80", "http://localhost:1"] {
        assert_run!(home.run(&["simulate", "--addr", address]).exits(3).prints_nothing(), address);
    }
}

/// Returns the response to an export of one day, head and body.
fn exported(running: &Running, day: &str) -> String {
    let variable = |name: &str| {
        let found = running.variables.iter().find(|(other, _)| name == other);
        found.unwrap_or_else(|| panic!("{name} is not printed")).1.clone()
    };
    let address = variable("MP_BASE_URL").replace("http://", "");
    let mut stream = std::net::TcpStream::connect(&address).expect("a connection");
    let request = format!(
        "GET /api/2.0/export?project_id={}&from_date={day}&to_date={day} HTTP/1.1\r\nHost: {address}\r\n\
         Authorization: Basic {}:{}\r\nConnection: close\r\n\r\n",
        variable("MP_PROJECT_ID"),
        variable("MP_USERNAME"),
        variable("MP_SECRET"),
    );
    stream.write_all(request.as_bytes()).expect("a request");
    let mut response = Vec::new();
    stream.read_to_end(&mut response).expect("a response");
    String::from_utf8_lossy(&response).into_owned()
}

#[test]
fn events_are_exported_as_the_options_say() {
    let options = [
        &["--today", "2026-11-26", "--profiles", "200", "--active", "0", "--export-quota", "4/h"][..],
        &[
            "--events",
            "per-day=500 framing=content-length",
            "--events",
            "odd elapsed=1d per-second=off",
            "--export-fault",
            "first=1 cut=100",
        ],
    ];
    let running = Running::start(&Home::new(), &options.concat());
    let cut = exported(&running, "2026-11-20");
    let (head, body) = cut.split_once("\r\n\r\n").expect("a head");
    assert!(head.contains("content-length: ") && body.len() == 100, "{cut}");
    let whole = exported(&running, "2026-11-20");
    assert!(whole.contains("{\"event\":\"Odd\",") && whole.matches("\"App Open\"").count() > 50, "{whole}");
    // A day has passed.
    assert!(exported(&running, "2026-11-27").starts_with("HTTP/1.1 200 OK\r\n"));
    let refused = exported(&running, "2026-11-28");
    assert!(refused.contains("to_date cannot be later than today"), "{refused}");
    assert!(exported(&running, "2026-11-20").starts_with("HTTP/1.1 429 "));
    let run = running.stop().exits(143);
    assert_run!(run);
}
