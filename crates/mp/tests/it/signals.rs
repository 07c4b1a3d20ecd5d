//! Ctrl-C and its like.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Stdio};
use std::time::Duration;

use mixpanel_simulator::SimulatorConfig;
use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Home, Run, Simulator};

fn slow() -> Simulator {
    let config = SimulatorConfig { page_size: 10, latency: Duration::from_millis(100), ..SimulatorConfig::default() };
    Simulator::start(config)
}

/// Starts the command and returns it once it has shown that line.
fn start(home: &Home, arguments: &[&str], first: &str) -> (Child, BufReader<std::process::ChildStderr>) {
    let mut command = home.command(arguments);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut line = String::new();
    while !line.starts_with(first) {
        line.clear();
        assert!(stderr.read_line(&mut line).expect("a line") > 0, "it ended without {first:?}");
    }
    (child, stderr)
}

fn send(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("a process number")).expect("not zero");
    kill_process(pid, signal).expect("it lives");
}

fn end(child: Child, mut stderr: BufReader<std::process::ChildStderr>) -> Run {
    let mut words = Vec::new();
    stderr.read_to_end(&mut words).expect("words");
    let mut output = child.wait_with_output().expect("it ends");
    output.stderr = words;
    Run::new(output)
}

/// Whether this process was started with the signal ignored, as in the background of a script; children inherit that.
fn is_ignored(signal: Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let set = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
    set.is_some_and(|set| set & (1 << (signal.as_raw() - 1)) != 0)
}

#[test]
fn a_signal_stops_the_fetch_and_nothing_is_loaded() {
    let simulator = slow();
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        if is_ignored(signal) {
            println!("skipped: {signal:?} is ignored here");
            continue;
        }
        let home = Home::new().with_server(&simulator);
        let (child, stderr) = start(&home, &["fetch", "profiles", "--parallel"], "page 2");
        send(&child, signal);
        let run = end(child, stderr).exits(code).prints_nothing();
        run.says(&["stopping: ", "error: could not fetch profiles", "fetched so far are kept"]).exits(code);
        assert!(!home.database().exists());
    }
}

#[test]
fn the_second_signal_ends_it_at_once() {
    if is_ignored(Signal::INT) {
        return println!("skipped: the signal is ignored here");
    }
    let config = SimulatorConfig {
        page_size: 10,
        faults: vec!["pages=1 delay=60s".parse().expect("a fault")],
        ..SimulatorConfig::default()
    };
    let simulator = Simulator::start(config);
    let home = Home::new().with_server(&simulator);
    let (child, mut stderr) = start(&home, &["fetch", "profiles"], "page 0");
    send(&child, Signal::INT);
    let mut line = String::new();
    stderr.read_line(&mut line).expect("a line");
    assert!(line.starts_with("stopping: "), "{line}");
    send(&child, Signal::INT);
    let run = end(child, stderr).exits(130).prints_nothing();
    assert!(!run.stderr.contains("error"), "{}", run.stderr);
}

#[test]
fn a_hang_up_that_was_to_be_ignored_is_ignored() {
    let simulator = slow();
    let home = Home::new().with_server(&simulator);
    let direct = home.command(&["fetch", "profiles", "-w", "properties[\"plan\"] == \"enterprise\""]);
    let mut command = std::process::Command::new("nohup");
    command.arg(direct.get_program()).args(direct.get_args()).env_clear().current_dir(home.path()).stdin(Stdio::null());
    command.envs(direct.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut line = String::new();
    while !line.starts_with("page 0") {
        line.clear();
        assert!(stderr.read_line(&mut line).expect("a line") > 0);
    }
    send(&child, Signal::HUP);
    end(child, stderr).exits(0).says(&["loading "]);
}
