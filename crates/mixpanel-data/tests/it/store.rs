//! Database operations of a workspace, without a network.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use duckdb::Connection;
use mixpanel_data::{ErrorKind, Workspace};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A database created by another program.
struct Database {
    directory: TempDir,
    path: PathBuf,
}

impl Database {
    fn new(sql: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("it's a database.db");
        Connection::open(&path).and_then(|connection| connection.execute_batch(sql)).expect("valid SQL");
        Self { directory, path }
    }

    fn workspace(&self) -> Workspace {
        Workspace::open(&self.path)
    }

    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.directory.path()).expect("the directory can be read");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

fn scalar(sql: &str) -> Value {
    Database::new("").workspace().sql_scalar(sql).expect("a valid query")
}

#[test]
fn values_of_every_type() {
    let database = Database::new("");
    let workspace = database.workspace();
    let cases = [
        ("NULL", Value::Null),
        ("true", json!(true)),
        ("(-128)::TINYINT", json!(-128)),
        ("9223372036854775807", json!(9_223_372_036_854_775_807_i64)),
        ("18446744073709551615::UBIGINT", json!(18_446_744_073_709_551_615_u64)),
        ("sum(9007199254740993)", json!(9_007_199_254_740_993_i64)),
        ("170141183460469231731687303715884105727::HUGEINT", json!("170141183460469231731687303715884105727")),
        ("(-1)::HUGEINT", json!(-1)),
        ("340282366920938463463374607431768211455::UHUGEINT", json!("340282366920938463463374607431768211455")),
        ("0.1::FLOAT", json!(0.1)),
        ("1e300", json!(1e300)),
        ("'nan'::DOUBLE", json!("NaN")),
        ("'-inf'::FLOAT", json!("-Infinity")),
        ("-0.05", json!(-0.05)),
        ("123456789012345.678::DECIMAL(18,3)", json!("123456789012345.678")),
        ("12::DECIMAL(4,0)", json!(12)),
        ("DATE '2024-02-29'", json!("2024-02-29")),
        ("'infinity'::DATE", json!("infinity")),
        ("TIME '01:02:03.5'", json!("01:02:03.500000")),
        ("TIMETZ '01:02:03-05:30'", json!("01:02:03-05:30")),
        ("TIMESTAMP '2024-01-02 03:04:05'", json!("2024-01-02T03:04:05")),
        ("TIMESTAMP_NS '2024-01-02 03:04:05.123456789'", json!("2024-01-02T03:04:05.123456789")),
        ("make_timestamp(1700000000123456)::TIMESTAMPTZ", json!("2023-11-14T22:13:20.123456Z")),
        ("INTERVAL '1 year 2 days 3 seconds'", json!("P1Y2DT3S")),
        ("'\\x00\\xFFa'::BLOB", json!("00ff61")),
        ("'10011'::BIT", json!("10011")),
        ("'A0EEBC99-9c0b-4ef8-bb6d-6bb9bd380a11'::UUID", json!("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")),
        ("'b'::ENUM ('a', 'b')", json!("b")),
        ("[1, NULL, 3]", json!([1, null, 3])),
        ("[[1.5], []]::DOUBLE[][]", json!([[1.5], []])),
        ("[1, 2]::INTEGER[2]", json!([1, 2])),
        ("{'a': 1, 'b': [{'c': DATE '2024-01-01'}]}", json!({"a": 1, "b": [{"c": "2024-01-01"}]})),
        ("MAP {'k': 1, 'l': NULL}", json!({"k": 1, "l": null})),
        ("MAP {1: 'a'}", json!({"1": "a"})),
        ("union_value(n := 'x')", json!("x")),
        ("'{\"b\":[1,2.50,\"x\"],\"a\":null}'::JSON", json!({"b": [1, 2.5, "x"], "a": null})),
        ("'{\"b\":[1,2.50,\"x\"]}'::VARCHAR", json!("{\"b\":[1,2.50,\"x\"]}")),
        ("['[1]'::JSON]", json!([[1]])),
        ("'1e400'::JSON", json!("1e400")),
    ];
    for (sql, expected) in cases {
        assert_eq!(workspace.sql_scalar(&format!("SELECT {sql}")).expect(sql), expected, "{sql}");
    }
}

#[test]
fn every_duckdb_type_is_readable() {
    let database = Database::new("");
    let result = database.workspace().sql("SELECT * FROM test_all_types()").expect("all types");
    assert_eq!(result.rows.len(), 3);
    assert!(result.rows[2].iter().all(|value| value.is_null()), "the third row holds nothing");
    assert!(result.rows[0].iter().all(|value| !value.is_null()), "the first row holds everything");
}

#[test]
fn json_deeper_than_the_parser_goes_stays_text() {
    let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
    assert_eq!(scalar(&format!("SELECT '{deep}'::JSON")), json!(deep));
}

#[test]
fn rows_are_delivered_in_order_until_the_callback_breaks() {
    let database = Database::new("CREATE TABLE t AS SELECT range AS a, 'x' AS b FROM range(100000)");
    let (mut names, mut seen) = (Vec::new(), Vec::new());
    let columns = |columns: &[String]| {
        names = columns.to_vec();
        ControlFlow::Continue(())
    };
    let row = |row: Vec<Value>| {
        seen.push(row);
        if seen.len() == 5_000 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    database.workspace().sql_each("SELECT a, b, a AS b FROM t ORDER BY a", columns, row).expect("a valid query");
    assert_eq!(names, ["a", "b", "b"]);
    assert_eq!(seen.len(), 5_000);
    assert_eq!(seen[4_999], [json!(4_999), json!("x"), json!(4_999)]);

    let columns = |_: &[String]| ControlFlow::Break(());
    database.workspace().sql_each("SELECT 1", columns, |_| panic!("no row was wanted")).expect("a valid query");
}

#[test]
fn a_query_error_after_some_rows_is_reported() {
    let database = Database::new("");
    // Repeated, because DuckDB hides the reason in some runs.
    for _ in 0..30 {
        let mut rows = 0;
        let row = |_| {
            rows += 1;
            ControlFlow::Continue(())
        };
        let sql = "SELECT CASE WHEN range = 900000 THEN error('too far') ELSE 1 END FROM range(1000000)";
        let error =
            database.workspace().sql_each(sql, |_| ControlFlow::Continue(()), row).expect_err("it goes too far");
        assert_eq!(error.kind(), ErrorKind::Query);
        assert!(error.message().contains("too far"), "{error}");
        assert!(rows > 0 && rows <= 900_000, "{rows}");
    }
}

#[test]
fn a_row_callback_may_run_another_query() {
    let database = Database::new("CREATE TABLE t AS SELECT range AS a FROM range(3)");
    let workspace = database.workspace();
    let mut sums = Vec::new();
    let row = |row: Vec<Value>| {
        sums.push(workspace.sql_scalar(&format!("SELECT sum(a) + {} FROM t", row[0])).expect("a valid query"));
        ControlFlow::Continue(())
    };
    workspace.sql_each("SELECT a FROM t", |_| ControlFlow::Continue(()), row).expect("a valid query");
    assert_eq!(sums, [json!(3), json!(4), json!(5)]);
}

#[test]
fn query_errors_show_the_position() {
    let database = Database::new("CREATE TABLE profiles (a INTEGER)");
    let workspace = database.workspace();
    let error = workspace.sql("SELECT * FROM profile").expect_err("there is no such table");
    assert_eq!(error.kind(), ErrorKind::Query);
    assert!(error.message().starts_with("catalog error: Table with name profile does not exist!"), "{error}");
    assert!(error.message().contains("\nLINE 1: SELECT * FROM profile\n                      ^"), "{error}");
    assert_eq!(error.detail("query"), Some(&json!("SELECT * FROM profile")));
    for (sql, part) in [
        ("", "empty"),
        (" ; ", "empty"),
        ("-- nothing", "empty"),
        ("SELECT ?", "parameters"),
        ("SELECT 'a\0b'", "NUL"),
        ("SELEC 1", "syntax error"),
    ] {
        let error = workspace.sql(sql).expect_err(sql);
        assert_eq!(error.kind(), ErrorKind::Query, "{sql}");
        assert!(error.message().contains(part), "{sql}: {error}");
    }
}

#[test]
fn queries_change_nothing_and_reach_no_file() {
    let database = Database::new("CREATE TABLE t AS SELECT 1 AS a");
    let secret = database.directory.path().join("secret.csv");
    std::fs::write(&secret, "a\n1\n").expect("the directory can be written in");
    let bytes = std::fs::read(&database.path).expect("the database can be read");
    let directory = database.directory.path().display();
    let own = database.path.display().to_string().replace('\'', "''");
    let workspace = database.workspace();
    let attacks = [
        format!("SELECT * FROM read_text('{directory}/secret.csv')"),
        format!("SELECT * FROM '{directory}/secret.csv'"),
        format!("SELECT * FROM glob('{directory}/*')"),
        format!("SELECT * FROM read_blob('{own}')"),
        format!("COPY (SELECT 1) TO '{directory}/out.csv'"),
        format!("COPY (SELECT 1) TO '{own}.wal'"),
        format!("COPY t FROM '{directory}/secret.csv'"),
        format!("EXPORT DATABASE '{directory}/export'"),
        format!("ATTACH '{directory}/other.db'"),
        format!("ATTACH '{own}' AS again"),
        format!("ATTACH '{own}' AS again (READ_WRITE)"),
        format!("CALL enable_logging(storage = 'file', storage_config = {{'path': '{directory}/log'}})"),
        "INSTALL httpfs".to_owned(),
        "LOAD httpfs".to_owned(),
        "SELECT * FROM read_csv('http://127.0.0.1:1/x')".to_owned(),
        "SET enable_external_access = true".to_owned(),
        "SET disabled_filesystems = ''".to_owned(),
        "SET threads = 1; SELECT 1".to_owned(),
        "RESET memory_limit".to_owned(),
        "PRAGMA profiling_output = '/tmp/x'".to_owned(),
        "CREATE SECRET s (TYPE s3)".to_owned(),
        "CREATE TABLE u AS SELECT 1".to_owned(),
        "INSERT INTO t VALUES (2)".to_owned(),
        "DROP TABLE t".to_owned(),
        "SELECT 1; DROP TABLE t".to_owned(),
    ];
    for attack in attacks {
        let error = workspace.sql(&attack).expect_err(&attack);
        assert_eq!(error.kind(), ErrorKind::Query, "{attack}: {error:?}");
    }
    assert_eq!(database.files(), ["it's a database.db", "secret.csv"]);
    assert!(std::fs::read(&database.path).expect("the database can be read") == bytes, "the database was changed");
    assert_eq!(workspace.sql_scalar("SELECT count(*) FROM t").expect("the table is there"), 1);
}

#[test]
fn lists_tables_with_their_metadata() {
    let database = Database::new(
        "CREATE TABLE profiles AS SELECT range AS a FROM range(3); CREATE TABLE Events (a INTEGER);
         CREATE TABLE \"odd \"\"name\" (a INTEGER); CREATE VIEW v AS SELECT 1; CREATE TABLE _mine (a INTEGER);
         CREATE TABLE _metadata (table_name VARCHAR PRIMARY KEY, type VARCHAR NOT NULL, fetched_at TIMESTAMP NOT NULL,
             from_date DATE, to_date DATE, row_count INTEGER NOT NULL);
         INSERT INTO _metadata VALUES ('profiles', 'profiles', '2024-01-02 03:04:05.5', NULL, NULL, 99),
             ('events', 'events', '2024-01-02', NULL, NULL, 99), ('odd \"name', 'x\u{1b}', 'infinity', NULL, NULL, 99)",
    );
    let tables = database.workspace().tables().expect("the tables");
    let shown: Vec<_> = tables
        .iter()
        .map(|table| (table.name.as_str(), table.kind.as_str(), table.row_count, table.fetched_at.as_deref()))
        .collect();
    assert_eq!(
        shown,
        [
            ("Events", "events", 0, Some("2024-01-02T00:00:00Z")),
            ("odd \"name", "unknown", 0, None),
            ("profiles", "profiles", 3, Some("2024-01-02T03:04:05.5Z")),
        ]
    );
    for metadata in
        ["CREATE TABLE _metadata (x INTEGER)", "CREATE VIEW _metadata AS SELECT error('x') AS table_name", ""]
    {
        let database = Database::new(&format!("CREATE TABLE t (a INTEGER); {metadata}"));
        assert_eq!(database.workspace().tables().expect("the tables")[0].kind, "unknown");
    }
}

#[test]
fn shows_columns_and_samples() {
    let database = Database::new(
        "CREATE TABLE Keyed (id VARCHAR, p JSON, n INTEGER NOT NULL, PRIMARY KEY (id));
         INSERT INTO Keyed SELECT range, '{}', 1 FROM range(100); CREATE VIEW v AS SELECT 1 AS one;
         CREATE TABLE \"a\"\"b\" AS SELECT 7 AS seven",
    );
    let workspace = database.workspace();
    let schema = workspace.table_schema("KEYED").expect("the table is there");
    assert_eq!(schema.table_name, "Keyed");
    let columns: Vec<_> =
        schema.columns.iter().map(|c| (c.name.as_str(), c.kind.as_str(), c.nullable, c.primary_key)).collect();
    assert_eq!(columns, [("id", "VARCHAR", false, true), ("p", "JSON", true, false), ("n", "INTEGER", false, false)]);
    assert_eq!(workspace.table_schema("v").expect("the view is there").columns[0].name, "one");
    assert_eq!(workspace.sample("keyed", 10).expect("a sample").rows.len(), 10);
    assert_eq!(workspace.sample("keyed", 1_000).expect("a sample").rows.len(), 100);
    assert_eq!(workspace.sample("keyed", 0).expect("a sample").rows.len(), 0);
    assert_eq!(workspace.sample("a\"b", 1).expect("a sample").rows, [[json!(7)]]);
    assert_eq!(workspace.sample("v", 1).expect("a sample").columns, ["one"]);

    let error = workspace.table_schema("x\"; DROP TABLE Keyed; --").expect_err("there is no such table");
    assert_eq!(error.kind(), ErrorKind::TableNotFound);
    assert_eq!(error.detail("available_tables"), Some(&json!(["Keyed", "a\"b"])));
}

#[test]
fn drops_all_tables_or_none() {
    let database = Database::new(
        "CREATE TABLE a (x INTEGER); CREATE TABLE B (x INTEGER); CREATE VIEW v AS SELECT 1; CREATE TABLE c (x INTEGER);
         CREATE TABLE parent (x INTEGER PRIMARY KEY); CREATE TABLE child (x INTEGER REFERENCES parent (x));
         CREATE TABLE _metadata (table_name VARCHAR PRIMARY KEY, type VARCHAR NOT NULL, fetched_at TIMESTAMP NOT NULL);
         INSERT INTO _metadata VALUES ('a', 'profiles', '2024-01-01'), ('b', 'profiles', '2024-01-01'), ('c', 'events', '2024-01-01')",
    );
    let workspace = database.workspace();
    let drop = |names: &[&str]| workspace.drop_tables(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    let names =
        || -> Vec<String> { workspace.tables().expect("the tables").into_iter().map(|table| table.name).collect() };
    let before = names();
    for (tables, kind) in [
        (vec!["a", "missing"], ErrorKind::TableNotFound),
        (vec!["a", "_metadata"], ErrorKind::InvalidInput),
        (vec!["a", "parent"], ErrorKind::InvalidInput),
        (vec!["a\"; DROP TABLE c; --"], ErrorKind::TableNotFound),
    ] {
        assert_eq!(drop(&tables).expect_err("it cannot be dropped").kind(), kind, "{tables:?}");
        assert_eq!(names(), before);
    }
    drop(&["a", "b", "A", "v"]).expect("they can be dropped");
    assert_eq!(names(), ["c", "child", "parent"]);
    assert_eq!(workspace.sql("SELECT table_name FROM _metadata").expect("a valid query").rows, [[json!("c")]]);
    drop(&[]).expect("nothing can be dropped");
}

#[test]
fn reads_do_not_create_a_missing_database() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("missing.db");
    let workspace = Workspace::open(&path);
    let errors = [
        workspace.sql("SELECT 1").map(drop),
        workspace.tables().map(drop),
        workspace.table_schema("t").map(drop),
        workspace.sample("t", 1).map(drop),
        workspace.drop_tables(&["t".to_owned()]),
    ];
    for result in errors {
        let error = result.expect_err("there is no database");
        assert_eq!(error.kind(), ErrorKind::DatabaseNotFound);
        assert_eq!(error.detail("db_path"), Some(&json!(path.display().to_string())));
        assert!(error.detail("suggestion").is_some());
    }
    assert!(!path.exists());
}

#[test]
fn a_url_is_refused_without_a_connection() {
    let server = TcpListener::bind("127.0.0.1:0").expect("a port");
    server.set_nonblocking(true).expect("a socket option");
    let port = server.local_addr().expect("an address").port();
    for path in [format!("http://127.0.0.1:{port}/x.db"), "s3://bucket/x.db".to_owned(), "md:x".to_owned()] {
        let error = Workspace::open(&path).sql("SELECT 1").expect_err("it is no file");
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{path}");
    }
    assert!(server.accept().is_err(), "a connection was made");
}

const HOLD: &str = "MIXPANEL_DATA_TEST_HOLD";

/// Not a test: this is the other process of the next test.
#[test]
#[expect(clippy::disallowed_methods, reason = "a test program is told its part through the environment")]
fn holds_a_database() {
    let Some(database) = std::env::var_os(HOLD) else { return };
    let _connection = Connection::open(Path::new(&database)).expect("the database can be opened");
    std::io::stdout().write_all(b"\ndatabase is open\n").expect("the other process listens");
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

#[test]
fn a_database_of_another_process_is_locked() {
    let database = Database::new("CREATE TABLE t AS SELECT 1 AS a");
    let mut holder = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "store::holds_a_database", "--nocapture"])
        .env(HOLD, &database.path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program can be started");
    let output = holder.stdout.as_mut().expect("it is piped");
    let opened = BufReader::new(output).lines().any(|line| line.is_ok_and(|line| line.contains("database is open")));
    assert!(opened, "the other process could not open the database");
    for result in [database.workspace().sql("SELECT 1").map(drop), database.workspace().drop_tables(&["t".to_owned()])]
    {
        let error = result.expect_err("the database is locked");
        assert_eq!(error.kind(), ErrorKind::DatabaseLocked);
        assert_eq!(error.detail("holding_pid"), Some(&json!(holder.id())));
    }
    drop(holder.stdin.take());
    holder.wait().expect("it ends");
    assert_eq!(database.workspace().sql_scalar("SELECT a FROM t").expect("it is free now"), 1);
}
