//! Files next to a database that it has lost, or that are not its own.

use std::fs;
use std::path::{Path, PathBuf};

use duckdb::Connection;

use crate::process::{end, send, start};
use crate::support::{Home, Simulator};

/// Writes a database whose rows are only in its write-ahead log, as a killed process leaves it, and removes the database.
/// Returns the path of the log and its contents.
fn leave_log(database: &Path) -> (PathBuf, Vec<u8>) {
    let text = database.to_str().expect("UTF-8");
    let (name, rest) = text.split_at(text.find('?').unwrap_or(text.len()));
    let log = PathBuf::from(format!("{name}.wal{rest}"));
    let connection = Connection::open(database).expect("a database");
    let rows =
        "SELECT 'old-' || range AS distinct_id, '{}'::JSON AS properties, NULL::TIMESTAMP AS last_seen FROM range(700)";
    connection
        .execute_batch(&format!(
            "PRAGMA disable_checkpoint_on_shutdown; SET checkpoint_threshold = '1TB'; CREATE TABLE users AS {rows}"
        ))
        .expect("SQL");
    drop(connection);
    fs::remove_file(database).expect("removed");
    let contents = fs::read(&log).expect("a log");
    assert!(!contents.is_empty());
    (log, contents)
}

#[test]
fn the_log_of_a_deleted_database_is_not_applied_to_a_new_one() {
    let simulator = Simulator::with_faults(300, &[]);
    let fetches: [&[&str]; 6] = [
        &["profiles", "users"],
        &["profiles", "users", "--append"],
        &["profiles", "users", "--upsert"],
        &["profiles", "users", "--replace", "--parallel"],
        &["profiles", "users", "--plan"],
        &["events", "users", "--from", "3d", "--to", "today"],
    ];
    for (name, suffix) in [("my.db", ""), ("my?x=1.db", ""), ("my.db", ".checkpoint"), ("my.db", ".recovery")] {
        let home = Home::new().with_server(&simulator);
        let database = home.path().join(name);
        let (mut log, contents) = leave_log(&database);
        if !suffix.is_empty() {
            let other = PathBuf::from(format!("{}{suffix}", log.display()));
            fs::rename(&log, &other).expect("renamed");
            log = other;
        }
        let requests = simulator.stats().requests;
        for fetch in fetches {
            let run = home.run(&[&["fetch"], fetch, &["--db", name]].concat()).exits(1).prints_nothing();
            assert!(run.stderr.contains("does not exist, but its write-ahead log"), "{fetch:?}: {}", run.stderr);
            assert!(run.stderr.contains("if the database was moved, move the log along"), "{fetch:?}: {}", run.stderr);
        }
        assert_eq!(simulator.stats().requests, requests, "{name}: nothing is requested");
        assert_eq!(fs::read(&log).expect("the log"), contents, "{name}");
        assert!(!database.exists(), "{name}");
        // An empty log has no rows.
        fs::write(&log, "").expect("an empty log");
        home.run(&["fetch", "profiles", "users", "-q", "--db", name]).exits(0);
        home.run(&["verify", "users", "--db", name]).exits(0);
    }
}

#[test]
fn a_log_that_appears_during_the_fetch_is_not_applied_either() {
    let simulator = Simulator::with_faults(300, &["pages=1 delay=1s"]);
    let home = Home::new().with_server(&simulator);
    let (log, contents) = leave_log(&home.path().join("my.db"));
    let aside = home.path().join("aside");
    fs::rename(&log, &aside).expect("renamed");
    let (child, words) = start(&home, &["fetch", "profiles", "users", "--db", "my.db"], "page 0");
    fs::rename(&aside, &log).expect("renamed");
    let run = end(child, words).exits(1);
    assert!(run.stderr.contains("does not exist, but its write-ahead log"), "{}", run.stderr);
    assert_eq!(fs::read(&log).expect("the log"), contents);
    fs::rename(&log, &aside).expect("renamed");
    let requests = simulator.stats().requests;
    home.shell(&run.resume_command()).exits(0);
    assert_eq!(simulator.stats().requests, requests, "nothing is requested again");
    let rows =
        home.run(&["query", "sql", "-f", "plain", "--db", "my.db", "SELECT count(*) FROM users"]).exits(0).stdout;
    assert_eq!(rows.trim(), "300");
}

#[test]
fn a_file_with_the_name_of_the_undo_file_is_noticed_before_the_first_request() {
    let simulator = Simulator::with_faults(300, &[]);
    for exists in [false, true] {
        let home = Home::new().with_server(&simulator);
        if exists {
            home.run(&["fetch", "profiles", "users", "-q", "--db", "my.db"]).exits(0);
        }
        let requests = simulator.stats().requests;
        let other = home.path().join("my.db.undo");
        fs::write(&other, "hello").expect("a file");
        std::os::unix::fs::symlink(home.path().join("my.db"), home.path().join("link.db")).expect("a link");
        for name in if exists { &["my.db", "link.db"][..] } else { &["my.db"] } {
            let run = home.run(&["fetch", "profiles", "users", "--replace", "--db", name]).exits(1).prints_nothing();
            assert!(run.stderr.contains("is not an undo file that mp can use"), "{name}: {}", run.stderr);
            assert!(run.stderr.contains("rename that file"), "{name}: {}", run.stderr);
        }
        assert_eq!(simulator.stats().requests, requests, "nothing is requested");
        assert_eq!(fs::read(&other).expect("a file"), b"hello");
        fs::rename(&other, home.path().join("other")).expect("renamed");
        home.run(&["fetch", "profiles", "users", "--replace", "-q", "--db", "my.db"]).exits(0);
    }
}

#[test]
fn a_run_without_its_stage_is_not_called_resumable() {
    let simulator = Simulator::with_faults(300, &["pages=2 delay=1s"]);
    let home = Home::new().with_server(&simulator);
    let (child, words) = start(&home, &["fetch", "profiles", "users", "--db", "my.db"], "page 1");
    fs::rename(home.path().join("my.db.stage"), home.path().join("aside")).expect("renamed");
    let run = end(child, words);
    assert_ne!(run.code, Some(0));
    assert!(!run.stderr.contains("kept") && !run.stderr.contains("fetch resume"), "{}", run.stderr);
}

#[test]
fn a_resumed_run_that_still_has_no_page_is_not_called_resumable() {
    let slow = Simulator::with_faults(300, &["pages=0 delay=20s"]);
    let home = Home::new().with_server(&slow);
    let (child, words) = start(&home, &["fetch", "profiles", "users", "--db", "my.db"], "note:");
    // Until then, the run does not exist yet, or its manifest is incomplete.
    let status = || home.run(&["fetch", "status", "-f", "json", "--db", "my.db"]).exits(0).json();
    while !status()[0]["held_by"].is_number() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    send(&child, rustix::process::Signal::KILL);
    drop(end(child, words));
    let refusing = Simulator::with_faults(300, &["pages=0 status=401 times=9"]);
    let home = home.with_server(&refusing);
    let run = home.run(&["fetch", "resume", "users", "--db", "my.db"]).exits(2);
    assert!(!run.stderr.contains("kept") && !run.stderr.contains("fetch resume"), "{}", run.stderr);
}

/// DuckDB inserts the suffix of a log before the first question mark.
#[test]
fn a_database_is_loaded_with_its_own_log_whatever_its_name() {
    let simulator = Simulator::with_faults(300, &[]);
    for name in ["my.db", "q?.db", "my?x=1.db", "?.db", "a.db?", "it's?.db"] {
        let home = Home::new().with_server(&simulator);
        let connection = Connection::open(home.path().join(name)).expect("a database");
        let rows = "PRAGMA disable_checkpoint_on_shutdown; SET checkpoint_threshold = '1TB'; CREATE TABLE mine (i INT);
                    INSERT INTO mine VALUES (1), (2)";
        connection.execute_batch(rows).expect("SQL");
        drop(connection);
        let counts = |sql: &str| home.run(&["query", "sql", "-s", "-f", "plain", "--db", name, sql]).exits(0).stdout;
        assert_eq!(counts("SELECT count(*) FROM mine"), "2\n", "{name}: read with its log");
        home.run(&["fetch", "profiles", "users", "-q", "--db", name]).exits(0);
        home.run(&["fetch", "profiles", "users", "-q", "--replace", "--db", name]).exits(0);
        home.run(&["verify", "users", "--db", name]).exits(0);
        let file = home.path().join("users.csv");
        let file = file.to_str().expect("UTF-8");
        home.run(&["query", "sql", "-q", "--db", name, "--output", file, "FROM users"]).exits(0);
        assert_eq!(
            counts("SELECT (SELECT count(*) FROM mine) * 1000 + (SELECT count(*) FROM users)"),
            "2300\n",
            "{name}"
        );
    }
}

/// DuckDB would wait forever for the other end of a pipe.
#[test]
fn only_a_regular_file_is_accepted_as_a_log() {
    let simulator = Simulator::with_faults(300, &[]);
    for suffix in [".wal", ".wal.checkpoint", ".wal.recovery"] {
        for kind in ["pipe", "socket", "loop", "directory", "link"] {
            for exists in [false, true] {
                let home = Home::new().with_server(&simulator);
                if exists {
                    home.run(&["fetch", "profiles", "users", "-q", "--db", "my.db"]).exits(0);
                }
                let log = home.path().join(format!("my.db{suffix}"));
                let empty = home.path().join("empty");
                match kind {
                    "pipe" => drop(std::process::Command::new("mkfifo").arg(&log).status().expect("a pipe")),
                    "socket" => drop(std::os::unix::net::UnixListener::bind(&log).expect("a socket")),
                    "loop" => std::os::unix::fs::symlink(&log, &log).expect("a link"),
                    "directory" => fs::create_dir(&log).expect("a directory"),
                    // To an empty file: only a database that exists can have it.
                    _ => {
                        fs::write(&empty, "").expect("a file");
                        std::os::unix::fs::symlink(&empty, &log).expect("a link");
                    }
                }
                let requests = simulator.stats().requests;
                let run = home.run(&["fetch", "profiles", "users", "--append", "-q", "--db", "my.db"]);
                if kind == "link" && exists {
                    run.exits(0);
                    continue;
                }
                let run = run.exits(1);
                assert!(run.stderr.contains(&format!("my.db{suffix}`")), "{kind}, {exists}: {}", run.stderr);
                assert!(!run.stderr.contains("in this directory"), "{kind}, {exists}: {}", run.stderr);
                assert_eq!(simulator.stats().requests, requests, "{kind}, {exists}: nothing is requested");
                if exists {
                    let read = home.run(&["query", "sql", "--db", "my.db", "FROM users"]).exits(1);
                    assert!(read.stderr.contains(&format!("my.db{suffix}`")), "{kind}: {}", read.stderr);
                }
            }
        }
    }
}

/// Whatever stops a fetch before its run is written, no run is left that cannot be read.
#[test]
fn a_run_that_could_not_be_written_leaves_nothing() {
    let simulator = Simulator::with_faults(300, &[]);
    let home = Home::new().with_server(&simulator);
    // The files of the rehearsal are smaller than a manifest with this filter.
    let long = "a".repeat(30_000);
    let fetch = format!(r#"mp fetch profiles users -q --where 'properties["a"] == "{long}"'"#);
    let run = home.shell_with_mp(&format!("ulimit -f 40; {fetch}"));
    assert!(run.stderr.contains("manifest.json`"), "{}", run.stderr);
    assert_eq!(simulator.stats().requests, 0);
    assert_eq!(home.run(&["fetch", "status", "-f", "json"]).exits(0).stdout, "[]\n");
    // A process that was killed at this moment leaves a directory; the next fetch removes it.
    let stage = home.path().join(".mp/data/12345.db.stage");
    let begun = stage.join("20261127T214650868Z-e83e27a8");
    fs::create_dir_all(begun.join("generation-0")).expect("a directory");
    fs::write(begun.join("lock"), "99999999").expect("a file");
    let run = home.run(&["fetch", "profiles", "users", "--no-progress"]).exits(0);
    assert!(!run.stderr.contains("cannot be read"), "{}", run.stderr);
    assert!(!begun.exists());
    // With a page, it is kept.
    fs::create_dir_all(begun.join("generation-0")).expect("a directory");
    fs::write(begun.join("lock"), "99999999").expect("a file");
    fs::write(begun.join("generation-0/page-000000.parquet"), "a page").expect("a file");
    let run = home.run(&["fetch", "profiles", "users", "--append", "--no-progress"]).exits(0);
    assert!(run.stderr.contains("cannot be read"), "{}", run.stderr);
    assert!(begun.exists());
}

#[test]
fn a_full_disk_is_named_without_the_words_of_the_engine() {
    let simulator = Simulator::with_faults(3_000, &[]);
    for blocks in [700, 900] {
        let home = Home::new().with_server(&simulator);
        let run = home.shell_with_mp(&format!("ulimit -f {blocks}; mp fetch profiles users -q --page-size 1000"));
        let run = run.says(&["cannot commit the load into table `users`", "File too large", "the limit with `ulimit"]);
        assert!(!run.stderr.contains("invalidated") && !run.stderr.contains("Checkpoint"), "{}", run.stderr);
        home.shell_with_mp(&run.resume_command()).exits(0);
        home.run(&["verify", "users"]).exits(0);
    }
}

#[test]
fn a_demo_names_its_own_option_if_files_are_left() {
    for file in ["demo.db", "demo.db.wal", "demo.db.undo", "demo.db.wal.checkpoint"] {
        let home = Home::new();
        let directory = home.path().join("demo");
        fs::create_dir(&directory).expect("a directory");
        fs::write(directory.join(file), "rows").expect("a file");
        let run = home.run(&["demo", "--keep", "demo"]).exits(1).prints_nothing();
        let run = run.says(&[&format!("demo/{file}` already exists"), "choose another directory with `--keep`"]);
        assert!(!run.stderr.contains("--db"), "{}", run.stderr);
        assert_eq!(fs::read(directory.join(file)).expect("a file"), b"rows");
    }
}
