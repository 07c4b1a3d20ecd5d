use std::collections::BTreeMap;

use serde_json::Value;

use crate::load::duckdb::testing::Fixture;
use crate::profile_query::IfExists;
use crate::store::own_objects::typed_view;
use crate::store::table_name::TableName;

const CATALOG: &str = "SELECT name || ' ' || column_type || ' ' || profiles || ' ' || nulls || ' '
     || coalesce(min_value || '..' || max_value, '-') || ' ' || (column_name = name) FROM _properties
     WHERE table_name = 'profiles' AND profiles > 0 ORDER BY name";

/// Compares the recorded counts with those that a generic parser finds in the table.
fn check_counts(fixture: &Fixture) {
    let mut expected: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for properties in fixture.texts("SELECT properties::VARCHAR FROM profiles") {
        let members: serde_json::Map<String, Value> = serde_json::from_str(&properties).unwrap();
        for (name, value) in members {
            let (profiles, nulls) = expected.entry(name).or_default();
            (*profiles, *nulls) = (*profiles + 1, *nulls + u64::from(value.is_null()));
        }
    }
    let found = fixture.texts(
        "SELECT to_json([name, profiles::VARCHAR, nulls::VARCHAR])::VARCHAR FROM _properties
         WHERE table_name = 'profiles' AND profiles > 0",
    );
    let found: BTreeMap<String, (u64, u64)> = found
        .iter()
        .map(|row| {
            let [name, profiles, nulls] = serde_json::from_str::<[String; 3]>(row).unwrap();
            (name, (profiles.parse().unwrap(), nulls.parse().unwrap()))
        })
        .collect();
    assert_eq!(found, expected);
    let sums = "SELECT count(*)::VARCHAR FROM _properties WHERE profiles <> (
         SELECT sum(n) FROM (SELECT unnest(json_extract(types, '$.*')::BIGINT[]) AS n))";
    assert_eq!(fixture.texts(sums), ["0"], "the kinds add up");
}

#[test]
fn a_new_table_has_a_catalog_and_a_view() {
    let mut fixture = Fixture::new();
    fixture.page(&[
        (
            "a",
            r#"{"plan":"pro","n":1,"ltv":2.5,"ok":true,"day":"2024-01-02","at":"2024-01-02T03:04:05","tags":["x"]}"#,
            Some(1),
        ),
        ("b", r#"{"plan":null,"n":9007199254740993,"ltv":3,"ok":false,"o/~'\"":{"x":1}}"#, None),
        ("a", r#"{"plan":"old","gone":1}"#, None),
    ]);
    fixture.page(&[("c", r#"{"n":-5,"mixed":1,"":"empty","big":123456789012345678901234567890}"#, None)]);
    fixture.page(&[("d", r#"{"mixed":"x","big":1}"#, None)]);
    fixture.load("r1", IfExists::Fail).unwrap();
    check_counts(&fixture);
    assert_eq!(
        fixture.texts(CATALOG),
        [
            " VARCHAR 1 0 - false",
            "at TIMESTAMP 1 0 2024-01-02T03:04:05..2024-01-02T03:04:05 true",
            "big VARCHAR 2 0 - true",
            "day DATE 1 0 2024-01-02..2024-01-02 true",
            "ltv DOUBLE 2 0 2.5..3 true",
            "mixed VARCHAR 2 0 - true",
            "n BIGINT 3 0 -5..9007199254740993 true",
            "o/~'\" JSON 1 0 - true",
            "ok BOOLEAN 2 0 - true",
            "plan VARCHAR 2 1 - true",
            "tags JSON 1 0 - true",
        ]
    );
    let row = "SELECT to_json(profiles_typed)::VARCHAR FROM profiles_typed ORDER BY distinct_id";
    let rows: Vec<Value> = fixture.texts(row).iter().map(|row| serde_json::from_str(row).unwrap()).collect();
    assert_eq!(
        (&rows[0]["plan"], &rows[0]["n"], &rows[0]["ltv"], &rows[0]["ok"], &rows[0]["tags"][0]),
        (&"pro".into(), &1.into(), &2.5.into(), &true.into(), &"x".into())
    );
    assert_eq!((&rows[1]["plan"], &rows[1]["o/~'\""]["x"]), (&Value::Null, &1.into()));
    assert_eq!(rows[1]["n"], 9_007_199_254_740_993_i64);
    assert_eq!((&rows[2]["_"], &rows[2]["big"]), (&"empty".into(), &"123456789012345678901234567890".into()));
    let types = "SELECT typeof(\"day\") || typeof(\"at\") || typeof(last_seen) FROM profiles_typed LIMIT 1";
    assert_eq!(fixture.texts(types), ["DATETIMESTAMPTIMESTAMP"]);
    assert_eq!(fixture.texts("SELECT prop(properties, 'n') FROM profiles WHERE distinct_id = 'c'"), ["-5"]);
    assert_eq!(fixture.texts("SELECT raw FROM _rejects"), [""; 0]);
}

#[test]
fn counts_follow_every_kind_of_load() {
    let mut fixture = Fixture::new();
    fixture.page(&[("a", r#"{"n":1,"k":"x"}"#, Some(1)), ("b", r#"{"n":2}"#, Some(1)), ("c", "{}", None)]);
    fixture.load("r1", IfExists::Fail).unwrap();
    check_counts(&fixture);
    fixture.restage().page(&[("b", r#"{"n":3,"new":1}"#, Some(9)), ("d", r#"{"n":4,"k":null}"#, None)]);
    fixture.load("r2", IfExists::Append).unwrap();
    check_counts(&fixture);
    fixture.restage().page(&[
        ("a", r#"{"n":"text","k":"y","z":[1]}"#, Some(9)),
        ("b", r#"{"n":5}"#, Some(0)),
        ("e", r#"{"n":6,"n":"repeated"}"#, None),
    ]);
    fixture.load("r3", IfExists::Upsert).unwrap();
    check_counts(&fixture);
    // Replaced values still count for the type.
    fixture.restage().page(&[("a", r#"{"n":7}"#, Some(10))]);
    fixture.load("r4", IfExists::Upsert).unwrap();
    check_counts(&fixture);
    assert_eq!(fixture.texts("SELECT column_type FROM _properties WHERE name = 'n'"), ["VARCHAR"]);
    let kinds = "SELECT types::VARCHAR FROM _properties WHERE name = 'n'";
    assert_eq!(fixture.texts(kinds), [r#"{"integer":4,"string":0}"#]);
    // A new table forgets them, but keeps the columns.
    fixture.restage().page(&[("x", r#"{"n":8}"#, None)]);
    fixture.load("r5", IfExists::Replace).unwrap();
    check_counts(&fixture);
    assert_eq!(fixture.texts("SELECT column_type FROM _properties WHERE name = 'n'"), ["BIGINT"]);
    assert_eq!(fixture.texts("SELECT n || coalesce(k, '-') || coalesce(z::VARCHAR, '-') FROM profiles_typed"), ["8--"]);
}

#[test]
fn completing_a_run_counts_all_its_pages() {
    let mut fixture = Fixture::new();
    fixture.page(&[("a", r#"{"n":1}"#, None), ("b", r#"{"n":2,"k":1}"#, None)]);
    fixture.load_partial("r1", IfExists::Fail).unwrap();
    check_counts(&fixture);
    fixture.all_loaded();
    fixture.page(&[("c", r#"{"n":3.5}"#, None)]);
    fixture.load("r1", IfExists::Fail).unwrap();
    check_counts(&fixture);
    assert_eq!(fixture.texts("SELECT column_type FROM _properties WHERE name = 'n'"), ["DOUBLE"]);
    // Rows that others changed are counted as they are.
    fixture.execute("DELETE FROM profiles WHERE distinct_id = 'a'");
    fixture.restage().page(&[("d", r#"{"z":1}"#, None)]);
    fixture.load("r2", IfExists::Append).unwrap();
    check_counts(&fixture);
    fixture.execute("UPDATE profiles SET properties = '{\"u\":1}' WHERE distinct_id = 'd'");
    fixture.restage().page(&[("d", r#"{"z":1}"#, Some(5))]);
    fixture.load("r3", IfExists::Upsert).unwrap();
    check_counts(&fixture);
}

#[test]
fn a_database_of_an_earlier_version_or_of_the_python_package_gains_the_catalog() {
    for kind in ["JSON", "VARCHAR"] {
        let mut fixture = Fixture::new();
        fixture.execute(&format!(
            "CREATE TABLE profiles (distinct_id VARCHAR, properties {kind}, last_seen TIMESTAMP);
             INSERT INTO profiles VALUES ('a', ' {{\"n\":1}}', NULL), ('b', '{{\"n\":2.5,\"k\":null}}', NULL)"
        ));
        fixture.page(&[("c", r#"{"n":3}"#, None)]);
        fixture.load("r1", IfExists::Append).unwrap();
        check_counts(&fixture);
        assert_eq!(fixture.texts("SELECT n::VARCHAR FROM profiles_typed"), ["1.0", "2.5", "3.0"]);
        if kind == "VARCHAR" {
            fixture.execute("UPDATE profiles SET properties = 'no JSON' WHERE distinct_id = 'a'");
            assert_eq!(fixture.texts("SELECT n::VARCHAR FROM profiles_typed"), ["NULL", "2.5", "3.0"]);
        }
    }
}

#[test]
fn names_that_differ_in_case_get_numbers_that_stay() {
    let mut fixture = Fixture::new();
    fixture.page(&[("a", r#"{"Plan":1,"plan":2,"Distinct_ID":3,"last_seen":4,"plan__2":5,"x":6}"#, None)]);
    fixture.load("r1", IfExists::Fail).unwrap();
    let columns = "SELECT name || '=' || column_name FROM _properties ORDER BY rowid";
    let expected = [
        "Plan=Plan",
        "plan=plan__2",
        "Distinct_ID=Distinct_ID__2",
        "last_seen=last_seen__2",
        "plan__2=plan__2__2",
        "x=x",
    ];
    assert_eq!(fixture.texts(columns), expected);
    let values =
        "SELECT concat_ws(',', \"Plan\", plan__2, Distinct_ID__2, last_seen__2, plan__2__2) FROM profiles_typed";
    assert_eq!(fixture.texts(values), ["1,2,3,4,5"]);
    for if_exists in [IfExists::Replace, IfExists::Append] {
        fixture.restage().page(&[("b", r#"{"PLAN":7,"plan":2,"Plan":1}"#, None)]);
        fixture.load(&format!("{if_exists:?}"), if_exists).unwrap();
        assert_eq!(fixture.texts(columns), [&expected[..], &["PLAN=PLAN__3"]].concat());
    }
    check_counts(&fixture);
}

#[test]
fn objects_of_the_user_stay() {
    for sql in [
        "CREATE VIEW profiles_typed AS SELECT 1 AS mine; CREATE MACRO prop(a) AS a",
        "CREATE TABLE Profiles_Typed AS SELECT 1 AS mine; CREATE MACRO prop(a) AS a",
    ] {
        let mut fixture = Fixture::new();
        fixture.execute(sql);
        fixture.page(&[("a", r#"{"n":1}"#, None)]);
        for if_exists in [IfExists::Fail, IfExists::Append, IfExists::Replace] {
            fixture.load(&format!("{if_exists:?}"), if_exists).unwrap();
            assert_eq!(fixture.texts("SELECT mine::VARCHAR FROM profiles_typed"), ["1"]);
            assert_eq!(fixture.texts("SELECT prop('x')"), ["x"]);
            check_counts(&fixture);
        }
    }
}

#[test]
fn every_name_is_a_column() {
    let names =
        ["$email", "a.b", "a\"b", "a'b", "a\\b", "😀", "*", "#", "~", "/", "a/b~c", "--", "select", "é", " ", "\n"];
    let properties: serde_json::Map<String, Value> =
        names.iter().enumerate().map(|(value, name)| ((*name).to_owned(), value.into())).collect();
    let mut fixture = Fixture::new();
    fixture.page(&[("a", &Value::from(properties).to_string(), None)]);
    // A NUL cannot be part of an identifier.
    fixture.page(&[("b", r#"{"nul\u0000":1}"#, None)]);
    fixture.load("r1", IfExists::Fail).unwrap();
    check_counts(&fixture);
    for (value, name) in names.iter().enumerate() {
        let column = TableName::listed(*name).quoted();
        let view = typed_view(&TableName::listed("profiles")).quoted();
        let found = fixture.texts(&format!("SELECT {column}::VARCHAR FROM {view} WHERE distinct_id = 'a'"));
        assert_eq!(found, [value.to_string()], "{name:?}");
    }
    assert_eq!(fixture.texts("SELECT column_name FROM _properties WHERE contains(name, 'nul')"), ["NULL"]);
}

#[test]
fn every_property_has_a_column() {
    let mut fixture = Fixture::new();
    let members: Vec<String> = (0..2_500).map(|number| format!(r#""p{number}":{number}"#)).collect();
    fixture.page(&[("a", &format!("{{{}}}", members.join(",")), None)]);
    fixture.load("r1", IfExists::Fail).unwrap();
    let sum = "SELECT (p0 + p15 + p16 + p1499 + p1500 + p2499)::VARCHAR FROM profiles_typed";
    assert_eq!(fixture.texts(sum), ["5529"]);
    let whole = crate::load::duckdb::table_query(&fixture.database, "Profiles_Typed").unwrap();
    assert_eq!(fixture.texts(&format!("SELECT p2499::VARCHAR FROM ({whole})")), ["2499"]);
    let columns = "SELECT string_agg(name, ' ') FROM pragma_table_info('profiles_typed') WHERE cid IN (0, 1, 2, 2501)";
    assert_eq!(fixture.texts(columns), ["distinct_id last_seen p0 p2499"]);
}
