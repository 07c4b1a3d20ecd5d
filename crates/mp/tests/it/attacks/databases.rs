//! A18: hostile database files and unusable ones, each reported by its condition (P16).

use std::path::{Path, PathBuf};

use duckdb::Connection;

use super::tools::{all_but_state, is_root, set_mode};
use crate::snapshot::assert_run;
use crate::support::{CANARY, Home, Run, Simulator};

/// Creates a database as another program might.
fn make(path: &Path, sql: &str) {
    let connection = Connection::open(path).expect("a database");
    connection.execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// Returns a home with credentials for the server, and the path of the database.
fn home(simulator: &Simulator) -> (Home, PathBuf) {
    let home = Home::new().with_server(simulator);
    let path = home.path().join("hostile.db");
    (home, path)
}

fn run(home: &Home, arguments: &[&str]) -> Run {
    home.run(&[arguments, &["--db", "hostile.db"]].concat())
}

#[test]
fn a18_views_and_macros_of_a_hostile_file_reach_nothing() {
    let simulator = Simulator::with_faults(20, &[]);
    let (home, path) = home(&simulator);
    std::fs::write(home.path().join("secret.txt"), CANARY).expect("a file");
    let secret = home.path().join("secret.txt").display().to_string();
    let read = format!("(SELECT content FROM read_text('{secret}'))");
    // Functions of DuckDB that a load uses.
    let of_one = ["epoch_us", "hash", "isfinite", "json_valid", "make_timestamp", "typeof"];
    let of_two = ["ends_with", "json_extract_string"];
    let shadows = of_one.map(|name| format!("CREATE MACRO {name}(x) AS {read};")).join(" ")
        + &of_two.map(|name| format!("CREATE MACRO {name}(x, y) AS {read};")).join(" ");
    make(
        &path,
        &format!(
            "CREATE VIEW profiles AS SELECT content FROM read_text('{secret}');
             CREATE MACRO lower(x) AS 'profiles'; CREATE MACRO starts_with(a, b) AS false;
             CREATE MACRO replace(x, y, z) AS {read}; {shadows}
             CREATE MACRO leak() AS TABLE SELECT * FROM read_text('{secret}');
             CREATE TABLE t AS SELECT 1 AS a"
        ),
    );
    for sql in ["FROM profiles", "FROM leak()", "SELECT epoch_us(1)"] {
        run(&home, &["query", "sql", sql]).exits(3).prints_nothing();
    }
    for arguments in [&["inspect", "sample", "-t", "profiles"][..], &["inspect", "schema", "-t", "profiles"]] {
        let _whatever = run(&home, arguments);
    }
    // A view's name is in use, and a view is never filled, replaced or written through.
    for mode in [&[][..], &["--append"], &["--replace"]] {
        let run = run(&home, &[&["fetch", "profiles"][..], mode].concat()).prints_nothing();
        assert!(matches!(run.code, Some(1 | 3)), "{run:?}");
    }
    assert_eq!(simulator.stats().requests, 0);
    // Another table can still be created.
    run(&home, &["fetch", "profiles", "mine", "-q"]).exits(0);
    for sql in [
        "SELECT count(*) FROM mine",
        "SELECT count(prop(properties, 'plan')) FROM mine",
        "SELECT count(plan) FROM mine_typed",
    ] {
        assert_eq!(run(&home, &["query", "sql", sql, "-s", "-f", "plain"]).exits(0).stdout, "20\n", "{sql}");
    }
    run(&home, &["fetch", "profiles", "mine", "-q", "--upsert"]).exits(0);
    run(&home, &["inspect", "properties", "mine"]).exits(0);
    run(&home, &["verify", "mine"]).exits(0);
}

#[test]
fn a18_poisoned_metadata_is_data() {
    let simulator = Simulator::with_faults(20, &[]);
    let long = "x".repeat(100_000);
    for metadata in [
        "CREATE TABLE _metadata (x INTEGER)".to_owned(),
        "CREATE VIEW _metadata AS SELECT error('gone wrong') AS table_name, 'a' AS type, now() AS fetched_at"
            .to_owned(),
        format!(
            "CREATE TABLE _metadata (table_name VARCHAR, type VARCHAR, fetched_at TIMESTAMP, from_date DATE,
                 to_date DATE, row_count INTEGER);
             INSERT INTO _metadata VALUES ('t', chr(27) || '[2J{long}', 'infinity', NULL, NULL, -1),
                 ('t', 'profiles', NULL, NULL, NULL, NULL), (NULL, NULL, NULL, NULL, NULL, NULL)"
        ),
        "CREATE TABLE _metadata (table_name INTEGER[], type BLOB, fetched_at VARCHAR)".to_owned(),
    ] {
        let (home, path) = home(&simulator);
        make(&path, &format!("CREATE TABLE t AS SELECT 1 AS a; {metadata}"));
        let tables = run(&home, &["inspect", "tables", "-f", "jsonl"]).exits(0);
        assert!(tables.stdout.len() < 200, "{}", tables.stdout);
        assert_eq!((&tables.json()["name"], &tables.json()["row_count"]), (&"t".into(), &1.into()));
        // A fetch either succeeds or reports why not, and other tables are kept.
        let fetch = run(&home, &["fetch", "profiles", "-q"]);
        assert!(matches!(fetch.code, Some(0 | 1 | 3)), "{fetch:?}");
        assert_eq!(run(&home, &["query", "sql", "FROM t", "-f", "jsonl"]).exits(0).stdout, "{\"a\":1}\n");
    }
}

#[test]
fn a18_incompatible_tables_are_refused() {
    let simulator = Simulator::with_faults(20, &[]);
    for table in [
        // The column `properties` is generated by an expression of the attacker.
        "CREATE TABLE profiles (distinct_id VARCHAR, last_seen TIMESTAMP, properties JSON AS ('{}'::JSON))",
        "CREATE TABLE profiles (distinct_id VARCHAR, properties JSON, last_seen TIMESTAMP, x INTEGER NOT NULL)",
        "CREATE TABLE profiles (distinct_id VARCHAR, properties JSON, last_seen VARCHAR)",
    ] {
        let (home, path) = home(&simulator);
        make(&path, table);
        let run = run(&home, &["fetch", "profiles", "--append", "-q"]).prints_nothing();
        assert!(matches!(run.code, Some(1 | 3)), "{table}: {run:?}");
        let count = self::run(&home, &["query", "sql", "SELECT count(*) FROM profiles", "-s", "-f", "plain"]);
        assert_eq!(count.exits(0).stdout, "0\n");
    }
}

/// Creates a valid database with more than one block in use, and returns its bytes.
fn sound(path: &Path) -> Vec<u8> {
    make(
        path,
        "CREATE TABLE profiles (distinct_id VARCHAR, properties JSON, last_seen TIMESTAMP);
         INSERT INTO profiles SELECT 'id-' || range, '{\"n\": ' || range || '}', make_timestamp(range) FROM range(50000);
         CHECKPOINT",
    );
    std::fs::read(path).expect("the database")
}

#[test]
fn a18_damaged_files_are_reported_and_left_as_they_are() {
    let simulator = Simulator::with_faults(20, &[]);
    let (home, path) = home(&simulator);
    let bytes = sound(&path);
    let count = &["query", "sql", "SELECT count(*), sum(length(properties)), max(last_seen) FROM profiles"][..];
    let mut refused = 0;
    // A linear congruential generator, so that every run does the same damage.
    let mut seed: u64 = 1;
    for round in 0..60 {
        let mut damaged = bytes.clone();
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let at = usize::try_from(seed >> 33).expect("31 bits") % bytes.len();
        match round % 3 {
            0 => damaged[at] ^= 1 << (seed & 7),
            1 => damaged.truncate(at.max(1)),
            _ => damaged[at..].iter_mut().take(4096).for_each(|byte| *byte = 0xff),
        }
        std::fs::write(&path, &damaged).expect("a file");
        for arguments in [count, &["inspect", "tables"], &["fetch", "profiles", "--append", "-q"]] {
            if arguments[0] == "fetch" && round % 10 != 0 {
                continue;
            }
            let run = run(&home, arguments);
            match run.code {
                // The query did not read the damaged block.
                Some(0) => {}
                Some(1 | 3) => {
                    refused += 1;
                    let run = run.says(&["error: ", "caused by: "]);
                    assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
                    assert!(std::fs::read(&path).expect("the file") == damaged, "round {round}: it was changed");
                }
                _ => panic!("round {round}, byte {at}: {run:?}"),
            }
        }
    }
    assert!(refused > 40, "{refused}");
    // A missing block may be detected only by the query that reads it.
    std::fs::write(&path, &bytes[..bytes.len() / 2]).expect("a file");
    assert_run!(run(&home, count).exits(1).prints_nothing());
}

/// The condition of a file and a function that causes it.
type Condition = (&'static str, fn(&Path));

const CONDITIONS: [Condition; 9] = [
    ("newer", |path| std::fs::write(path, NEWER).expect("a file")),
    ("damaged", |path| damage(path, 5000)),
    ("cut", |path| {
        let bytes = sound(path);
        std::fs::write(path, &bytes[..13_000]).expect("a file");
    }),
    ("text", |path| std::fs::write(path, "no database".repeat(999)).expect("a file")),
    ("SQLite", |path| std::fs::write(path, [&b"SQLite format 3\0"[..], &[0; 4080]].concat()).expect("a file")),
    ("empty", |path| std::fs::write(path, "").expect("a file")),
    ("directory", |path| std::fs::create_dir(path).expect("a directory")),
    ("foreign log", |path| foreign_log(path)),
    ("damaged log", |path| damaged_log(path)),
];

const NEWER: &[u8] = include_bytes!("../../../../mixpanel-data/tests/it/newer_database.bin");

fn damage(path: &Path, at: usize) {
    let mut bytes = sound(path);
    bytes[at] ^= 1;
    std::fs::write(path, bytes).expect("a file");
}

fn log_of(path: &Path) -> PathBuf {
    PathBuf::from(format!("{}.wal", path.display()))
}

/// Leaves changes of a database in its write-ahead log, as a crash does.
fn with_log(path: &Path, table: &str) {
    make(path, &format!("CREATE TABLE {table} AS SELECT 1 AS a; CHECKPOINT"));
    let connection = Connection::open(path).expect("a database");
    let settings = "PRAGMA disable_checkpoint_on_shutdown; SET checkpoint_threshold = '1GB'";
    connection.execute_batch(&format!("{settings}; INSERT INTO {table} SELECT range FROM range(1000)")).expect("valid");
}

fn foreign_log(path: &Path) {
    let other = path.with_extension("other");
    // Database files have no ID: DuckDB would apply the log of another database with the same schema.
    with_log(&other, "others");
    make(path, "CREATE TABLE profiles AS SELECT 1 AS a; CHECKPOINT");
    std::fs::rename(log_of(&other), log_of(path)).expect("a log");
}

fn damaged_log(path: &Path) {
    with_log(path, "profiles");
    let mut bytes = std::fs::read(log_of(path)).expect("a log");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(log_of(path), bytes).expect("a log");
}

#[test]
fn a18_each_file_problem_is_named_and_the_file_left_unchanged() {
    let simulator = Simulator::with_faults(20, &[]);
    for (name, bring_about) in CONDITIONS {
        let (home, path) = home(&simulator);
        bring_about(&path);
        let contents = |home: &Home| -> Vec<(PathBuf, Option<Vec<u8>>)> {
            let mut files = all_but_state(home.path());
            files.sort();
            files.into_iter().map(|path| (path.clone(), std::fs::read(path).ok())).collect()
        };
        let before = contents(&home);
        for arguments in [&["query", "sql", "FROM profiles"][..], &["inspect", "tables"], &["fetch", "profiles", "-q"]]
        {
            let run = run(&home, arguments);
            assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""), "{name}: {}", run.stderr);
            let run = assert_run!(run, format!("{name} {}", arguments[..2].join(" ")));
            assert!(contents(&home) == before, "{name}: something was changed\n{}", run.stderr);
        }
    }
    assert_eq!(simulator.stats().requests, 0);
}

#[test]
fn a18_a_file_that_may_not_be_read_or_written_is_named() {
    if is_root() {
        return println!("skipped: root may read and write everything");
    }
    let simulator = Simulator::with_faults(20, &[]);
    let (home, path) = home(&simulator);
    let bytes = sound(&path);
    set_mode(&path, 0o400);
    run(&home, &["inspect", "tables"]).exits(0);
    assert_run!(run(&home, &["fetch", "profiles", "--append", "-q"]).exits(1).prints_nothing());
    set_mode(&path, 0o000);
    assert_run!(run(&home, &["inspect", "tables"]).exits(1).prints_nothing());
    set_mode(&path, 0o600);
    assert!(std::fs::read(&path).expect("the database") == bytes);
    assert_eq!(simulator.stats().requests, 0);
}
