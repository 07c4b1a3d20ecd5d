//! What the records of earlier loads mean after a table was created anew.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::date;

use super::testing::{Event, Fixture};
use crate::dataset::EVENTS;
use crate::event_query::Dedupe;
use crate::load::duckdb::{preflight, verify};
use crate::load::package::LoadKind;
use crate::profile_query::IfExists;
use crate::store::catalog::drop_tables;
use crate::store::table_name::TableName;
use crate::store::{day_counts, record_day_counts};

fn table(name: &str) -> TableName {
    TableName::parse(name).unwrap()
}

fn record_count(fixture: &Fixture, name: &str) {
    let counts = [(date(2026, 1, 1), 98)];
    record_day_counts(&fixture.database, &table(name), &counts, Timestamp::UNIX_EPOCH).unwrap();
}

/// The count of a repair belongs to the rows that the repair fetched.
#[test]
fn a_new_table_has_no_counts_of_the_old_one() {
    for (if_exists, kept) in [(IfExists::Append, 1), (IfExists::Replace, 0)] {
        let mut fixture = Fixture::new();
        fixture.slice(1, 1, &[Event::new("A", 1, 1, "a")]).load("r0", IfExists::Fail).unwrap();
        record_count(&fixture, "EVENTS");
        record_count(&fixture, "other");
        fixture.restage().slice(1, 1, &[Event::new("A", 1, 1, "a")]).load("r1", if_exists).unwrap();
        let number = |name: &str| day_counts(&fixture.database, &table(name)).unwrap().len();
        assert_eq!((number("events"), number("other")), (kept, 1), "{if_exists:?}");
    }
}

/// Only a load that kept duplicates explains them, and only while its rows are in the table.
#[test]
fn duplicates_of_an_earlier_table_explain_none_of_the_next() {
    let (fail, append, replace) = (IfExists::Fail, IfExists::Append, IfExists::Replace);
    for (loads, is_explained) in [
        (&[(fail, Dedupe::None)][..], true),
        (&[(fail, Dedupe::Exact)], false),
        (&[(fail, Dedupe::Exact), (append, Dedupe::None)], true),
        (&[(fail, Dedupe::None), (append, Dedupe::Exact)], true),
        (&[(fail, Dedupe::None), (replace, Dedupe::Exact)], false),
        (&[(fail, Dedupe::Exact), (replace, Dedupe::None)], true),
        (&[(fail, Dedupe::None), (fail, Dedupe::Day)], false),
    ] {
        let mut fixture = Fixture::new();
        for (number, (if_exists, dedupe)) in loads.iter().enumerate() {
            if number > 0 && *if_exists == fail {
                drop_tables(&fixture.database, &["events".to_owned()]).unwrap();
            }
            fixture.load.query.dedupe = *dedupe;
            fixture.restage().slice(1, 1, &[Event::new("A", 1, 1, "a")]);
            fixture.load(&format!("r{number}"), *if_exists).unwrap();
        }
        fixture.execute("INSERT INTO events SELECT * FROM events LIMIT 1");
        let problems = verify(&fixture.database, "events").unwrap().problems.join("; ");
        assert_eq!(!problems.contains("a duplicate event"), is_explained, "{loads:?}: {problems}");
    }
}

/// Tables of the program are no change by others between the preflight and the load.
#[test]
fn own_tables_are_not_compared() {
    let mut fixture = Fixture::new();
    fixture.slice(1, 1, &[Event::new("A", 1, 1, "a")]).load("r0", IfExists::Fail).unwrap();
    let look = || {
        let none = Duration::ZERO;
        preflight(&fixture.database, &EVENTS, &table("events"), IfExists::Append, LoadKind::First, none).unwrap().seen
    };
    let before = look();
    record_count(&fixture, "events");
    fixture.execute("DROP TABLE IF EXISTS _rejects; DROP TABLE _properties");
    assert_eq!(look(), before);
    fixture.execute("CREATE TABLE mine (a INTEGER)");
    assert_ne!(look(), before);
}
