//! Files written by `mp export` and `mp query sql --output`, read back by readers that are not DuckDB's.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use arrow::array::{Array as _, AsArray as _};
use arrow::datatypes::{Decimal128Type, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use mixpanel_simulator::SimulatorConfig;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use serde_json::Value;

use crate::program::MP;
use crate::snapshot::assert_run;
use crate::support::{Home, Simulator};

/// Returns a home with a table `profiles` of 2,500 profiles, odd ones among them.
fn home() -> Home {
    let simulator = Simulator::start(SimulatorConfig::default().with_profiles(2_500));
    let home = Home::new().with_server(&simulator);
    let _ = home.run(&["fetch", "profiles", "-q", "--parallel"]).exits(0);
    home
}

/// Returns the compression of every column of a Parquet file.
fn compressions(home: &Home, name: &str) -> Vec<Compression> {
    let file = File::open(home.path().join(name)).expect("the file");
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).expect("a Parquet file");
    let groups = builder.metadata().row_groups().iter();
    groups.flat_map(|group| group.columns().iter().map(|column| column.compression())).collect()
}

/// Reads a Parquet file whole.
fn read(home: &Home, name: &str) -> (RecordBatch, Vec<(String, String)>) {
    let file = File::open(home.path().join(name)).expect("the file");
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).expect("a Parquet file");
    let metadata = builder.metadata().file_metadata().key_value_metadata().cloned().unwrap_or_default();
    let metadata = metadata.into_iter().map(|entry| (entry.key, entry.value.unwrap_or_default())).collect();
    let reader = builder.with_batch_size(1 << 16).build().expect("a reader");
    let schema = arrow::record_batch::RecordBatchReader::schema(&reader);
    let batches: Vec<RecordBatch> = reader.map(|batch| batch.expect("a batch")).collect();
    (arrow::compute::concat_batches(&schema, &batches).expect("one batch"), metadata)
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Returns the text of each profile's properties, as `mp query sql` prints it.
fn properties(home: &Home) -> Vec<String> {
    let query = "SELECT properties::VARCHAR FROM profiles";
    home.run(&["query", "sql", query, "-f", "plain"]).exits(0).stdout.lines().map(str::to_owned).collect()
}

#[test]
fn every_format_holds_every_profile_in_order_and_exactly() {
    let home = home();
    for name in ["p.parquet", "p.csv", "p.jsonl", "p.ndjson", "p.json", "P.PARQUET"] {
        let result = home.run(&["export", "PROFILES", name, "-q"]).exits(0).json();
        let size = fs::metadata(home.path().join(name)).unwrap().len();
        assert_eq!((result["rows"].as_u64(), result["bytes"].as_u64()), (Some(2_500), Some(size)), "{name}");
    }
    let compressions = compressions(&home, "p.parquet");
    assert!(compressions.len() >= 3 && compressions.iter().all(|found| matches!(found, Compression::ZSTD(_))));
    let expected = properties(&home);
    let (batch, metadata) = read(&home, "p.parquet");
    let (ids, texts) = (batch.column(0).as_string::<i32>(), batch.column(1).as_string::<i32>());
    let seen = batch.column(2).as_primitive::<TimestampMicrosecondType>();
    assert_eq!(texts.iter().map(|text| text.unwrap().to_owned()).collect::<Vec<_>>(), expected);
    let table = home.run(&["query", "sql", "SELECT distinct_id, epoch_us(last_seen) FROM profiles", "-f", "jsonl"]);
    for (row, line) in lines(&table.exits(0).stdout).iter().enumerate() {
        assert_eq!(line["distinct_id"], ids.value(row), "{row}");
        assert_eq!(line["epoch_us(last_seen)"].as_i64(), seen.is_valid(row).then(|| seen.value(row)), "{row}");
    }
    let recorded = |key: &str| metadata.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str());
    assert_eq!(recorded("mixpanel_data.table"), Some("profiles"));
    assert_eq!(
        (recorded("mixpanel_data.project_id"), recorded("mixpanel_data.partial")),
        (Some("12345"), Some("false"))
    );
    let text = fs::read_to_string(home.path().join("p.jsonl")).unwrap();
    assert_eq!(text, fs::read_to_string(home.path().join("p.ndjson")).unwrap());
    assert_eq!(text.lines().count(), expected.len());
    assert!(text.lines().zip(&expected).all(|(line, text)| line.contains(&format!("\"properties\":{text}"))));
    let json: Vec<Value> = serde_json::from_str(&fs::read_to_string(home.path().join("p.json")).unwrap()).unwrap();
    assert_eq!(json, lines(&text));
    let csv = fs::read_to_string(home.path().join("p.csv")).unwrap();
    assert_eq!(csv, home.run(&["query", "sql", "FROM profiles", "-f", "csv"]).exits(0).stdout);
    let piped = home.run(&["export", "profiles", "-", "--to-format", "jsonl"]).exits(0).stdout;
    assert_eq!(piped, text);
    let names = fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(names.filter(|name| name.contains("partial")).count() == 0);
}

#[test]
fn types_that_parquet_cannot_hold_become_decimals_or_text() {
    let home = home();
    let query = "SELECT 12345678901234567890123456789012345678::HUGEINT AS h, sum(1) AS s, -7::HUGEINT AS n,
        INTERVAL '1 month 2 days 3.000004 seconds' AS i, '101'::BIT AS b, {'x': 5::HUGEINT} AS st, [2::UHUGEINT] AS l,
        union_value(k := 3) AS u, 1 AS a, 2 AS a, NULL AS nothing, '' AS empty FROM profiles";
    let _ = home.run(&["query", "sql", query, "-o", "t.parquet"]).exits(0);
    let (batch, _) = read(&home, "t.parquet");
    let column = |name: &str| batch.column_by_name(name).unwrap_or_else(|| panic!("{name}: {}", batch.schema()));
    let decimal = |name: &str| column(name).as_primitive::<Decimal128Type>().value_as_string(0);
    assert_eq!(decimal("h"), "12345678901234567890123456789012345678");
    assert_eq!((decimal("s"), decimal("n")), ("2500".to_owned(), "-7".to_owned()));
    let text = |name: &str| column(name).as_string::<i32>().value(0).to_owned();
    assert_eq!(text("i"), "1 month 2 days 00:00:03.000004");
    assert_eq!((text("b"), text("u"), text("empty")), ("101".to_owned(), "{\"k\":3}".to_owned(), String::new()));
    let inner = column("st").as_struct().column(0).as_primitive::<Decimal128Type>().value_as_string(0);
    let item = column("l").as_list::<i32>().value(0);
    assert_eq!((inner, item.as_primitive::<Decimal128Type>().value_as_string(0)), ("5".to_owned(), "2".to_owned()));
    assert_eq!(batch.num_columns(), 12);
    // One more digit than a decimal has.
    let query = "SELECT 170141183460469231731687303715884105727::HUGEINT AS h, 1::HUGEINT AS one";
    let _ = home.run(&["query", "sql", query, "-o", "t.parquet", "--force"]).exits(0);
    let (batch, _) = read(&home, "t.parquet");
    let texts = [0, 1].map(|column| batch.column(column).as_string::<i32>().value(0).to_owned());
    assert_eq!(texts, ["170141183460469231731687303715884105727", "1"]);
}

#[test]
fn a_file_is_replaced_only_on_request_and_only_by_a_complete_one() {
    let home = home();
    let path = home.path().join("old.csv");
    fs::write(&path, "old").unwrap();
    fs::create_dir(home.path().join("dir.csv")).unwrap();
    symlink(&path, home.path().join("link.csv")).unwrap();
    for name in ["old.csv", "link.csv", "dir.csv", "/dev/null", "nowhere/x.csv", "x.xlsx", "x"] {
        let format: &[&str] = if name == "/dev/null" { &["--to-format", "csv"] } else { &[] };
        let run = home.run(&[&["export", "profiles", name, "-q"], format].concat());
        assert_ne!(run.code, Some(0), "{name}");
        assert_run!(run, name.trim_matches('/'));
        assert_eq!(fs::read_to_string(&path).unwrap(), "old", "{name}");
    }
    // Bound without an error, it fails while it runs.
    let failing = "SELECT error('x') FROM profiles WHERE distinct_id IS NOT NULL";
    for ending in ["csv", "parquet", "jsonl", "json"] {
        let name = format!("old.{ending}");
        fs::write(home.path().join(&name), "old").unwrap();
        let _ = home.run(&["query", "sql", failing, "-o", &name, "--force"]).exits(3);
        assert_eq!(fs::read_to_string(home.path().join(&name)).unwrap(), "old");
        assert!(!home.path().join(format!(".{name}.mp-partial")).exists());
    }
    let _ = home.run(&["export", "profiles", "link.csv", "--force", "-q"]).exits(0);
    assert!(fs::symlink_metadata(home.path().join("link.csv")).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 2_501);
}

#[test]
fn queries_that_access_files_have_several_results_or_print_are_refused() {
    let home = home();
    for (case, arguments) in [
        ("read", &["query", "sql", "FROM read_text('/etc/hostname')", "-o", "x.csv"][..]),
        ("read-parquet", &["query", "sql", "FROM read_text('/etc/hostname')", "-o", "x.parquet"]),
        ("own-database", &["query", "sql", "FROM read_blob('.mp/data/12345.db')", "-o", "x.parquet"]),
        ("copy", &["query", "sql", "COPY profiles TO 'x.csv'"]),
        ("copy-parquet", &["query", "sql", "COPY profiles TO 'x.csv'", "-o", "x.parquet"]),
        ("attach", &["query", "sql", "ATTACH 'x.db'"]),
        ("several", &["query", "sql", "SELECT 1; SELECT 2", "-o", "x.parquet"]),
        ("several-jsonl", &["query", "sql", "SELECT 1; SELECT 2", "-o", "x.csv", "--to-format", "jsonl"]),
        ("empty", &["query", "sql", " -- nothing", "-o", "x.parquet"]),
        ("no-table", &["export", "nosuch", "x.csv"]),
        ("option-alone", &["query", "sql", "SELECT 1", "--force"]),
        ("jq", &["export", "profiles", "x.json", "--jq", "."]),
    ] {
        assert_run!(home.run(arguments), case);
        assert!(!home.path().join("x.csv").exists() && !home.path().join("x.parquet").exists(), "{case}");
    }
}

#[test]
fn a_sort_larger_than_the_memory_budget_spills() {
    let home = home();
    let query = "SELECT i, repeat('x', 200) || i AS t FROM range(1_500_000) AS r(i) ORDER BY hash(i)";
    // A budget that is too small even for spilling names the way out.
    let run = home.run(&["query", "sql", query, "-o", "y.parquet", "--memory", "200MB", "-q"]);
    assert!(run.code == Some(0) || (run.code == Some(1) && run.stderr.contains("`--memory 400MB`")), "{}", run.stderr);
    let result = home.run(&["query", "sql", query, "-o", "x.parquet", "-q"]).exits(0).json();
    assert_eq!(result["rows"], 1_500_000);
    let (batch, _) = read(&home, "x.parquet");
    let numbers = batch.column(0).as_primitive::<arrow::datatypes::Int64Type>();
    // Every number once.
    let mut seen = vec![false; numbers.len()];
    for number in numbers.values() {
        assert!(!std::mem::replace(&mut seen[usize::try_from(*number).unwrap()], true), "{number} twice");
    }
    assert!(!home.path().join(".x.parquet.mp-partial.spill").exists());
}

#[test]
fn a_query_larger_than_the_memory_budget_spills_in_every_format() {
    let home = home();
    let distinct = "SELECT DISTINCT repeat('x', 500) || i AS t, i FROM range(500_000) AS r(i)";
    let query = format!("SELECT i FROM ({distinct})");
    for arguments in
        [&["-f", "csv"][..], &["-f", "jsonl"], &["-o", "rows.csv", "-q"], &["-o", "-", "--to-format", "csv"]]
    {
        let command = [&["query", "sql", &query, "--memory", "400MB"], arguments].concat();
        let run = home.run(&command).exits(0);
        let text = if arguments.contains(&"rows.csv") {
            fs::read_to_string(home.path().join("rows.csv")).unwrap()
        } else {
            run.stdout
        };
        let number =
            |line: &str| -> usize { line.trim_start_matches("{\"i\":").trim_end_matches('}').parse().unwrap() };
        let mut seen = vec![false; 500_000];
        for line in text.lines().filter(|line| *line != "i") {
            assert!(!std::mem::replace(&mut seen[number(line)], true), "{line} twice");
        }
        assert!(seen.iter().all(|seen| *seen), "{arguments:?}");
    }
    let count = format!("SELECT count(*) FROM ({distinct})");
    let run = home.run(&["query", "sql", "-s", &count, "--memory", "400MB"]).exits(0);
    assert_eq!(run.stdout, "500000\n");
    // The sandbox holds in the connection that spills.
    for sql in ["SELECT * FROM read_text('my.db')", "COPY (SELECT 1) TO 'x.csv'", "SELECT getenv('HOME')"] {
        home.run(&["query", "sql", sql, "--memory", "400MB"]).exits(3).prints_nothing();
    }
    let left = fs::read_dir(home.database().parent().unwrap()).unwrap();
    let left = left.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(left.filter(|name| name.contains("spill")).collect::<Vec<_>>(), Vec::<String>::new());
}

#[test]
fn a_signal_or_the_next_query_removes_what_a_query_spilled() {
    let home = home();
    let sql =
        "SELECT count(*) FROM (SELECT repeat('x', 200) || i AS t FROM range(8_000_000) AS r(i) ORDER BY hash(i), t)";
    let query = ["query", "sql", sql, "--memory", "400MB"];
    let directory = home.database().parent().unwrap().to_owned();
    let spilled = || {
        let names = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path());
        names.filter(|path| path.to_string_lossy().contains(".spill-")).collect::<Vec<_>>()
    };
    let has_files = || spilled().iter().any(|path| fs::read_dir(path).is_ok_and(|entries| entries.count() > 1));
    for signal in ["TERM", "KILL"] {
        let mut child = home.command(&query).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let begun = Instant::now();
        while !has_files() && begun.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(has_files(), "{signal}");
        let status = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap();
        assert!(status.success(), "{signal}");
        assert!(!child.wait().unwrap().success(), "{signal}");
        assert_eq!(spilled().len(), usize::from(signal == "KILL"), "{signal}");
    }
    home.run(&["query", "sql", "SELECT 1", "--memory", "400MB"]).exits(0);
    assert_eq!(spilled(), Vec::<PathBuf>::new());
}

#[test]
fn a_file_that_cannot_be_written_is_a_storage_error_and_leaves_nothing() {
    let home = home();
    for name in ["x.parquet", "x.csv", "x.jsonl"] {
        let run = home.shell(&format!("ulimit -f 100; {MP} export profiles {name} -q")).exits(1);
        assert!(run.stderr.contains("File too large"), "{name}: {}", run.stderr);
        let left = fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        assert_eq!(left.filter(|left| left.contains("x.")).collect::<Vec<_>>(), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn a_signal_leaves_neither_the_file_nor_its_parts() {
    let home = home();
    for (name, signal) in [("x.parquet", "TERM"), ("x.csv", "INT"), ("x.jsonl", "HUP")] {
        let query = "SELECT a.* FROM profiles AS a, profiles AS b, range(20)";
        let arguments = ["query", "sql", query, "-o", name, "-q"];
        let mut child = home.command(&arguments).stdout(Stdio::null()).spawn().expect("a process");
        let partial = home.path().join(format!(".{name}.mp-partial"));
        while !partial.exists() {
            assert!(child.try_wait().unwrap().is_none(), "{name}");
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_millis(100));
        let _ = home.shell(&format!("kill -{signal} {}", child.id())).exits(0);
        let code = child.wait().unwrap().code();
        assert!(matches!(code, Some(143 | 130 | 129)), "{name}: {code:?}");
        let left = fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        assert_eq!(left.filter(|left| left.contains("x.")).collect::<Vec<_>>(), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn a_typed_view_is_exported_within_the_default_memory() {
    let simulator = Simulator::start(SimulatorConfig::default().with_profiles(10_000));
    let home = Home::new().with_server(&simulator);
    let _ = home.run(&["fetch", "profiles", "-q", "--parallel"]).exits(0);
    for arguments in [
        &["export", "profiles_typed", "x.parquet", "-q"][..],
        &["export", "PROFILES_typed", "y.parquet", "-q", "--memory", "300MB"],
        &["query", "sql", "FROM profiles_typed", "-o", "z.parquet", "-q"],
        &["export", "profiles_typed", "x.csv", "-q", "--memory", "400MB"],
        &["export", "profiles_typed", "x.jsonl", "-q", "--memory", "400MB"],
    ] {
        assert_eq!(home.run(arguments).exits(0).json()["rows"], 10_000, "{arguments:?}");
    }
    // Each column has the text that the exact properties have.
    let (batch, _) = read(&home, "x.parquet");
    let (plans, expected) = (batch.column_by_name("plan").expect("a column"), properties(&home));
    for (row, properties) in expected.iter().enumerate() {
        let properties: Value = serde_json::from_str(properties).unwrap();
        let plan = plans.is_valid(row).then(|| plans.as_string::<i32>().value(row));
        assert_eq!(plan, properties["plan"].as_str(), "row {row}");
    }
    let (other, _) = read(&home, "z.parquet");
    assert_eq!(batch, other);
}

#[test]
fn an_export_never_overwrites_the_database() {
    let home = home();
    let database = home.database();
    let before = fs::read(&database).unwrap();
    symlink(&database, home.path().join("link.csv")).unwrap();
    fs::hard_link(&database, home.path().join("hard.csv")).unwrap();
    for name in [
        ".mp/data/12345.db",
        ".mp/../.mp/data/12345.db",
        "link.csv",
        "hard.csv",
        ".mp/data/12345.db.wal",
        ".mp/data/12345.db.undo",
    ] {
        let options = ["--to-format", "csv", "--force"];
        for arguments in [&["export", "profiles", name][..], &["query", "sql", "SELECT 1", "-o", name]] {
            let run = home.run(&[arguments, &options].concat()).exits(3);
            assert!(run.stderr.contains("the database"), "{name}: {}", run.stderr);
        }
    }
    assert!(fs::read(&database).unwrap() == before);
}

#[test]
fn a_replaced_file_keeps_its_permissions_and_other_files_stay() {
    let home = home();
    for (name, mode) in [("a.csv", 0o600), ("a.parquet", 0o640), ("a.jsonl", 0o444)] {
        let path = home.path().join(name);
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let _ = home.run(&["export", "profiles", name, "--force", "-q"]).exits(0);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode, "{name}");
    }
    // A name of 255 bytes, and files in the way of the temporary one.
    let long = format!("{}.csv", "x".repeat(251));
    let _ = home.run(&["export", "profiles", &long, "-q"]).exits(0);
    fs::write(home.path().join(".b.csv.partial"), "mine").unwrap();
    let _ = home.run(&["export", "profiles", "b.csv", "-q"]).exits(0);
    assert_eq!(fs::read_to_string(home.path().join(".b.csv.partial")).unwrap(), "mine");
    symlink("elsewhere", home.path().join(".c.csv.mp-partial")).unwrap();
    let run = home.run(&["export", "profiles", "c.csv", "-q"]).exits(1);
    assert!(run.stderr.contains("is in the way"), "{}", run.stderr);
    assert!(!home.path().join("elsewhere").exists());
}

#[test]
fn statements_are_checked_before_the_first_one_runs() {
    let home = home();
    for (query, reason) in [
        ("SELECT 1 AS a; SELEC 2", "syntax error"),
        ("SELECT 1 AS a; SELECT nosuch FROM profiles", "nosuch"),
        ("SELECT 1 AS a; DROP TABLE profiles", "read-only"),
    ] {
        for format in ["jsonl", "plain", "table"] {
            let run = home.run(&["query", "sql", query, "-f", format]).exits(3);
            assert_eq!(run.stdout, "", "{query}");
            assert!(run.stderr.contains(reason), "{query}: {}", run.stderr);
        }
    }
    let run = home.run(&["query", "sql", "SET VARIABLE x = 5; SELECT getvariable('x') AS x", "-f", "jsonl"]).exits(0);
    assert_eq!(run.stdout, "{\"x\":5}\n");
}
