//! Ctrl-C and other termination signals.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use mixpanel_simulator::SimulatorConfig;
use rustix::process::Signal;
use serde_json::json;

use crate::process::{end, is_ignored, send, start};
use crate::snapshot::assert_run;
use crate::support::{Home, Simulator};

fn slow() -> Simulator {
    let config = SimulatorConfig { page_size: 10, latency: Duration::from_millis(100), ..SimulatorConfig::default() };
    Simulator::start(config)
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
        for words in ["stopping: waiting up to ", "error: could not fetch profiles", "fetched so far are kept"] {
            assert!(run.stderr.contains(words), "no {words:?} in {}", run.stderr);
        }
        assert!(run.resume_command().ends_with("/mp fetch resume profiles"), "{}", run.stderr);
        assert!(!home.database().exists());
    }
}

#[test]
fn the_second_signal_ends_it_at_once() {
    if is_ignored(Signal::INT) {
        return println!("skipped: the signal is ignored here");
    }
    let simulator = stuck();
    let home = Home::new().with_server(&simulator);
    let (child, mut stderr) = start(&home, &["fetch", "profiles"], "page 0");
    send(&child, Signal::INT);
    let mut line = String::new();
    stderr.read_line(&mut line).expect("a line");
    assert!(line.starts_with("stopping: "), "{line}");
    send(&child, Signal::INT);
    let run = end(child, stderr).exits(130).prints_nothing();
    assert!(!run.stderr.contains("error"), "{}", run.stderr);
    assert!(run.resume_command().ends_with("/mp fetch resume profiles"), "{}", run.stderr);
}

#[test]
fn the_message_of_a_signal_names_what_is_in_flight() {
    if is_ignored(Signal::INT) {
        return println!("skipped: the signal is ignored here");
    }
    let mut config = SimulatorConfig { reference_time: jiff::Timestamp::now(), ..SimulatorConfig::default() };
    config.export_faults = vec!["delay=300s".parse().expect("a fault")];
    let simulator = Simulator::start(config.with_profiles(50));
    let range = ["fetch", "events", "--from", "3d", "--to", "1d"];
    for options in [&[][..], &["--stdout"]] {
        let home = Home::new().with_server(&simulator);
        let (child, mut stderr) = start(&home, &[&range, options].concat(), "fetching ");
        send(&child, Signal::INT);
        let mut line = String::new();
        while !line.starts_with("stopping: ") {
            line.clear();
            assert!(stderr.read_line(&mut line).expect("a line") > 0, "no message");
        }
        assert!(line.contains("for batches in flight"), "{line}");
        send(&child, Signal::INT);
        end(child, stderr).exits(130).prints_nothing();
    }
}

/// Starts a server that never responds to the request for page 1.
fn stuck() -> Simulator {
    let config = SimulatorConfig {
        page_size: 10,
        faults: vec!["pages=1 delay=300s".parse().expect("a fault")],
        ..SimulatorConfig::default()
    };
    Simulator::start(config)
}

#[test]
fn sigterm_ends_a_stuck_fetch_within_seconds() {
    let simulator = stuck();
    for options in [["users"], ["--stdout"]] {
        let home = Home::new().with_server(&simulator);
        let (child, stderr) = start(&home, &[&["fetch", "profiles"], &options[..]].concat(), "page 0");
        let sent = Instant::now();
        send(&child, Signal::TERM);
        assert_run!(end(child, stderr).exits(143).counting_lines(), options[0]);
        assert!(sent.elapsed() < Duration::from_secs(8), "it took {:?}", sent.elapsed());
    }
}

#[test]
fn an_interrupted_fetch_can_be_resumed() {
    if is_ignored(Signal::INT) {
        return println!("skipped: the signal is ignored here");
    }
    let config = SimulatorConfig { page_size: 100, latency: Duration::from_millis(50), ..SimulatorConfig::default() };
    let simulator = Simulator::start(config.with_profiles(1_950));
    let home = Home::new().with_server(&simulator);
    let (child, stderr) = start(&home, &["fetch", "profiles", "users", "--parallel"], "page 3");
    send(&child, Signal::INT);
    let run = end(child, stderr).exits(130).prints_nothing();
    let result = home.shell(&run.resume_command()).exits(0).json();
    assert_eq!((&result["total_rows"], &result["successful_pages"]), (&1_950.into(), &20.into()));
    assert!(simulator.stats().hits_per_page.values().all(|hits| *hits == 1), "{:?}", simulator.stats().hits_per_page);
}

/// A process that is killed records no requests, but the pages that it staged show them. Those in flight, and those that
/// failed, are unknown.
#[test]
fn requests_of_killed_processes_are_counted() {
    let missing = |page: u32| format!("pages={page} status=404 times=1");
    let stuck = |page: u32| format!("pages={page} delay=300s times=1");
    let first = &["fetch", "profiles", "users"][..];
    let resume = &["fetch", "resume", "users"][..];
    // The runs that are killed after a page, and the number of unknown requests.
    for (faults, partial, killed, unknown) in [
        (vec![stuck(3), stuck(6)], false, &[(first, "page 2"), (resume, "page 5")][..], 2),
        (vec![missing(3), missing(5), missing(7), stuck(5)], true, &[(resume, "page 3")], 1),
    ] {
        let faults = faults.iter().map(|fault| fault.parse().expect("a fault")).collect();
        let config = SimulatorConfig { page_size: 10, faults, ..SimulatorConfig::default() };
        let simulator = Simulator::start(config.with_profiles(100));
        let home = Home::new().with_server(&simulator);
        if partial {
            let _partial = home.run(first).exits(1);
        }
        for (arguments, last) in killed {
            let (child, stderr) = start(&home, arguments, last);
            send(&child, Signal::KILL);
            let _killed = end(child, stderr);
        }
        let result = home.run(resume).exits(0).json();
        let requests = result["requests"].as_u64().expect("a number");
        assert_eq!((&result["received"], requests + unknown), (&json!(100), simulator.stats().requests), "{result}");
    }
}

#[test]
fn a_wait_can_be_interrupted() {
    if is_ignored(Signal::INT) {
        return println!("skipped: the signal is ignored here");
    }
    let simulator = Simulator::with_faults(950, &["pages=2 status=429 header=Retry-After:50 times=1"]);
    let home = Home::new().with_server(&simulator);
    let (child, stderr) = start(&home, &["fetch", "profiles"], "waiting until ");
    let sent = Instant::now();
    send(&child, Signal::INT);
    end(child, stderr).exits(130).says(&["fetched so far are kept"]).prints_nothing();
    assert!(sent.elapsed() < Duration::from_secs(5), "it took {:?}", sent.elapsed());
}

#[test]
fn an_ignored_sighup_stays_ignored() {
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

#[test]
fn a_signal_rolls_back_the_load_and_resume_completes_it() {
    if is_ignored(Signal::INT) {
        return println!("skipped: the signal is ignored here");
    }
    let simulator =
        Simulator::start(SimulatorConfig { page_size: 1_000, ..SimulatorConfig::default() }.with_profiles(10_000));
    let old = Simulator::with_faults(10, &[]);
    for (more, signal, code) in [(&["--replace"][..], Signal::INT, 130), (&["--upsert"], Signal::TERM, 143)] {
        let home = Home::new().with_server(&old);
        home.run(&["fetch", "profiles", "users", "-q"]).exits(0);
        let home = home.with_server(&simulator);
        let arguments = [&["fetch", "profiles", "users", "--parallel"], more].concat();
        let (child, stderr) = start(&home, &arguments, "loading 10,000 profiles");
        send(&child, signal);
        let begun = Instant::now();
        let run = end(child, stderr).exits(code).prints_nothing();
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        let run = assert_run!(run, more[0]);
        let count = ["query", "sql", "-s", "-f", "plain", "select count(*) from users"];
        assert_eq!(home.run(&count).exits(0).stdout, "10\n");
        let requests = simulator.stats().requests;
        home.shell(&run.resume_command()).exits(0);
        assert_eq!(simulator.stats().requests, requests, "all pages were there");
        assert!(home.run(&count).exits(0).stdout.starts_with("100"));
    }
}
