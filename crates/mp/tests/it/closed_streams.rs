//! Standard output and standard error that are closed or whose reader has gone away: no data is lost.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use crate::attacks::tools::has_program;
use crate::events::{clean, start, with_faults};
use crate::program::MP;
use crate::snapshot::assert_run;
use crate::support::{Home, Simulator};

fn rows(home: &Home, table: &str) -> String {
    home.run(&["query", "sql", "-s", "-f", "plain", &format!("select count(*) from {table}")]).exits(0).stdout
}

#[test]
fn a_fetch_into_a_table_works_with_closed_streams() {
    let simulator = Simulator::with_faults(300, &["pages=1 status=503 times=1"]);
    let home = Home::new().with_server(&simulator);
    for (number, streams) in
        [">&-", "2>&-", "<&-", ">&- 2>&-", ">&- <&-", "2>&- <&-", ">&- 2>&- <&-", "-v 2>&-", "> /dev/full 2>&-"]
            .into_iter()
            .enumerate()
    {
        let table = format!("t{number}");
        let run = home.shell(&format!("{MP} fetch profiles {table} {streams}"));
        // A full disk changes the exit code, but the table is loaded.
        assert_eq!(run.code, Some(i32::from(streams.contains("/dev/full"))), "{streams}: {run:?}");
        assert_eq!(rows(&home, &table), "300\n", "{streams}");
    }
}

#[test]
fn a_reader_that_closes_immediately_does_not_fail_the_fetch() {
    let simulator = Simulator::with_faults(300, &[]);
    let home = Home::new().with_server(&simulator);
    let _head = home.shell(&format!("({MP} fetch profiles users; echo $? > code) | head -n 0"));
    assert_eq!(std::fs::read_to_string(home.path().join("code")).expect("a code"), "0\n");
    assert_eq!(rows(&home, "users"), "300\n");
}

#[test]
fn missing_pages_fail_even_with_closed_streams() {
    let simulator = Simulator::with_faults(300, &["pages=1 status=404"]);
    let home = Home::new().with_server(&simulator);
    let _head = home.shell(&format!("({MP} fetch profiles users 2>&-; echo $? > code) | head -n 0"));
    assert_eq!(std::fs::read_to_string(home.path().join("code")).expect("a code"), "1\n");
    assert_eq!(rows(&home, "users"), "200\n");
}

#[test]
fn closing_stderr_midway_does_not_stop_a_fetch() {
    for options in [&[][..], &["-v"], &["--parallel", "-v"]] {
        let simulator = Simulator::with_faults(950, &["pages=4 status=503 times=1"]);
        let home = Home::new().with_server(&simulator);
        let mut command = home.command(&[&["fetch", "profiles", "users"], options].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        let mut line = String::new();
        while !line.starts_with("page 0") {
            line.clear();
            assert!(stderr.read_line(&mut line).expect("a line") > 0);
        }
        drop(stderr);
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(0), "{options:?}");
        assert_eq!(rows(&home, "users"), "950\n");
    }
}

/// The server never answers: the fetch ends because its output has no reader.
#[test]
fn a_stream_without_a_reader_ends_while_it_waits() {
    let profiles = Simulator::with_faults(300, &["pages=all delay=600s times=always"]);
    let home = Home::new().with_server(&profiles);
    let _head = home.shell(&format!("({MP} fetch profiles --stdout -q; echo $? > code) | head -n 0"));
    assert_eq!(std::fs::read_to_string(home.path().join("code")).expect("a code"), "0\n");
    let (_simulator, home, _) = start(with_faults(clean(), &["requests=1 delay=600s times=always"]));
    let line = "fetch events --stdout -q --from 7d --to today";
    let _head = home.shell(&format!("({MP} {line}; echo $? > code) | head -n 0"));
    assert_eq!(std::fs::read_to_string(home.path().join("code")).expect("a code"), "0\n");
}

#[test]
fn closed_stdout_is_an_error_before_any_request() {
    let simulator = Simulator::with_faults(300, &[]);
    let home = Home::new().with_server(&simulator);
    home.run(&["fetch", "profiles", "users", "-q"]).exits(0);
    let requests = simulator.stats().requests;
    let commands = [
        "inspect tables",
        "inspect sample -t users",
        "query sql 'from users'",
        "auth list",
        "fetch status",
        "fetch profiles --stdout",
        "fetch profiles other --plan",
        "completions bash",
        "demo --fast",
        "simulate --addr 127.0.0.1:0",
        "--help",
        "fetch profiles --help",
        "--version",
    ];
    for command in commands {
        for streams in [">&-", ">&- 2>&- <&-"] {
            let run = home.shell(&format!("{MP} {command} {streams}"));
            assert_eq!(run.code, Some(1), "{command} {streams}: {run:?}");
            if !streams.contains("2>") {
                assert_run!(run, command);
            }
        }
        // Output may be discarded explicitly, however the file is opened.
        for streams in ["> /dev/null", "1<> /dev/null"] {
            if !command.starts_with("simulate") && !command.starts_with("demo") {
                let run = home.shell(&format!("{MP} {command} {streams}"));
                assert_eq!(run.code, Some(0), "{command} {streams}: {run:?}");
            }
        }
        home.shell(&format!("rm -rf {}.stage", home.database().display())).exits(0);
    }
    assert_eq!(simulator.stats().requests - requests, 10, "only for /dev/null");
    let run = home.shell(&format!("{MP} query sql nonsense 2>&-"));
    assert_eq!(run.code, Some(3));
}

#[test]
fn commands_with_side_effects_succeed_with_stdout_closed() {
    let simulator = Simulator::with_faults(300, &[]);
    let home = Home::new().with_server(&simulator);
    let commands = [
        "fetch profiles users",
        "verify users",
        "auth switch b",
        "auth remove b --force",
        "inspect drop -t users --force",
    ];
    for name in ["a", "b"] {
        let add = format!("{MP} auth add {name} --username u --project 1 --secret-stdin --no-test >&-");
        assert_run!(home.shell(&format!("echo s3cret | {add}")).exits(0), name);
    }
    for command in commands {
        assert_run!(home.shell(&format!("{MP} {command} >&-")).exits(0), command);
    }
    assert_eq!(home.run(&["auth", "list", "-f", "plain"]).exits(0).stdout, "a\n");
    home.run(&["query", "sql", "from users"]).exits(3);
}

#[test]
fn a_file_that_is_read_from_a_closed_standard_input_is_an_error() {
    let home = Home::new();
    for command in ["query sql -F -", "auth add a --username u --project 1 --secret-stdin", "simulate --file -"] {
        let run = home.shell(&format!("{MP} {command} <&-"));
        assert!(matches!(run.code, Some(1 | 3)), "{run:?}");
        assert_run!(run, command);
    }
}

/// Runs the command with a small non-blocking pipe that is read slowly, and returns the output.
fn through_a_slow_pipe(home: &Home, arguments: &str, stream: u8) -> String {
    let script = "import os,subprocess,sys,time\n\
        r,w=os.pipe()\n\
        os.set_blocking(w,False)\n\
        stream=int(sys.argv[1])\n\
        p=subprocess.Popen(sys.argv[2:],**{['','stdout','stderr'][stream]:w})\n\
        os.close(w)\n\
        time.sleep(0.3)\n\
        data=b''\n\
        while True:\n\
        \x20   part=os.read(r,50000)\n\
        \x20   if not part: break\n\
        \x20   data+=part\n\
        assert p.wait()==0,p.returncode\n\
        sys.stdout.buffer.write(data)\n";
    std::fs::write(home.path().join("slow.py"), script).expect("a script");
    let python = "PATH=$PATH:/usr/local/bin python3";
    home.shell(&format!("{python} slow.py {stream} {MP} {arguments}")).exits(0).stdout
}

#[test]
fn a_full_non_blocking_stream_is_waited_for() {
    if !has_program("python3") {
        return;
    }
    let simulator = Simulator::with_faults(700, &[]);
    let home = Home::new().with_server(&simulator);
    home.run(&["fetch", "profiles", "users", "-q"]).exits(0);
    for arguments in ["query sql 'from users'", "fetch profiles --stdout"] {
        let whole = home.shell(&format!("{MP} {arguments}")).exits(0).stdout;
        let came = through_a_slow_pipe(&home, arguments, 1);
        assert!(whole.len() > 300_000, "larger than any pipe");
        assert_eq!((came.len(), came == whole), (whole.len(), true), "{arguments}");
    }
    let words = through_a_slow_pipe(&home, "fetch profiles users --replace -v", 2);
    assert!(words.contains("page 6"), "{words}");
}

#[test]
fn standard_input_that_is_non_blocking_is_waited_for() {
    if !has_program("python3") {
        return;
    }
    let home = Home::new();
    home.run(&["demo", "--fast", "--keep", "d", "-f", "json", "-q"]).exits(0);
    let script = "import os,subprocess,sys,time\n\
        r,w=os.pipe()\n\
        os.set_blocking(r,False)\n\
        p=subprocess.Popen(sys.argv[1:],stdin=r)\n\
        os.close(r)\n\
        for part in [b'select ', b'40 ', b'+ 2']:\n\
        \x20   time.sleep(0.2)\n\
        \x20   os.write(w,part)\n\
        os.close(w)\n\
        sys.exit(p.wait())\n";
    std::fs::write(home.path().join("late.py"), script).expect("a script");
    let line = format!("PATH=$PATH:/usr/local/bin python3 late.py {MP} query sql -s -f plain -F - --db d/demo.db");
    assert_eq!(home.shell(&line).exits(0).stdout, "42\n");
}
