//! A16 and A17: SQL and database paths that try to reach more than the tables.

use super::tools::{all_but_state, mode};
use crate::snapshot::assert_run;
use crate::support::{CANARY, Home, Simulator};

/// Returns a home with 20 profiles in `users`.
fn fetched() -> Home {
    let simulator = Simulator::with_faults(20, &[]);
    let home = Home::new().with_server(&simulator);
    home.run(&["fetch", "profiles", "users", "-q"]).exits(0);
    home
}

#[test]
fn a16_queries_reach_no_file_no_network_and_no_variable() {
    let home = fetched();
    let own = home.database().display().to_string();
    std::fs::write(home.path().join("secret.csv"), format!("a\n{CANARY}\n")).expect("a file");
    std::fs::write(home.path().join("plan.sql"), "SELECT 1").expect("a file");
    let before = all_but_state(home.path());
    let attacks = [
        "COPY (SELECT 1) TO '/etc/mp-was-here'",
        "COPY users TO 'out.csv'",
        "COPY (SELECT 1) TO '/dev/stdout'",
        "COPY users FROM 'secret.csv'",
        "EXPORT DATABASE 'export'",
        "IMPORT DATABASE '.'",
        "SELECT * FROM read_text('/etc/shadow')",
        "SELECT * FROM read_text('/proc/self/environ')",
        "SELECT * FROM read_blob('/dev/zero')",
        "SELECT * FROM read_csv('secret.csv')",
        "SELECT * FROM 'secret.csv'",
        "SELECT * FROM read_json_auto('secret.csv')",
        "SELECT * FROM read_parquet('*')",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM sniff_csv('secret.csv')",
        "SELECT * FROM query('SELECT * FROM read_text(''secret.csv'')')",
        "SELECT getenv('MP_SECRET')",
        "SELECT current_setting('MP_SECRET')",
        "INSTALL httpfs",
        "FORCE INSTALL httpfs FROM 'http://127.0.0.1:1'",
        "LOAD httpfs",
        "LOAD './evil.duckdb_extension'",
        "UPDATE EXTENSIONS",
        "SELECT * FROM read_csv('http://127.0.0.1:1/x')",
        "ATTACH 'other.db'",
        "ATTACH 'http://127.0.0.1:1/x.db'",
        "ATTACH 'md:x'",
        "CREATE SECRET s (TYPE s3)",
        "CREATE PERSISTENT SECRET s (TYPE http)",
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "SET disabled_filesystems = ''",
        "SET allowed_directories = ['/']",
        "SET home_directory = '/tmp'",
        "SET temp_directory = '/tmp'",
        "RESET enable_external_access",
        "PRAGMA enable_profiling = 'json'",
        "PRAGMA profiling_output = 'profile.json'",
        "PRAGMA log_query_path = 'queries.log'",
        "CALL enable_logging(storage = 'file', storage_config = {'path': 'log'})",
        "CREATE TABLE u AS SELECT 1",
        "INSERT INTO users SELECT * FROM users",
        "DELETE FROM users",
        "DROP TABLE users",
        "DROP SCHEMA main CASCADE",
        "SELECT 1; DROP TABLE users; SELECT 2",
        "BEGIN; DELETE FROM users; COMMIT",
        "PREPARE p AS DELETE FROM users; EXECUTE p",
        "EXECUTE plan",
    ];
    for attack in attacks.map(str::to_owned).into_iter().chain([
        format!("SELECT * FROM read_blob('{own}')"),
        format!("ATTACH '{own}' AS again (READ_WRITE)"),
        format!("COPY (SELECT 1) TO '{own}.wal'"),
    ]) {
        let run = home.run(&["query", "sql", &attack]);
        assert_eq!((run.code, run.stdout.as_str()), (Some(3), ""), "{attack}: {}", run.stderr);
    }
    assert_eq!(all_but_state(home.path()), before);
    assert!(!std::path::Path::new("/etc/mp-was-here").exists());
    assert_eq!(home.run(&["query", "sql", "SELECT count(*) FROM users", "-s", "-f", "plain"]).exits(0).stdout, "20\n");
    let wide_open = home.run(&["query", "sql", "--allow-external", "SELECT * FROM 'secret.csv'"]).exits(3);
    assert_run!(wide_open.prints_nothing());
}

#[test]
fn a16_inspect_table_names_cannot_inject_sql() {
    let home = fetched();
    for name in ["users; DROP TABLE users", "\"users\"", "read_text('/etc/passwd')", "users USING SAMPLE 1", "*", ""] {
        for command in ["schema", "sample", "drop"] {
            let run = home.run(&["inspect", command, "-t", name]).prints_nothing();
            assert!(matches!(run.code, Some(3 | 4)), "{command} {name}: {run:?}");
        }
    }
    home.run(&["inspect", "sample", "-t", "users", "-n", "1; DROP TABLE users"]).exits(3).prints_nothing();
    assert_eq!(home.run(&["inspect", "tables"]).exits(0).json()[0]["row_count"], 20);
}

/// Paths that do not name local files.
const PATHS: [&str; 19] = [
    "http://127.0.0.1:1/x.db",
    "https://example.org/x.db",
    "HTTP://example.org/x.db",
    "s3://bucket/x.db",
    "gs://bucket/x.db",
    "hf://datasets/x",
    "s3:/bucket",
    "md:",
    "md:mine",
    "motherduck:mine",
    "postgres:host=example.org",
    "mysql:host=example.org",
    "sqlite:x.db",
    "ducklake:x",
    ":memory:",
    ":memory:x",
    "file:x.db?mode=memory",
    "-",
    "-x.db",
];

#[test]
fn a17_paths_that_are_not_files_are_refused() {
    let simulator = Simulator::with_faults(20, &[]);
    let home = Home::new().with_server(&simulator);
    for path in PATHS {
        let option = format!("--db={path}");
        for arguments in [&["query", "sql", "SELECT 1"][..], &["inspect", "tables"], &["fetch", "profiles"]] {
            let run = home.run(&[arguments, &[&option]].concat()).exits(3).prints_nothing();
            assert_run!(run, format!("{} {path}", arguments[0]));
        }
    }
    assert_eq!(simulator.stats().requests, 0);
    assert_eq!(all_but_state(home.path()), Vec::<std::path::PathBuf>::new());
}

#[cfg(target_os = "linux")]
#[test]
fn a17_no_path_makes_a_connection() {
    let home = Home::new();
    let sqlite = home.path().join("sqlite.db");
    std::fs::write(&sqlite, [&b"SQLite format 3\0"[..], &[0; 4080]].concat()).expect("a file");
    for path in PATHS.into_iter().chain(["sqlite.db", "./md:x", "x.db?token=y"]) {
        let command = home.command(&["query", "sql", "SELECT 1", &format!("--db={path}")]);
        let Some((run, reached)) = super::tools::run_watched(&home, &command) else { return };
        assert!(matches!(run.code, Some(1 | 3 | 4)), "{path}: {run:?}");
        assert!(reached.is_empty(), "{path}: {reached:#?}");
    }
    assert_eq!(std::fs::metadata(&sqlite).expect("it is there").len(), 4096);
}

#[test]
fn a17_special_characters_in_paths_are_literal() {
    let simulator = Simulator::with_faults(20, &[]);
    let home = Home::new().with_server(&simulator);
    for path in
        ["./md:x", "./-x.db", "x.db?access_mode=read_only", "it's.db", "a;b.db", "%2e%2e.db", "$HOME.db", "~x.db"]
    {
        home.run(&["fetch", "profiles", "-q", "--db", path]).exits(0);
        assert_eq!(mode(&home.path().join(path)), 0o600, "{path}");
        let count = home.run(&["query", "sql", "SELECT count(*) FROM profiles", "-s", "-f", "plain", "--db", path]);
        assert_eq!(count.exits(0).stdout, "20\n");
    }
    assert_eq!(all_but_state(home.path()).len(), 8, "{:?}", all_but_state(home.path()));
}

#[test]
fn a17_non_regular_database_files_are_refused() {
    let simulator = Simulator::with_faults(20, &[]);
    let home = Home::new().with_server(&simulator);
    let made = std::process::Command::new("mkfifo").arg(home.path().join("pipe")).status().expect("mkfifo runs");
    assert!(made.success());
    let _socket = std::os::unix::net::UnixListener::bind(home.path().join("socket")).expect("a socket");
    std::os::unix::fs::symlink("nowhere.db", home.path().join("dangling")).expect("a link");
    std::os::unix::fs::symlink("loop", home.path().join("loop")).expect("a link");
    std::fs::write(home.path().join("empty"), "").expect("a file");
    std::fs::create_dir(home.path().join("directory")).expect("a directory");
    let before = all_but_state(home.path());
    for path in ["pipe", "socket", "dangling", "loop", "empty", "directory", "/dev/null", "/dev/zero", "/"] {
        for arguments in [&["query", "sql", "SELECT 1"][..], &["fetch", "profiles"]] {
            let run = home.run(&[arguments, &["--db", path]].concat()).prints_nothing();
            assert_eq!(run.code, Some(1), "{path}: {run:?}");
        }
    }
    assert_eq!(all_but_state(home.path()), before);
    assert_eq!(simulator.stats().requests, 0);
}
