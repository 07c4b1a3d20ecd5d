//! Limits that the system sets for a process: each one leads to a result or to a message that names the limit.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::process::CommandExt as _;

use crate::attacks::tools::has_program;
use crate::program::MP;
use crate::snapshot::assert_run;
use crate::support::{Home, Run, Simulator};

fn rows(home: &Home) -> String {
    home.run(&["query", "sql", "-s", "-f", "plain", "select count(*) from users"]).exits(0).stdout
}

#[test]
fn exceeding_the_file_size_limit_suggests_raising_it() {
    let simulator = Simulator::with_faults(1_000, &[]);
    let home = Home::new().with_server(&simulator);
    // In blocks of 512 bytes: too small for a page, the output and the database.
    for (blocks, arguments) in [
        (8, "fetch profiles others --no-progress"),
        (8, "fetch profiles --stdout --no-progress > out.jsonl"),
        (200, "fetch profiles users --parallel --no-progress"),
    ] {
        let run = home.shell(&format!("ulimit -f {blocks}; {MP} {arguments}"));
        assert_run!(run.exits(1));
    }
    // The database exists and is empty.
    assert_run!(home.run(&["query", "sql", "from users"]).exits(3));
    home.run(&["fetch", "resume", "users"]).exits(0);
    assert_eq!(rows(&home), "1000\n");
    for command in ["query sql 'from users'", "inspect sample -t users -n 900", "completions bash"] {
        let run = home.shell(&format!("ulimit -f 1; {MP} {command} > out"));
        assert_run!(run.exits(1));
    }
}

#[test]
fn too_few_file_descriptors_are_an_error_with_the_command_that_raises_them() {
    let simulator = Simulator::with_faults(300, &[]);
    let home = Home::new().with_server(&simulator);
    home.run(&["fetch", "profiles", "users", "-q"]).exits(0);
    let commands = [
        "fetch profiles users --replace --parallel",
        "fetch profiles --stdout",
        "query sql 'from users'",
        "auth test",
        "demo --fast",
        "auth list",
    ];
    for command in commands {
        let whole = home.shell(&format!("{MP} {command} -q")).exits(0).stdout.lines().count();
        let mut worked = false;
        // With fewer than 5, the dynamic loader cannot load the libraries and reports it itself.
        for limit in [7, 20, 60] {
            let run = home.shell(&format!("ulimit -n {limit}; {MP} {command} -q"));
            match run.code {
                Some(0) => assert_eq!(run.stdout.lines().count(), whole, "{command}, {limit}"),
                Some(1) => {
                    assert!(!worked, "{command} works with less than {limit}");
                    for words in ["error: ", "Too many open files", "hint: ", "ulimit -n"] {
                        assert!(run.stderr.contains(words), "no {words:?} in {}", run.stderr);
                    }
                    continue;
                }
                // The error of the dynamic loader.
                Some(127) => continue,
                other => panic!("{command}, {limit}: {other:?}: {}", run.stderr),
            }
            worked = true;
        }
        assert!(worked, "{command}");
    }
    // The soft limit is raised automatically.
    let _raised = home.shell(&format!("ulimit -Sn 8; {MP} fetch profiles users --append --parallel")).exits(0);
    assert_eq!(rows(&home), "300\n");
}

#[test]
fn too_little_memory_is_an_error_with_the_limit_to_raise() {
    let simulator = Simulator::with_faults(300, &[]);
    let home = Home::new().with_server(&simulator);
    home.run(&["fetch", "profiles", "users", "-q"]).exits(0);
    let commands = [
        ("fetch profiles users --replace --parallel", 700_000),
        ("fetch profiles users --replace --memory 1GB", 1_300_000),
        ("fetch profiles --stdout", 390_000),
        ("query sql 'from users'", 290_000),
        ("verify users", 290_000),
        ("auth test", 125_000),
        ("demo --fast", 700_000),
    ];
    let requests = simulator.stats().requests;
    std::thread::scope(|scope| {
        for (command, too_small) in commands {
            let home = &home;
            scope.spawn(move || {
                for limit in [too_small, too_small * 2 / 3] {
                    let run = home.shell(&format!("ulimit -v {limit}; {MP} {command} -q"));
                    // If the program itself does not fit, the dynamic loader reports it.
                    if run.code != Some(127) {
                        let run = run.exits(1).prints_nothing();
                        let words =
                            ["too little memory is available", "Cannot allocate memory", "`ulimit -v unlimited`"];
                        let run = run.says(&words);
                        assert!(!run.stderr.contains("bug"), "{}", run.stderr);
                    }
                }
            });
        }
    });
    assert_eq!(simulator.stats().requests, requests);
    // `ulimit -d` is a limit too, and either limit may be large enough.
    assert_run!(home.shell(&format!("ulimit -d 600000; {MP} fetch profiles users --replace")).exits(1));
    for limit in ["-v 1500000", "-d 1500000"] {
        home.shell(&format!("ulimit {limit}; {MP} fetch profiles users --replace --parallel -q")).exits(0);
        home.shell(&format!("ulimit {limit}; {MP} query sql 'from users'")).exits(0);
    }
}

#[test]
fn threads_that_cannot_be_started_are_an_error_with_the_limit_to_raise() {
    if !has_program("strace") {
        return;
    }
    let simulator = Simulator::with_faults(300, &[]);
    let home = Home::new().with_server(&simulator);
    home.run(&["fetch", "profiles", "users", "-q"]).exits(0);
    for arguments in ["fetch profiles users --replace --parallel -q", "query sql 'from users'"] {
        // The first threads are started only to check the limit; the others follow.
        for threads in [1, 9, 11] {
            let calls = format!("-e trace=clone,clone3 -e inject=clone,clone3:error=EAGAIN:when={threads}+");
            let run = home.shell(&format!("strace -f -qq -o trace {calls} {MP} {arguments}"));
            match run.code {
                Some(0) => assert!(!run.stdout.is_empty(), "{arguments}, {threads}"),
                _ => {
                    let _said =
                        run.says(&["error: ", "hint: this user or container may not start more threads"]).exits(1);
                }
            }
        }
    }
    assert_eq!(rows(&home), "300\n");
}

#[test]
fn non_utf8_arguments_never_panic() {
    let home = Home::new();
    let odd = || OsString::from_vec(b"caf\xe9".to_vec());
    let mut as_program = home.command(&["auth", "list"]);
    let output = as_program.arg0(odd()).output().expect("it runs");
    let _listed = Run::new(output).exits(0);
    let commands: [&[&str]; 6] =
        [&[], &["fetch"], &["fetch", "profiles"], &["query", "sql"], &["auth", "add"], &["fetch", "profiles", "-w"]];
    for words in commands {
        let output = home.command(words).arg(odd()).output().expect("it runs");
        let run = Run::new(output);
        assert!(matches!(run.code, Some(3)), "{words:?}: {run:?}");
        assert!(run.stderr.starts_with("error: "), "{run:?}");
    }
    for (words, code) in [(&["--db"][..], 4), (&["-F"], 4)] {
        let output =
            home.command(&["query", "sql"]).args(words).arg(odd()).args(["select 1"]).output().expect("it runs");
        let run = Run::new(output);
        assert!(matches!(run.code, Some(other) if other == code || other == 3), "{words:?}: {run:?}");
    }
}
