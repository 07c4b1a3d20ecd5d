//! Waits, how they are announced, and the log of `--verbose`.

use crate::snapshot::assert_run;
use crate::support::{Home, Simulator};

fn is_time(text: &str) -> bool {
    text.len() == 8
        && text.bytes().enumerate().all(|(at, byte)| if at % 3 == 2 { byte == b':' } else { byte.is_ascii_digit() })
}

#[test]
fn piped_output_logs_the_start_and_end_of_a_wait() {
    let simulator = Simulator::with_faults(950, &["pages=2-4 status=429 header=Retry-After:1 times=1"]);
    let home = Home::new().with_server(&simulator);
    let run = home.run(&["fetch", "profiles", "users", "--parallel"]).exits(0);
    let begins: Vec<&str> = run.stderr.lines().filter_map(|line| line.strip_prefix("waiting until ")).collect();
    assert!(begins.len() == 1 && is_time(&begins[0][..8]), "{}", run.stderr);
    assert!(begins[0][8..].starts_with(" (1s): ") || begins[0][8..].starts_with(" (2s): "), "{}", begins[0]);
    assert!(begins[0].contains("429"), "{}", begins[0]);
    assert_eq!(run.stderr.lines().filter(|line| line.starts_with("resumed after ")).count(), 1, "{}", run.stderr);
}

#[test]
fn verbose_logs_every_request() {
    let simulator = Simulator::with_faults(300, &["pages=1 status=429 header=Retry-After:1 times=1"]);
    let home = Home::new().with_server(&simulator);
    for hidden in [&["--no-progress"][..], &["-q"]] {
        let run = home.run(&[&["fetch", "profiles", "users", "--replace", "-v"], hidden].concat()).exits(0);
        let has = |text: &str| assert!(run.stderr.contains(text), "no {text:?} in {}", run.stderr);
        for text in ["request sent", "response received", "status=200", "page 2: 100 profiles", "loading 300 profiles"]
        {
            has(text);
        }
        assert!(run.stderr.lines().filter(|line| line.contains("request sent")).count() >= 3, "{}", run.stderr);
    }
    let run = home.run(&["fetch", "profiles", "again", "-v"]).exits(0);
    assert_eq!(run.stderr.matches("page 2: 100 profiles").count(), 1, "progress is not logged as well: {}", run.stderr);
}

#[test]
fn an_unreachable_server_blames_the_base_url_setting() {
    let simulator = Simulator::with_faults(10, &[]);
    let nowhere = "http://127.0.0.1:1";
    let home = Home::new().with_server(&simulator).with("MP_BASE_URL", nowhere);
    for arguments in [
        &["auth", "test"][..],
        &["fetch", "profiles", "-q", "--max-wait", "1s"],
        &["fetch", "profiles", "--stdout", "-q", "--max-wait", "1s"],
    ] {
        let run = home.run(arguments).exits(1).prints_nothing();
        let run = assert_run!(run);
        assert!(!run.stderr.contains("HTTPS_PROXY"), "{}", run.stderr);
    }
}

#[test]
fn the_quota_is_kept_by_one_call_after_the_other() {
    let simulator = Simulator::with_faults(250, &[]);
    let home = Home::new().with_server(&simulator);
    let quota = ["--quota", "1/2s"];
    home.run(&[&["fetch", "profiles", "one"], &quota[..]].concat()).exits(0);
    assert!(home.path().join(".mp/state").is_dir());
    let run = home.run(&[&["fetch", "profiles", "two"], &quota[..]].concat()).exits(0);
    run.says(&["waiting until ", "resumed after "]).exits(0);
    let run = home.run(&[&["fetch", "profiles", "--stdout"], &quota[..]].concat()).exits(0);
    run.says(&["waiting until ", "resumed after "]).exits(0);
}

#[test]
fn a_wait_longer_than_max_wait_fails_immediately() {
    let simulator = Simulator::with_faults(250, &[]);
    let home = Home::new().with_server(&simulator);
    home.run(&["fetch", "profiles", "one", "-q", "--quota", "2/1h", "--reserve", "1"]).exits(0);
    for target in ["two", "--stdout"] {
        let arguments = ["fetch", "profiles", target, "--quota", "2/1h", "--reserve", "1", "--max-wait", "1s"];
        let run = home.run(&arguments).exits(5).prints_nothing();
        assert!(!run.stderr.contains("fetch resume"), "there is nothing to resume: {}", run.stderr);
    }
}
