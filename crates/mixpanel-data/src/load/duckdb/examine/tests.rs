use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::examine;
use crate::ErrorKind;
use crate::load::duckdb::testing::{Fixture, Row};
use crate::profile_query::IfExists;

/// Returns the profiles of a table whose properties depend on the row's number in different ways.
fn rows(count: usize) -> Vec<(String, String)> {
    let row = |number: usize| {
        let mut members = vec![format!("\"every\":{number}"), format!("\"$plan\":\"p{}\"", number % 3)];
        if number.is_multiple_of(2) {
            members.push(format!("\"half\":{}", if number.is_multiple_of(4) { "null" } else { "\"2024-01-01\"" }));
        }
        if number == 7 {
            members.push("\"rare\":{\"a\":1}".to_owned());
        }
        (format!("id{number}"), format!("{{{}}}", members.join(",")))
    };
    (0..count).map(row).collect()
}

fn staged(fixture: &mut Fixture, rows: &[(String, String)]) {
    for page in rows.chunks(1_000) {
        let page: Vec<Row<'_>> = page.iter().map(|(id, properties)| (id.as_str(), properties.as_str(), None)).collect();
        fixture.page(&page);
    }
}

#[test]
fn properties_are_counted_as_by_a_generic_parser() {
    let rows = rows(2_500);
    let (mut loaded, foreign) = (Fixture::new(), Fixture::new());
    staged(&mut loaded, &rows);
    loaded.load("r1", IfExists::Fail).unwrap();
    foreign.execute("CREATE TABLE profiles (distinct_id VARCHAR, properties JSON, last_seen TIMESTAMP)");
    let values: Vec<String> = rows.iter().map(|(id, properties)| format!("('{id}', '{properties}', NULL)")).collect();
    foreign.execute(&format!("INSERT INTO profiles VALUES {}", values.join(", ")));
    let mut expected: BTreeMap<String, (u64, u64, BTreeSet<String>)> = BTreeMap::new();
    for (_, properties) in &rows {
        for (name, value) in serde_json::from_str::<serde_json::Map<String, Value>>(properties).unwrap() {
            let (profiles, nulls, values) = expected.entry(name).or_default();
            *profiles += 1;
            *nulls += u64::from(value.is_null());
            values.extend((!value.is_null()).then(|| value.to_string()));
        }
    }
    for fixture in [&loaded, &foreign] {
        let found = examine(&fixture.database, "PROFILES").unwrap();
        assert_eq!(found.len(), expected.len());
        for property in &found {
            let (profiles, nulls, values) = &expected[&property.name];
            assert_eq!((property.profiles, property.nulls), (*profiles, *nulls), "{property:?}");
            let exact = values.len() as f64;
            let tolerance = if values.len() > 1_000 { exact * 0.06 } else { 0.0 };
            assert!((property.distinct as f64 - exact).abs() <= tolerance, "{property:?}");
            assert!(property.kinds.values().sum::<u64>() == *profiles);
        }
        let summary: Vec<_> = found
            .iter()
            .map(|property| (property.name.as_str(), property.column_type.as_str(), property.fill_percent))
            .collect();
        let expected =
            [("every", "BIGINT", 100.0), ("$plan", "VARCHAR", 100.0), ("half", "DATE", 25.0), ("rare", "JSON", 0.1)];
        assert_eq!(summary, expected);
        assert_eq!((found[0].min.as_deref(), found[0].max.as_deref()), (Some("0"), Some("2499")));
        let top: Vec<(&str, u64)> = found[1].top.iter().map(|top| (top.value.as_str(), top.count)).collect();
        assert_eq!(top, [("\"p0\"", 834), ("\"p1\"", 833), ("\"p2\"", 833)]);
        assert_eq!((found[0].top.len(), found[0].example.as_deref()), (0, Some("0")));
        assert_eq!(found[3].example.as_deref(), Some("{\"a\":1}"));
    }
    let columns = |fixture: &Fixture| -> Vec<Option<String>> {
        examine(&fixture.database, "profiles").unwrap().into_iter().map(|property| property.column).collect()
    };
    assert_eq!(columns(&loaded)[0].as_deref(), Some("every"));
    assert_eq!(columns(&foreign), [None, None, None, None]);
}

#[test]
fn views_and_odd_tables_are_examined_too() {
    let fixture = Fixture::new();
    fixture.execute(
        "CREATE TABLE t (properties VARCHAR);
         INSERT INTO t VALUES ('{\"a\":1}'), ('no JSON'), (NULL), ('[1]'), ('null'), (' {\"a\":null} ');
         CREATE VIEW v AS SELECT properties FROM t; CREATE TABLE none (a INTEGER); CREATE TABLE empty (properties JSON)",
    );
    for name in ["t", "v"] {
        let found = examine(&fixture.database, name).unwrap();
        let [a] = &found[..] else { panic!("{found:?}") };
        assert_eq!((a.profiles, a.nulls, a.fill_percent, a.distinct), (2, 1, 16.7, 1), "{name}");
    }
    assert_eq!(examine(&fixture.database, "empty").unwrap(), []);
    assert_eq!(examine(&fixture.database, "none").unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(examine(&fixture.database, "gone").unwrap_err().kind(), ErrorKind::TableNotFound);
}
