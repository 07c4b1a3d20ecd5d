//! Results and streams as Arrow record batches.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use duckdb::Connection;
use mixpanel_data::arrow::array::{Array as _, AsArray as _, RecordBatch};
use mixpanel_data::arrow::datatypes::{SchemaRef, TimestampMicrosecondType};
use mixpanel_data::arrow::util::display::array_value_to_string;
use mixpanel_data::{Day, ErrorKind, EventFetch, ProfileFetch, QueryStop, RecordForm, Result, Timestamp, Workspace};
use mixpanel_simulator::{EventOptions, SimulatorConfig};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::Bench;

fn database(sql: &str) -> (TempDir, Workspace) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("x.db");
    Connection::open(&path).and_then(|connection| connection.execute_batch(sql)).expect("valid SQL");
    let workspace = Workspace::open(path);
    (directory, workspace)
}

fn run(workspace: &Workspace, sql: &str) -> Result<(SchemaRef, Vec<RecordBatch>)> {
    let (mut schema, mut batches) = (None, Vec::new());
    let columns = |found| {
        schema = Some(found);
        ControlFlow::Continue(())
    };
    let batch = |batch| {
        batches.push(batch);
        ControlFlow::Continue(())
    };
    workspace.sql_arrow(sql, &QueryStop::default(), columns, batch)?;
    Ok((schema.expect("a schema"), batches))
}

#[test]
fn types_without_a_counterpart_in_arrow_are_replaced() {
    let (_directory, workspace) = database("");
    for (value, kind, text) in [
        ("true", "Boolean", "true"),
        ("42", "Int32", "42"),
        (
            "-170141183460469231731687303715884105::HUGEINT",
            "Decimal128(38, 0)",
            "-170141183460469231731687303715884105",
        ),
        ("7::UHUGEINT", "Decimal128(38, 0)", "7"),
        ("1.50::DECIMAL(5,2)", "Decimal128(5, 2)", "1.50"),
        ("'{\"a\": 1.0}'::JSON", "Utf8", "{\"a\": 1.0}"),
        ("uuid '54df69c4-10ca-49e8-bd9f-277b36c28b9f'", "Utf8", "54df69c4-10ca-49e8-bd9f-277b36c28b9f"),
        ("'0101'::BIT", "Utf8", "0101"),
        (
            "'123456789012345678901234567890123456789012345'::BIGNUM",
            "Utf8",
            "123456789012345678901234567890123456789012345",
        ),
        ("'01:02:03+02'::TIMETZ", "Utf8", "01:02:03+02:00"),
        ("date '2026-11-27'", "Date32", "2026-11-27"),
        ("timestamp '2026-11-27 01:02:03.5'", "Timestamp(µs)", "2026-11-27T01:02:03.500"),
        ("'ab'::BLOB", "Binary", "6162"),
        ("[1::HUGEINT, NULL]", "List(Decimal128(38, 0))", "[1, ]"),
        ("{'a': [true], 'b': '[]'::JSON}", "Struct(\"a\": List(Boolean), \"b\": Utf8)", "{a: [true], b: []}"),
        (
            "MAP {'k': 1::HUGEINT}",
            "Map(\"entries\": non-null Struct(\"key\": non-null Utf8, \"value\": Decimal128(38, 0)), unsorted)",
            "{k: 1}",
        ),
        ("NULL::HUGEINT", "Decimal128(38, 0)", ""),
    ] {
        let (schema, batches) = run(&workspace, &format!("SELECT {value} AS x")).expect(value);
        assert_eq!(schema.field(0).data_type().to_string().replace(", field: 'l'", ""), kind, "{value}");
        assert_eq!(array_value_to_string(batches[0].column(0), 0).expect("a text"), text, "{value}");
        assert_eq!(batches[0].schema(), schema, "{value}");
    }
}

#[test]
fn every_row_arrives_in_order_and_an_empty_result_has_columns() {
    let (_directory, workspace) =
        database("CREATE TABLE t AS SELECT range AS n, range % 2 = 0 AS even FROM range(100_000)");
    let (_, batches) = run(&workspace, "FROM t").expect("rows");
    let numbers = batches.iter().flat_map(|batch| {
        batch.column(0).as_primitive::<mixpanel_data::arrow::datatypes::Int64Type>().values().to_vec()
    });
    assert!(numbers.eq(0..100_000), "the rows are not those of the table");
    assert!(batches.len() > 10, "{} batches", batches.len());
    let (schema, batches) = run(&workspace, "FROM t WHERE false").expect("no rows");
    assert_eq!((schema.fields().len(), batches.iter().map(RecordBatch::num_rows).sum::<usize>()), (2, 0));
    let (_, batches) = run(&workspace, "CREATE TEMP TABLE u AS FROM t LIMIT 3; SELECT count(*) FROM u").expect("a row");
    assert_eq!(array_value_to_string(batches[0].column(0), 0).expect("a text"), "3");
}

#[test]
fn wrong_queries_fail_before_the_first_row() {
    let (_directory, workspace) = database("CREATE TABLE t AS SELECT 1 AS a");
    for (sql, text) in [
        ("SELECT nope FROM t", "nope"),
        ("SELEC 1", "SELEC"),
        ("", "empty"),
        ("FROM read_csv('/etc/passwd')", "file"),
        ("DROP TABLE t", "read-only"),
        ("SELECT 170141183460469231731687303715884105727::HUGEINT", "38 digits"),
    ] {
        let error = run(&workspace, sql).expect_err(sql);
        assert_eq!(error.kind(), ErrorKind::Query, "{sql}: {error}");
        assert!(format!("{error} {error:?}").to_lowercase().contains(&text.to_lowercase()), "{sql}: {error:?}");
    }
    for sql in ["SELECT nope FROM t", "SELEC 1", ""] {
        assert_eq!(workspace.check_sql(sql).expect_err(sql).kind(), ErrorKind::Query, "{sql}");
    }
    workspace.check_sql("FROM t").expect("a valid query");
}

#[test]
fn a_query_stops_from_another_thread_and_releases_the_database() {
    let (_directory, workspace) = database("");
    let stop = QueryStop::default();
    let (of_thread, is_over) = (stop.clone(), Arc::new(Mutex::new(false)));
    let seen = Arc::clone(&is_over);
    let stopping = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        while !*seen.lock().expect("no panic") {
            of_thread.stop();
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    let sql = "SELECT count(*) FROM range(10_000_000) a, range(1_000_000) b WHERE a.range % 7 = b.range % 5";
    let goes_on = |_: SchemaRef| ControlFlow::Continue(());
    let error = workspace.sql_arrow(sql, &stop, goes_on, |_| ControlFlow::Continue(())).expect_err("stopped");
    *is_over.lock().expect("no panic") = true;
    stopping.join().expect("no panic");
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
    let again = workspace.sql_arrow("SELECT 1", &stop, goes_on, |_| ControlFlow::Continue(()));
    assert_eq!(again.expect_err("the value stays stopped").kind(), ErrorKind::Cancelled);
    workspace.drop_tables(&[]).expect("nothing has the database open");
}

/// Returns the rows of batches as the lines of a stream.
fn as_lines(batches: &[RecordBatch]) -> Vec<Value> {
    let cell = |batch: &RecordBatch, column: usize, row: usize| {
        let array = batch.column(column);
        match batch.schema().field(column).name().as_str() {
            _ if array.is_null(row) => Value::Null,
            "properties" => serde_json::from_str(array.as_string::<i32>().value(row)).expect("JSON"),
            "last_seen" | "event_time" => {
                let micros = array.as_primitive::<TimestampMicrosecondType>().value(row);
                let time = Timestamp::from_microsecond(micros).expect("a time");
                json!(time.to_string().trim_end_matches('Z'))
            }
            _ => json!(array.as_string::<i32>().value(row)),
        }
    };
    let row = |batch: &RecordBatch, row: usize| {
        let names: Vec<_> = batch.schema().fields().iter().map(|field| field.name().clone()).collect();
        Value::Object(names.into_iter().enumerate().map(|(column, name)| (name, cell(batch, column, row))).collect())
    };
    batches.iter().flat_map(|batch| (0..batch.num_rows()).map(|index| row(batch, index)).collect::<Vec<_>>()).collect()
}

type Collected<T> = Arc<Mutex<Vec<T>>>;

fn collecting<T: Send + 'static>() -> (Collected<T>, impl FnMut(T) -> ControlFlow<()> + Send) {
    let collected = Collected::<T>::default();
    let sink = Arc::clone(&collected);
    (collected, move |item| {
        sink.lock().expect("no panic before").push(item);
        ControlFlow::Continue(())
    })
}

fn parsed(line: &str) -> Value {
    serde_json::from_str(line).expect("a line of JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_of_profiles_hold_what_the_lines_do() {
    let mut config = SimulatorConfig::unlimited().with_profiles(3_300);
    config.jitter = Duration::from_millis(30);
    let bench = Bench::start(config).await;
    let workspace = bench.workspace();
    let (lines, mut line) = collecting();
    let fetch = || ProfileFetch::new("x").parallel();
    workspace.stream_profiles(fetch(), RecordForm::Row, move |text| line(parsed(text))).await.expect("lines");
    let (batches, batch) = collecting();
    let result = workspace.stream_profiles_arrow(fetch(), batch).await.expect("batches");
    let batches = batches.lock().expect("no panic");
    assert_eq!((result.rows, batches[0].schema()), (3_300, Workspace::profile_schema()));
    assert!(as_lines(&batches) == *lines.lock().expect("no panic"), "the batches differ from the lines");
    assert!(bench.files().is_empty(), "nothing is left behind: {:?}", bench.files());
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_of_events_hold_what_the_lines_do() {
    let events = EventOptions { per_day: Some(400), ..EventOptions::clean() };
    let reference_time = Timestamp::now();
    let config = SimulatorConfig { events, reference_time, ..SimulatorConfig::unlimited() };
    let bench = Bench::start(config.with_profiles(200)).await;
    let workspace = bench.workspace();
    let fetch = || EventFetch::new("x").days(Day::Ago(3), Day::Ago(1)).parallel();
    let (lines, mut line) = collecting();
    workspace.stream_events(fetch(), RecordForm::Row, move |text| line(parsed(text))).await.expect("lines");
    let (batches, batch) = collecting();
    let result = workspace.stream_events_arrow(fetch(), batch).await.expect("batches");
    let batches = batches.lock().expect("no panic");
    assert_eq!(batches[0].schema(), Workspace::event_schema());
    let lines = lines.lock().expect("no panic");
    assert!(result.rows > 100 && result.rows == lines.len() as u64, "{} events", result.rows);
    assert!(as_lines(&batches) == *lines, "the batches differ from the lines");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_batches_ends_when_the_receiver_breaks() {
    let bench = Bench::start(SimulatorConfig::unlimited().with_profiles(5_000)).await;
    let rows = Arc::new(Mutex::new(0));
    let seen = Arc::clone(&rows);
    let sink = move |batch: RecordBatch| {
        *seen.lock().expect("no panic before") += batch.num_rows();
        ControlFlow::Break(())
    };
    let result = bench.workspace().stream_profiles_arrow(ProfileFetch::new("x"), sink).await.expect("a stream");
    assert!(result.ended_early);
    assert_eq!(*rows.lock().expect("no panic"), 1_000);
}
