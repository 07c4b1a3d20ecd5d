//! Changes to the table and the database by other programs, during a fetch and between a load and the next `--since
//! last`.

use std::path::{Path, PathBuf};

use duckdb::Connection;

use crate::process::{end, start};
use crate::snapshot::assert_run;
use crate::support::{Home, Run, Simulator};

fn execute(path: &Path, sql: &str) {
    let connection = Connection::open(path).expect("a database");
    connection.execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
}

fn text(path: &Path, sql: &str) -> String {
    let connection = Connection::open(path).expect("a database");
    connection.query_row(&format!("SELECT ({sql})::VARCHAR"), [], |row| row.get(0)).expect("a value")
}

/// Returns a home whose `my.db` has the server's 300 profiles in `users`.
fn loaded(calm: &Simulator, slow: &Simulator) -> (Home, PathBuf) {
    let home = Home::new().with_server(slow);
    let url = calm.base_url();
    let _made = home.run(&["fetch", "profiles", "users", "-q", "--db", "my.db", "--base-url", &url]).exits(0);
    let path = home.path().join("my.db");
    (home, path)
}

/// Two servers with the same profiles; the second one is slow after page 0.
fn servers() -> (Simulator, Simulator) {
    (Simulator::with_faults(300, &[]), Simulator::with_faults(300, &["pages=1 delay=1s"]))
}

/// Fetches, and calls `change` after the first page.
fn fetch(home: &Home, option: &str, change: impl FnOnce()) -> Run {
    let (child, words) = start(home, &["fetch", "profiles", "users", option, "--db", "my.db"], "page 0");
    change();
    end(child, words)
}

/// Checks that a fetch with `option` fails because of `sql`, loads nothing, and can be resumed.
fn refused(before: &str, option: &str, sql: &str, kept: &str) {
    let (calm, slow) = servers();
    let (home, path) = loaded(&calm, &slow);
    execute(&path, before);
    let run = assert_run!(fetch(&home, option, || execute(&path, sql)).exits(1), format!("{option} {sql}"));
    assert_eq!(text(&path, kept), "true", "{option} {sql}");
    let requests = slow.stats().requests;
    let _resumed = home.shell(&run.resume_command()).exits(0);
    assert_eq!(slow.stats().requests, requests, "nothing is requested again");
    assert_eq!(text(&path, "SELECT count(*) FROM users"), "300", "{option} {sql}");
}

#[test]
fn replace_refuses_to_drop_objects_added_meanwhile() {
    let table = "SELECT count(*) = 300 FROM users";
    refused("", "--replace", "ALTER TABLE users ADD COLUMN note VARCHAR", "SELECT count(note) = 0 FROM users");
    refused("", "--replace", "ALTER TABLE users ALTER last_seen SET DEFAULT '2020-01-01'", table);
    refused(
        "ALTER TABLE users ADD COLUMN note VARCHAR",
        "--replace",
        "CREATE SCHEMA s; CREATE VIEW s.notes AS SELECT note FROM main.users",
        "SELECT count(*) = 300 FROM s.notes",
    );
    refused("", "--replace", "ALTER TABLE users ALTER distinct_id SET NOT NULL", table);
}

#[test]
fn harmless_changes_during_a_fetch_are_allowed() {
    let (calm, slow) = servers();
    for (option, sql, then) in [
        (
            "--replace",
            "CREATE INDEX by_id ON users (distinct_id); COMMENT ON TABLE users IS 'mine'",
            "SELECT (SELECT count(*) FROM duckdb_indexes()) = 1
                 AND (SELECT comment FROM duckdb_tables() WHERE table_name = 'users') = 'mine'",
        ),
        ("--replace", "CREATE VIEW ids AS SELECT distinct_id FROM users", "SELECT count(*) = 300 FROM ids"),
        (
            "--append",
            "DELETE FROM users WHERE distinct_id = (SELECT min(distinct_id) FROM users)",
            "SELECT count(*) = 300 FROM users",
        ),
        ("--upsert", "CREATE TABLE others (a INTEGER)", "SELECT count(*) = 300 FROM users"),
    ] {
        let (home, path) = loaded(&calm, &slow);
        let _run = fetch(&home, option, || execute(&path, sql)).exits(0);
        assert_eq!(text(&path, then), "true", "{option} {sql}");
    }
}

#[test]
fn append_and_upsert_refuse_a_table_changed_meanwhile() {
    let none = "SELECT count(*) = 0 FROM duckdb_tables() WHERE table_name = 'users'";
    refused("", "--append", "ALTER TABLE users ADD COLUMN note VARCHAR", "SELECT count(note) = 0 FROM users");
    refused("", "--append", "DROP TABLE users", none);
    refused("", "--upsert", "DELETE FROM users", "SELECT count(*) = 0 FROM users");
    refused("", "--upsert", "UPDATE _metadata SET run_id = 'another'", "SELECT count(*) = 300 FROM users");
}

#[test]
fn a_database_that_is_removed_or_replaced_is_noticed() {
    let (calm, slow) = servers();
    for option in ["--append", "--upsert", "--replace"] {
        let (home, path) = loaded(&calm, &slow);
        let run = fetch(&home, option, || std::fs::remove_file(&path).expect("a file")).exits(1);
        let run = assert_run!(run, option);
        assert!(!path.exists(), "{option}");
        let _resumed = home.shell(&run.resume_command()).exits(0);
        assert_eq!(text(&path, "SELECT count(*) FROM users"), "300", "{option}");
    }
    for (option, tables, code) in [("--replace", "CREATE TABLE other (a INTEGER)", 1), ("--append", "", 0)] {
        let (home, path) = loaded(&calm, &slow);
        let run = fetch(&home, option, || {
            let fresh = path.with_extension("new");
            match tables {
                "" => drop(std::fs::copy(&path, &fresh).expect("a copy")),
                sql => execute(&fresh, sql),
            }
            std::fs::rename(&fresh, &path).expect("a rename");
        });
        assert_run!(run.exits(code), format!("replaced {option}"));
    }
}

#[test]
fn an_update_without_the_rows_that_it_updates_is_refused() {
    let (calm, slow) = servers();
    let (home, path) = loaded(&calm, &slow);
    // The update has two pages, which leaves time after the first one.
    execute(&path, "UPDATE users SET last_seen = (SELECT min(last_seen) FROM users)");
    let arguments = ["fetch", "profiles", "users", "--since", "last", "--db", "my.db"];
    let (child, words) = start(&home, &arguments, "page 0");
    execute(&path, "DROP TABLE users");
    let run = assert_run!(end(child, words).exits(1));
    let resumed = home.shell(&run.resume_command()).exits(1);
    assert_run!(resumed);
    assert_eq!(text(&path, "SELECT count(*) FROM duckdb_tables() WHERE table_name = 'users'"), "0");
}

/// Returns the filter of the last request, which contains the start time, if any.
fn since(simulator: &Simulator) -> Option<String> {
    let stats = simulator.stats();
    let request = stats.recent_requests.iter().max_by_key(|request| request.number).expect("a request");
    request.params.get("where").cloned()
}

#[test]
fn since_last_fetches_all_profiles_after_rows_were_removed() {
    let simulator = Simulator::with_faults(300, &[]);
    let update = ["fetch", "profiles", "users", "--since", "last", "--no-progress", "--db", "my.db"];
    // A change, and whether everything is fetched again.
    for (sql, asks_for_all) in [
        ("SELECT 1", false),
        ("DELETE FROM users", true),
        ("CREATE OR REPLACE TABLE users (distinct_id VARCHAR, properties JSON, last_seen TIMESTAMP)", true),
        ("CREATE OR REPLACE TABLE users AS FROM users ORDER BY last_seen LIMIT 10", true),
        ("DELETE FROM users WHERE last_seen > (SELECT max(last_seen) - INTERVAL 3 DAY FROM users)", true),
        ("DELETE FROM users WHERE last_seen IS NOT NULL; UPDATE users SET last_seen = NULL", true),
        ("DELETE FROM users WHERE distinct_id = (SELECT arg_min(distinct_id, last_seen) FROM users)", true),
        ("DELETE FROM users WHERE hash(distinct_id) % 2 = 0", true),
        // Only the number of rows is compared.
        ("INSERT INTO users SELECT 'mine', properties, last_seen FROM users LIMIT 1", false),
    ] {
        let home = Home::new().with_server(&simulator);
        let path = home.path().join("my.db");
        let _made = home.run(&["fetch", "profiles", "users", "-q", "--db", "my.db"]).exits(0);
        execute(&path, sql);
        assert_run!(home.run(&update).exits(0).counting_lines(), sql);
        assert_eq!(since(&simulator).is_none(), asks_for_all, "{sql}");
        let fetched = "SELECT count(*) FROM users WHERE distinct_id <> 'mine'";
        assert_eq!(text(&path, fetched), "300", "{sql}");
        // The rows are back, so that the next update fetches only what is new.
        let _again = home.run(&update).exits(0);
        assert!(since(&simulator).is_some(), "{sql}");
    }
}
