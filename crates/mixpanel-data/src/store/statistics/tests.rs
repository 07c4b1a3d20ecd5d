//! The statistics over small tables whose numbers can be counted by hand, and over random ones.

mod large_integers_tests;

use duckdb::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::statistics::CountType;

struct Fixture {
    _directory: TempDir,
    path: std::path::PathBuf,
}

/// A table `events` with three days, one event without a user, and odd properties; a view of it; a table of profiles.
fn fixture() -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("project.db");
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch(
            r#"CREATE TABLE events (event_name VARCHAR NOT NULL, event_time TIMESTAMP NOT NULL, distinct_id VARCHAR NOT NULL,
                   insert_id VARCHAR PRIMARY KEY, properties JSON);
               INSERT INTO events VALUES
                   ('View', '2026-03-01 00:00:00', 'a', '1', '{"n": 1, "page": "x", "odd/~key": true}'),
                   ('View', '2026-03-01 23:59:59.999', 'b', '2', '{"n": 2.5, "page": "x"}'),
                   ('View', '2026-03-02 00:00:00', 'a', '3', '{"n": "7", "page": null}'),
                   ('Buy', '2026-03-02 12:00:00', 'a', '4', '{"n": -4}'),
                   ('View', '2026-03-03 08:00:00', '', '5', '{"page": ["x"]}'),
                   ('View', '2026-03-03 09:00:00', 'c', '6', '{"n": 10, "page": "y"}'),
                   ('View', '2026-03-03 09:00:00', 'c', '7', '{"n": 10, "page": "y"}'),
                   ('O''Dd', '2026-03-03 09:00:00', 'c', '8', NULL);
               CREATE VIEW viewed AS SELECT * FROM events;
               CREATE TABLE empty AS FROM events LIMIT 0;
               CREATE TABLE profiles AS SELECT 'a' AS distinct_id, '{"k": 1}'::JSON AS properties"#,
        )
        .unwrap();
    Fixture { _directory: directory, path }
}

fn days(from: &str, to: &str) -> DayRange {
    DayRange { from: from.parse().ok(), to: to.parse().ok() }
}

fn as_json(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap()
}

#[test]
fn breakdown_counts_events_and_users() {
    let fixture = fixture();
    for table in ["events", "EVENTS", "viewed"] {
        let found = as_json(&event_breakdown(&fixture.path, table).unwrap());
        assert_eq!(found["total_events"], 8, "{table}");
        assert_eq!(found["total_users"], 3, "an empty id is no user");
        assert_eq!(found["date_range"], json!(["2026-03-01T00:00:00", "2026-03-03T09:00:00"]));
        assert_eq!(
            found["events"][0],
            json!({
                "event_name": "View", "count": 6, "unique_users": 3, "first_seen": "2026-03-01T00:00:00",
                "last_seen": "2026-03-03T09:00:00", "pct_of_total": 75.0
            })
        );
        let names: Vec<_> =
            found["events"].as_array().unwrap().iter().map(|event| event["event_name"].clone()).collect();
        assert_eq!(names, ["View", "Buy", "O'Dd"]);
    }
    let empty = event_breakdown(&fixture.path, "empty").unwrap();
    assert_eq!((empty.total_events, empty.date_range, empty.events.len()), (0, None, 0));
}

#[test]
fn days_are_inclusive_and_of_utc() {
    let fixture = fixture();
    let counts = |range: DayRange, events: &[&str]| {
        let events: Vec<String> = events.iter().map(|event| (*event).to_owned()).collect();
        let found = daily_counts(&fixture.path, "events", &range, &events).unwrap();
        let counts = found.counts.iter().map(|count| format!("{} {} {}", &count.date[8..], count.event, count.count));
        (found.from_date.unwrap(), found.to_date.unwrap(), counts.collect::<Vec<_>>())
    };
    let all = ["01 View 2", "02 Buy 1", "02 View 1", "03 O'Dd 1", "03 View 3"].map(str::to_owned).to_vec();
    assert_eq!(counts(DayRange::default(), &[]), ("2026-03-01".to_owned(), "2026-03-03".to_owned(), all));
    let one = vec!["01 View 2".to_owned()];
    assert_eq!(counts(days("2026-03-01", "2026-03-01"), &["View", "O'Dd"]).2, one);
    assert_eq!(counts(days("", "2026-03-01"), &[]), ("2026-03-01".to_owned(), "2026-03-01".to_owned(), one));
    assert_eq!(counts(days("2026-03-02", ""), &["O'Dd"]).2, ["03 O'Dd 1"]);
    let error = daily_counts(&fixture.path, "events", &days("2026-03-02", "2026-03-01"), &[]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let empty = daily_counts(&fixture.path, "empty", &DayRange::default(), &[]).unwrap();
    assert_eq!((empty.from_date, empty.counts.len()), (None, 0));
}

#[test]
fn engagement_counts_users_by_their_events() {
    let fixture = fixture();
    let found = |buckets: &[u64]| {
        let result = engagement_distribution(&fixture.path, "events", &DayRange::default(), &[], buckets)?;
        let buckets =
            result.buckets.iter().map(|own| format!("{} {} {}", own.bucket_label, own.user_count, own.percentage));
        Ok::<_, Error>((result.total_users, buckets.collect::<Vec<_>>()))
    };
    let by_default = ["1 1 33.33", "2-4 2 66.67", "5-9 0 0", "10-24 0 0", "25-49 0 0", "50-99 0 0", "100+ 0 0"];
    assert_eq!(found(&[]).unwrap(), (3, by_default.map(str::to_owned).to_vec()));
    assert_eq!(found(&[3]).unwrap(), (3, vec!["3+ 2 66.67".to_owned()]), "users below the first range are in none");
    for wrong in [&[0, 1][..], &[2, 1], &[1, 1]] {
        assert_eq!(found(wrong).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}

#[test]
fn properties_of_an_event() {
    let fixture = fixture();
    let all = DayRange::default();
    let names = ["n", "page", "odd/~key", "missing"].map(str::to_owned);
    let coverage = property_coverage(&fixture.path, "events", "View", &names, &all).unwrap();
    let found: Vec<_> = coverage.coverage.iter().map(|own| (own.defined_count, own.null_count)).collect();
    assert_eq!((coverage.total_events, found), (6, vec![(5, 1), (5, 1), (1, 5), (0, 6)]));
    let distribution = property_distribution(&fixture.path, "events", "View", "page", &all, 3).unwrap();
    let found: Vec<_> = distribution.values.iter().map(|own| (own.value.clone(), own.count, own.percentage)).collect();
    assert_eq!(distribution.total_count, 6);
    assert_eq!(found, [(json!("x"), 2, 33.33), (json!("y"), 2, 33.33), (json!(["x"]), 1, 16.67)]);
    let summary = numeric_summary(&fixture.path, "events", "View", "n", &all, &[0.0, 50.0, 99.5]).unwrap();
    assert_eq!((summary.count, summary.min, summary.max), (4, Some(1.0), Some(10.0)), "text is no number");
    assert_eq!((summary.sum, summary.avg), (Some(23.5), Some(5.875)));
    let names: Vec<_> = summary.percentiles.iter().map(|(name, value)| (name.as_str(), value.unwrap())).collect();
    assert_eq!(names[0], ("0", 1.0));
    assert_eq!(names[1], ("50", 6.25));
    let none = numeric_summary(&fixture.path, "events", "None", "n", &all, &[]).unwrap();
    assert_eq!((none.count, none.avg, none.percentiles.len()), (0, None, 6));
    assert!(numeric_summary(&fixture.path, "events", "View", "n", &all, &[101.0]).is_err());
}

#[test]
fn top_events_are_those_of_the_last_day() {
    let fixture = fixture();
    let found = |kind| {
        let events = top_events(&fixture.path, "events", kind, 10).unwrap();
        events.into_iter().map(|own| (own.event, own.count, own.percent_change)).collect::<Vec<_>>()
    };
    let (view, odd) = ("View".to_owned(), "O'Dd".to_owned());
    assert_eq!(found(CountType::General), [(view.clone(), 3.0, Some(2.0)), (odd.clone(), 1.0, None)]);
    assert_eq!(found(CountType::Unique), [(odd.clone(), 1.0, None), (view.clone(), 1.0, Some(0.0))]);
    assert_eq!(found(CountType::Average), [(view, 3.0, Some(2.0)), (odd, 1.0, None)]);
    assert!(top_events(&fixture.path, "empty", CountType::General, 10).unwrap().is_empty());
}

#[test]
fn keys_and_columns() {
    let fixture = fixture();
    assert_eq!(property_keys(&fixture.path, "events", None).unwrap(), ["n", "odd/~key", "page"]);
    assert_eq!(property_keys(&fixture.path, "events", Some("Buy")).unwrap(), ["n"]);
    assert_eq!(property_keys(&fixture.path, "profiles", None).unwrap(), ["k"]);
    let stats = column_stats(&fixture.path, "events", "EVENT_NAME", 1).unwrap();
    assert_eq!((stats.count, stats.null_count, stats.unique_count, stats.mean), (8, 0, 3, None));
    assert_eq!(as_json(&stats.top_values), json!([{ "value": "View", "count": 6 }]));
    let stats = column_stats(&fixture.path, "events", "(properties->>'n')::DOUBLE -- a comment", 10).unwrap();
    assert_eq!(
        (stats.count, stats.null_count, stats.min.as_deref(), stats.max.as_deref()),
        (6, 2, Some("-4.0"), Some("10.0"))
    );
    assert_eq!((stats.mean, stats.null_pct, stats.dtype.as_str()), (Some(4.416666666666667), 25.0, "DOUBLE"));
    let empty = column_stats(&fixture.path, "empty", "event_time", 10).unwrap();
    assert_eq!((empty.count, empty.null_pct, empty.top_values.len()), (0, 0.0, 0));
    assert_eq!(column_stats(&fixture.path, "events", "nope", 1).unwrap_err().kind(), ErrorKind::Query);
    let summary = summarize(&fixture.path, "events").unwrap();
    let names: Vec<_> = summary.columns.iter().map(|column| column.column_name.as_str()).collect();
    assert_eq!(names, ["event_name", "event_time", "distinct_id", "insert_id", "properties"]);
    assert_eq!((summary.row_count, summary.columns[0].count), (8, 8));
    assert_eq!(summary.columns[4].null_percentage, 12.5);
}

/// A table of events with these values in the property `x` and the column `the x`, and infinity in the column `f`.
fn numbers(values: &[&str]) -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("project.db");
    let connection = Connection::open(&path).unwrap();
    let row = |value: &&str| {
        format!(
            "('E', TIMESTAMP '2026-03-01', 'a', '{{\"x\": {value}}}'::JSON, '{value}'::DOUBLE, 'inf'::FLOAT, 1::BIGINT)"
        )
    };
    let values: Vec<String> = values.iter().map(row).collect();
    connection
        .execute_batch(&format!(
            "CREATE TABLE events AS FROM (VALUES {}) v(event_name, event_time, distinct_id, properties, \"the x\", f, n)",
            values.join(", ")
        ))
        .unwrap();
    Fixture { _directory: directory, path }
}

/// Sum, mean, and standard deviation of the population.
type Moments = (Option<f64>, Option<f64>, Option<f64>);

#[track_caller]
fn assert_near(found: Option<f64>, expected: Option<f64>, values: &[&str]) {
    match (found, expected) {
        (Some(found), Some(expected)) => {
            assert!((found - expected).abs() <= expected.abs() / 1e12, "{values:?}: {found} instead of {expected}");
        }
        (found, expected) => assert_eq!(found, expected, "{values:?}"),
    }
}

/// Checks all statistics of numbers.
fn check_numbers(values: &[&str], (min, max, median): (f64, f64, f64), (sum, avg, stddev): Moments) {
    let Fixture { _directory, path } = numbers(values);
    let found = numeric_summary(&path, "events", "E", "x", &DayRange::default(), &[50.0]).unwrap();
    assert_eq!((found.count, found.min, found.max), (values.len() as u64, Some(min), Some(max)), "{values:?}");
    assert_near(found.percentiles["50"], Some(median), values);
    assert_near(found.sum, sum, values);
    assert_near(found.avg, avg, values);
    assert_near(found.stddev, stddev, values);
    let column = column_stats(&path, "events", "the x", 10).unwrap();
    let summary = summarize(&path, "events").unwrap();
    let names: Vec<_> = summary.columns.iter().map(|column| column.column_name.as_str()).collect();
    assert_eq!(names, ["event_name", "event_time", "distinct_id", "properties", "the x", "f", "n"]);
    let described = &summary.columns[4];
    let count = values.len() as f64;
    let sample = stddev.map(|stddev| stddev * (count / (count - 1.0)).sqrt());
    for (mean, std, low, high) in [
        (column.mean, column.std, &column.min, &column.max),
        (described.avg, described.std, &described.min, &described.max),
    ] {
        assert_near(mean, avg, values);
        assert_near(std, sample, values);
        let parsed = |text: &Option<String>| text.as_ref().unwrap().parse::<f64>().unwrap();
        assert_eq!((parsed(low), parsed(high)), (min, max), "{values:?}");
    }
}

#[test]
fn numbers_of_any_size_are_summarized() {
    let max = f64::MAX.to_string();
    let spread = (2.0f64 / 3.0).sqrt() * 1e308;
    let half = f64::MAX / 2.0;
    let of = |sum, avg, stddev| (Some(sum), Some(avg), Some(stddev));
    check_numbers(&["1", "2", "6"], (1.0, 6.0, 2.0), of(9.0, 3.0, (14.0f64 / 3.0).sqrt()));
    check_numbers(&["1e-100", "3e-100"], (1e-100, 3e-100, 2e-100), of(4e-100, 2e-100, 1e-100));
    check_numbers(&["1e200", "3e200"], (1e200, 3e200, 2e200), of(4e200, 2e200, 1e200));
    check_numbers(&["1e308", "-1e308", "5"], (-1e308, 1e308, 5.0), of(5.0, 5.0 / 3.0, spread));
    check_numbers(&[&max, "0"], (0.0, f64::MAX, half), of(f64::MAX, half, half));
    check_numbers(&["1e308"; 3], (1e308, 1e308, 1e308), (None, Some(1e308), Some(0.0)));
}

#[test]
fn infinite_numbers_have_no_mean_and_no_deviation() {
    // JSON allows numbers that no DOUBLE can hold.
    let Fixture { _directory, path } = numbers(&["1e999", "1"]);
    let found = numeric_summary(&path, "events", "E", "x", &DayRange::default(), &[0.0]).unwrap();
    assert_eq!((found.count, found.min, found.max, found.stddev), (2, Some(1.0), None, None));
    assert_eq!((found.sum, found.avg, found.percentiles["0"]), (None, None, Some(1.0)));
    let summary = summarize(&path, "events").unwrap();
    for column in &summary.columns[4..6] {
        assert_eq!((column.max.as_deref(), column.avg, column.std), (Some("inf"), None, None));
        let stats = column_stats(&path, "events", &column.column_name, 10).unwrap();
        assert_eq!((stats.max.as_deref(), stats.mean, stats.std), (Some("inf"), None, None));
    }
    assert_eq!(summary.columns[6].avg, Some(1.0));
}

#[test]
fn ordinary_numbers_are_described_as_duckdb_does() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("project.db");
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE t AS SELECT if(i % 7 = 0, NULL, i * 0.37 - 20) ::DOUBLE AS x, (i / 3)::FLOAT AS y, NULL::DOUBLE AS z,
                 i AS n, i::DECIMAL(9, 2) AS d, i::VARCHAR AS s FROM range(300) r(i);
             CREATE TABLE empty AS FROM t LIMIT 0",
        )
        .unwrap();
    drop(connection);
    for table in ["t", "empty"] {
        let found = summarize(&path, table).unwrap();
        let sql = format!(
            "SELECT * REPLACE (coalesce(null_percentage, 0)::DOUBLE AS null_percentage) FROM (SUMMARIZE {table})"
        );
        let expected = crate::store::query::rows(&path, &sql).unwrap().rows;
        assert_eq!(found.columns.len(), expected.len());
        for (column, row) in found.columns.iter().zip(&expected) {
            let texts = [&column.min, &column.max, &column.q25, &column.q50, &column.q75].map(Clone::clone);
            assert_eq!(texts, [2, 3, 7, 8, 9].map(|field| text(row.get(field))), "{}", column.column_name);
            assert_eq!((column.avg, column.std), (float(row.get(5)), float(row.get(6))), "{}", column.column_name);
            assert_eq!((column.approx_unique, column.count), (number(row.get(4)), number(row.get(10))));
            assert_eq!(Some(column.null_percentage), float(row.get(11)), "{}", column.column_name);
        }
    }
}

#[test]
fn errors_name_what_is_missing() {
    let fixture = fixture();
    let error = event_breakdown(&fixture.path, "none").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TableNotFound);
    let error = event_breakdown(&fixture.path, "profiles").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Query);
    assert_eq!(error.to_string(), "`profiles` is not a table of events: it has no columns `event_name`, `event_time`");
    let error = daily_counts(&fixture.path, "profiles", &DayRange::default(), &[]).unwrap_err();
    assert!(error.to_string().contains("not a table of events"), "{error}");
}

#[test]
fn only_numbers_have_a_mean() {
    let Fixture { _directory, path } = fixture();
    for number in ["TINYINT", "USMALLINT", "INTEGER", "BIGINT", "UHUGEINT", "DECIMAL(9,2)", "FLOAT", "DOUBLE"] {
        let stats = column_stats(&path, "events", &format!("3::{number}"), 10).unwrap();
        assert_eq!((stats.dtype.as_str(), stats.mean), (number, Some(3.0)));
    }
    for other in [
        "'PRINT'::ENUM('PRINT')",
        "1::UNION(n INTEGER, d DOUBLE)",
        "[1]",
        "[1.5::DECIMAL(9,2)]",
        "[1.5, 2]::DOUBLE[2]",
        "{n: 1}",
        "MAP {1: 2.5}",
        "INTERVAL 1 DAY",
        "TIMESTAMP '2026-01-01 00:00:00'",
        "'1'",
    ] {
        let stats = column_stats(&path, "events", other, 10).unwrap_or_else(|error| panic!("{other}: {error}"));
        assert_eq!((stats.count, stats.mean, stats.std), (8, None, None), "{other}: {}", stats.dtype);
    }
}

/// Every statistic but DuckDB's `SUMMARIZE`, which calls functions by their short names, as text.
fn all_statistics(path: &Path) -> String {
    let range = DayRange::default();
    let names = ["n".to_owned(), "page".to_owned()];
    let columns = ["event_name", "1.5::DOUBLE", "3", "properties"];
    format!(
        "{:#?}",
        (
            event_breakdown(path, "events").unwrap(),
            daily_counts(path, "events", &range, &[]).unwrap(),
            engagement_distribution(path, "events", &range, &[], &[]).unwrap(),
            [CountType::General, CountType::Unique, CountType::Average]
                .map(|kind| top_events(path, "events", kind, 10).unwrap()),
            property_coverage(path, "events", "View", &names, &range).unwrap(),
            property_distribution(path, "events", "View", "page", &range, 10).unwrap(),
            numeric_summary(path, "events", "View", "n", &range, &[]).unwrap(),
            property_keys(path, "events", None).unwrap(),
            columns.map(|column| column_stats(path, "events", column, 10).unwrap()),
        )
    )
}

/// A user's macros with the names of functions change nothing.
#[test]
fn hostile_macros_are_not_called() {
    let Fixture { _directory, path } = fixture();
    let expected = all_statistics(&path);
    let connection = Connection::open(&path).unwrap();
    for function in [
        "abs",
        "any_value",
        "approx_count_distinct",
        "approx_quantile",
        "avg",
        "bool_and",
        "count",
        "isfinite",
        "json_extract",
        "json_extract_string",
        "json_keys",
        "json_type",
        "len",
        "list_filter",
        "max",
        "min",
        "nullif",
        "pow",
        "quantile_cont",
        "stddev_pop",
        "stddev_samp",
        "sum",
        "typeof",
        "unnest",
    ] {
        let sql = format!("CREATE MACRO \"{function}\"(a) AS 'wrong', (a, b) AS 'wrong'");
        connection.execute_batch(&sql).unwrap();
    }
    drop(connection);
    assert_eq!(all_statistics(&path), expected);
}
