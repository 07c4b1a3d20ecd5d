//! Standard output and standard error that are closed, or whose readers went away: nobody's data are lost for that.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use crate::support::{Home, Simulator};

const MP: &str = env!("CARGO_BIN_EXE_mp");

fn rows(home: &Home, table: &str) -> String {
    home.run(&["query", "sql", "-s", "-f", "plain", &format!("select count(*) from {table}")]).exits(0).stdout
}

#[test]
fn a_fetch_into_a_table_does_not_need_anyone_who_listens() {
    let simulator = Simulator::with_faults(300, &["pages=1 status=503 times=1"]);
    let home = Home::new().with_server(&simulator);
    for (number, streams) in
        [">&-", "2>&-", "<&-", ">&- 2>&-", ">&- 2>&- <&-", "-v 2>&-", "> /dev/full 2>&-"].into_iter().enumerate()
    {
        let table = format!("t{number}");
        let run = home.shell(&format!("{MP} fetch profiles {table} {streams}"));
        // A disk that is full is worth an exit code; the table is there all the same.
        assert_eq!(run.code, Some(i32::from(streams.contains("/dev/full"))), "{streams}: {run:?}");
        assert_eq!(rows(&home, &table), "300\n", "{streams}");
    }
}

#[test]
fn a_reader_that_does_not_read_is_no_failure() {
    let simulator = Simulator::with_faults(300, &[]);
    let home = Home::new().with_server(&simulator);
    let _head = home.shell(&format!("({MP} fetch profiles users; echo $? > code) | head -n 0"));
    assert_eq!(std::fs::read_to_string(home.path().join("code")).expect("a code"), "0\n");
    assert_eq!(rows(&home, "users"), "300\n");
}

#[test]
fn pages_that_are_missing_are_a_failure_although_nobody_reads_of_them() {
    let simulator = Simulator::with_faults(300, &["pages=1 status=404"]);
    let home = Home::new().with_server(&simulator);
    let _head = home.shell(&format!("({MP} fetch profiles users 2>&-; echo $? > code) | head -n 0"));
    assert_eq!(std::fs::read_to_string(home.path().join("code")).expect("a code"), "1\n");
    assert_eq!(rows(&home, "users"), "200\n");
}

#[test]
fn standard_error_whose_reader_goes_away_in_the_middle_does_not_stop_it() {
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

#[test]
fn other_commands_do_not_need_anyone_who_listens_either() {
    let simulator = Simulator::with_faults(300, &[]);
    let home = Home::new().with_server(&simulator);
    home.run(&["fetch", "profiles", "users", "-q"]).exits(0);
    for command in ["inspect tables", "query sql 'from users'", "auth list", "--help", "fetch profiles --stdout"] {
        let run = home.shell(&format!("{MP} {command} >&- 2>&-"));
        assert_eq!(run.code, Some(0), "{command}");
    }
    let run = home.shell(&format!("{MP} query sql nonsense >&- 2>&-"));
    assert_eq!(run.code, Some(3));
}
