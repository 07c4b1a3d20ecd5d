//! The path of the database does not affect its contents.

use std::path::Path;

use crate::support::{Home, Simulator};

/// Rows as text, in a fixed order.
const ROWS: &str = "SELECT distinct_id, properties::VARCHAR AS p, last_seen FROM users ORDER BY ALL";

fn rows(home: &Home, database: &str) -> String {
    home.run(&["query", "sql", "-f", "jsonl", "--db", database, ROWS]).exits(0).stdout
}

fn fetch(home: &Home, database: &str, more: &[&str]) {
    home.run(&[&["fetch", "profiles", "users", "-q", "--db", database], more].concat()).exits(0);
}

#[test]
fn database_paths_with_duckdb_special_characters_work() {
    let simulator = Simulator::with_faults(250, &[]);
    let home = Home::new().with_server(&simulator);
    fetch(&home, "plain.db", &[]);
    let expected = rows(&home, "plain.db");
    assert_eq!(expected.lines().count(), 250);
    for (directory, name) in [
        ("distinct_id=5/properties={}/last_seen=2020-01-01", "distinct_id=5"),
        ("a*/a[b]*/{a,b}", "a[b]*"),
        ("it's \"x\"/back\\slash*/a\nb/é", "it's \"x\"\n{a,b}"),
        ("temp", "information_schema"),
        ("information_schema", "temp"),
    ] {
        std::fs::create_dir_all(home.path().join(directory)).expect("a directory");
        let database = format!("{directory}/{name}.db");
        fetch(&home, &database, &[]);
        assert_eq!(rows(&home, &database), expected, "{database:?}");
    }
}

#[test]
fn every_command_works_with_an_odd_database_path() {
    let simulator = Simulator::with_faults(250, &["pages=1 status=404 times=1"]);
    let home = Home::new().with_server(&simulator);
    let database = "distinct_id=all/[x]*/information_schema.db";
    // A page is missing and is fetched by the resume.
    home.run(&["fetch", "profiles", "users", "-q", "--db", database]).exits(1);
    home.run(&["fetch", "resume", "-q", "--db", database]).exits(0);
    fetch(&home, "plain.db", &[]);
    let expected = rows(&home, "plain.db");
    for more in ["--append", "--upsert", "--replace"] {
        fetch(&home, database, &[more]);
        assert_eq!(rows(&home, database), expected, "{more}");
        home.run(&["verify", "users", "--db", database]).exits(0);
    }
    for command in [
        &["inspect", "tables"][..],
        &["inspect", "schema", "--table", "users"],
        &["inspect", "sample", "--table", "users"],
        &["fetch", "status"],
    ] {
        home.run(&[command, &["--db", database]].concat()).exits(0);
    }
}

#[test]
fn odd_paths_work_via_links_working_directory_and_home() {
    let simulator = Simulator::with_faults(50, &[]);
    let home = Home::new().with_server(&simulator);
    fetch(&home, "plain.db", &[]);
    let expected = rows(&home, "plain.db");
    let odd = home.path().join("distinct_id=7/a*");
    std::fs::create_dir_all(&odd).expect("a directory");
    std::os::unix::fs::symlink(&odd, home.path().join("link")).expect("a link");
    fetch(&home, "link/x.db", &[]);
    assert_eq!(rows(&home, "link/x.db"), expected);
    let within = |directory: &Path, arguments: &[&str]| {
        let mut command = home.command(arguments);
        command.current_dir(directory).env("HOME", directory).output().expect("the command runs")
    };
    for more in [&[][..], &["--db", "here.db"]] {
        let output = within(&odd, &[&["fetch", "profiles", "users", "-q"], more].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let output = within(&odd, &[&["query", "sql", "-f", "jsonl", ROWS], more].concat());
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    }
}
