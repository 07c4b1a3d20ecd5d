use duckdb::Connection;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::*;
use crate::dataset::PROFILES;
use crate::parse::{RecordForm, parse_page};

/// The hash of one row, as DuckDB computes it.
fn duckdbs(connection: &Connection, id: &str, properties: &str, last_seen: Option<i64>) -> u64 {
    let sql = "SELECT hash(?::VARCHAR, ?::VARCHAR, make_timestamp(?::BIGINT))";
    connection.query_row(sql, duckdb::params![id, properties, last_seen], |row| row.get(0)).unwrap()
}

fn ours(id: &str, properties: &str, last_seen: Option<i64>) -> u64 {
    let seen = last_seen.map_or(NULL, |micros| mix(micros.cast_unsigned()));
    combine(combine(text(id), text(properties)), seen)
}

#[test]
fn the_hash_is_duckdbs() {
    let connection = Connection::open_in_memory().unwrap();
    let text = || "[^\0]{0,200}";
    let time = proptest::option::of(-30_000_000_000_000_000_i64..200_000_000_000_000_000);
    let same = |(id, properties, last_seen): (String, String, Option<i64>)| {
        prop_assert_eq!(ours(&id, &properties, last_seen), duckdbs(&connection, &id, &properties, last_seen));
        Ok(())
    };
    TestRunner::default().run(&(text(), text(), time), same).unwrap();
}

/// DuckDB has special cases for texts of up to 12 bytes and for lengths that are not multiples of eight.
#[test]
fn the_hash_is_duckdbs_at_every_length() {
    let connection = Connection::open_in_memory().unwrap();
    for length in 0..70 {
        let text: String = (0..length).map(|n| char::from(b'!' + n)).collect();
        let last_seen = (length % 3 > 0).then_some(i64::from(length));
        assert_eq!(ours(&text, "{}", last_seen), duckdbs(&connection, &text, "{}", last_seen), "{length}");
    }
}

#[test]
fn every_field_of_every_row_counts_and_the_order_does_not() {
    let body = |results: &str| format!(r#"{{"status":"ok","page":0,"results":[{results}]}}"#);
    let sum = |results: &str| {
        let page = parse_page(body(results).as_bytes(), RecordForm::Row).unwrap();
        RowSum::of_batch(&PROFILES, &page.rows.to_record_batch()).unwrap()
    };
    let row = |id: &str, n: u32, seen: &str| {
        format!(r#"{{"$distinct_id":"{id}","$properties":{{"n":{n},"$last_seen":"2024-01-01T00:00:{seen}"}}}}"#)
    };
    let [a, b] = [row("a", 1, "00"), row("b", 2, "01")];
    let both = sum(&format!("{a},{b}"));
    assert_eq!(both.rows, 2);
    assert_eq!(both, sum(&format!("{b},{a}")));
    assert_eq!(both.minus(sum(&b)), sum(&a));
    for other in [row("A", 1, "00"), row("a", 2, "00"), row("a", 1, "01")] {
        assert_ne!(both, sum(&format!("{other},{b}")), "{other}");
    }
    assert_ne!(both, sum(&format!("{a},{a}")));
    assert_eq!(RowSum::read(2, &both.to_text()), Some(both));
    assert_eq!(RowSum::read(2, "another:1"), None);
}
