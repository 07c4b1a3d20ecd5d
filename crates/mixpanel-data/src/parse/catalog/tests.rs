use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::limits::PROPERTY_NAME_BYTES_MAX;
use crate::parse::{Collector, RecordForm, parse_page};

fn catalog(profiles: &[&str]) -> Catalog {
    let mut collector = Collector::new();
    profiles.iter().for_each(|profile| collector.profile(profile));
    collector.finish()
}

/// Returns the counts of each property by kind, in the order of the catalog.
fn counts(catalog: &Catalog) -> Vec<(&str, BTreeMap<&'static str, u64>)> {
    let of = |property: &Property| -> BTreeMap<&'static str, u64> {
        let all = Kind::ALL.into_iter().map(|kind| (kind.name(), property.count(kind)));
        all.filter(|(_, count)| *count > 0).collect()
    };
    catalog.properties.iter().map(|property| (property.name.as_str(), of(property))).collect()
}

#[test]
fn every_kind_of_value_is_counted() {
    for (kind, values) in [
        ("null", &["null"][..]),
        ("boolean", &["true", "false"]),
        ("integer", &["0", "-0", "5", "-17", "9007199254740992", "-9007199254740992"]),
        ("long_integer", &["9007199254740993", "-9007199254740993", "9223372036854775807", "-9223372036854775808"]),
        ("number", &["0.5", "-1.0", "1e5", "1E-7", "1.7976931348623157e308", "0.1234567890123456789"]),
        ("large_number", &["9223372036854775808", "-9223372036854775809", "1e400", "123456789012345678901234567890"]),
        ("date", &["\"2024-02-29\""]),
        ("timestamp", &["\"2024-02-29T00:00:00\"", "\"2024-02-29 00:00:00.5Z\""]),
        ("string", &["\"\"", "\"x\"", "\"5\"", "\"2024-02-30\"", "\"\\u0032024-02-29\"", "\"\\\"\""]),
        ("array", &["[]", "[1]", "[{}]"]),
        ("object", &["{}", "{\"a\":[null]}"]),
    ] {
        for value in values {
            let found = catalog(&[&format!("{{ \"k\" : {value} }}")]);
            assert_eq!(counts(&found), [("k", BTreeMap::from([(kind, 1)]))], "{value}");
        }
    }
}

#[test]
fn names_are_decoded_and_counted_once_per_profile() {
    let found = catalog(&[
        r#"{"$a":1,"b":"x","$a":"twice"}"#,
        r#"{"\u0024a":2}"#,
        r#"{"b":null,"\u0024a":3.5,"":true}"#,
        "{}",
        r#"{"\ud83d\ude00":1,"a\"\\":2}"#,
        r#"{"😀":1}"#,
    ]);
    assert_eq!(found.profiles, 6);
    let expected: [(&str, &[(&str, u64)]); 5] = [
        ("$a", &[("integer", 2), ("number", 1)]),
        ("b", &[("null", 1), ("string", 1)]),
        ("", &[("boolean", 1)]),
        ("😀", &[("integer", 2)]),
        ("a\"\\", &[("integer", 1)]),
    ];
    let expected: Vec<_> = expected.iter().map(|(name, of)| (*name, of.iter().copied().collect())).collect();
    assert_eq!(counts(&found), expected);
}

#[test]
fn bounds_cover_numbers_and_times() {
    for (values, expected) in [
        (&["5", "-3", "9223372036854775807"][..], Some(("-3", "9223372036854775807"))),
        (&["0.5", "2", "-1"], Some(("-1", "2"))),
        (&["0.5", "0.25"], Some(("0.25", "0.5"))),
        (&["1.5", "2"], Some(("1.5", "2"))),
        (&["\"2024-01-31\"", "\"0999-01-01\""], Some(("0999-01-01", "2024-01-31"))),
        (
            &["\"2024-01-01T00:00:00\"", "\"2024-01-01 00:00:00.5\"", "\"2023-01-01T10:00:00Z\""],
            Some(("2023-01-01T10:00:00Z", "2024-01-01 00:00:00.5")),
        ),
        (&["\"a\"", "\"b\""], None),
        (&["5", "\"b\""], None),
        (&["null"], None),
        (&["true"], None),
    ] {
        let profiles: Vec<String> = values.iter().map(|value| format!("{{\"k\":{value}}}")).collect();
        let found = catalog(&profiles.iter().map(String::as_str).collect::<Vec<_>>());
        let property = &found.properties[0];
        let column_type = property.column_type();
        let texts = property.bounds.to_texts(column_type);
        let texts = texts.as_ref().map(|(least, greatest)| (least.as_str(), greatest.as_str()));
        assert_eq!(texts, expected, "{values:?}");
        if let Some((least, greatest)) = expected {
            let read = Bounds::read(column_type, least, greatest);
            let again = read.to_texts(column_type).or_else(|| read.to_texts("BIGINT"));
            assert_eq!(again, Some((least.to_owned(), greatest.to_owned())), "{values:?}");
        }
    }
}

#[test]
fn too_many_or_too_long_names_are_only_counted() {
    let long = "x".repeat(PROPERTY_NAME_BYTES_MAX + 1);
    let mut collector = Collector::new();
    for name in 0..PROPERTY_NAMES_MAX + 3 {
        collector.profile(&format!("{{\"n{name}\":1,\"n0\":2,\"{long}\":3}}"));
    }
    let found = collector.finish();
    assert_eq!(found.properties.len(), PROPERTY_NAMES_MAX);
    assert_eq!(found.others, 3 + PROPERTY_NAMES_MAX as u64 + 3);
    assert_eq!(found.properties[0].profiles(), PROPERTY_NAMES_MAX as u64 + 3);
    let mut sum = found.clone();
    sum.add(&catalog(&[r#"{"one more":1,"n0":1}"#]));
    assert_eq!((sum.properties.len(), sum.others), (PROPERTY_NAMES_MAX, found.others + 1));
}

#[test]
fn a_page_collects_what_its_rows_hold() {
    let page = parse_page(
        br#"{"results":[
            {"$distinct_id":"a","$properties":{"$last_seen":"2024-01-01T00:00:00","plan":"pro"}},
            {"$properties":{"of a reject":1}},
            {"$distinct_id":"b","$properties":{"plan":null,"$last_seen":"never","n":1}},
            {"$distinct_id":"c"},
            {"$distinct_id":"d","$properties":{"$last_seen":"2024-01-01T00:00:00","$last_seen":"2024-01-01T00:00:00"}},
            {"$distinct_id":"e","$properties": { "n" : 2 , "plan" : "x" } }
        ]}"#,
        RecordForm::Row,
    )
    .unwrap();
    assert_eq!(page.rows.catalog().profiles, 5);
    let mut collector = Collector::new();
    page.rows.iter().for_each(|row| collector.profile(row.properties));
    assert_eq!(*page.rows.catalog(), collector.finish());
    let names: Vec<&str> = page.rows.catalog().properties.iter().map(|property| property.name.as_str()).collect();
    assert_eq!(names, ["plan", "$last_seen", "n"]);
}

#[test]
fn names_of_rejects_leave_room_for_those_of_rows() {
    let names: Vec<String> = (0..2 * PROPERTY_NAMES_MAX).map(|name| format!("\"n{name}\":1")).collect();
    let body = format!(
        r#"{{"results":[
            {{"$properties":{{{}}}}},
            {{"$distinct_id":"a","$properties":{{"plan":"x","$last_seen":"2024-01-01T00:00:00","n7":2,"other":3,"plan":4}}}},
            {{"$distinct_id":"b","$properties":{{"\u006eew":1,"other":null,"n9999":{{}}}}}}
        ]}}"#,
        names.join(",")
    );
    let rows = parse_page(body.as_bytes(), RecordForm::Row).unwrap().rows;
    assert_eq!((rows.len(), rows.rejects().len()), (2, 1));
    assert!(rows.iter().next().is_some_and(|row| row.last_seen.is_some() && !row.properties.contains("$last_seen")));
    let expected = [("plan", 1), ("n7", 1), ("other", 2), ("new", 1), ("n9999", 1)];
    let found: Vec<_> =
        rows.catalog().properties.iter().map(|property| (property.name.as_str(), property.profiles())).collect();
    assert_eq!((found.as_slice(), rows.catalog().others), (&expected[..], 0));
}

/// Returns a response with 1,000 profiles.
fn simulated_page() -> Vec<u8> {
    use base64::Engine as _;
    let config = mixpanel_simulator::SimulatorConfig::default().with_profiles(1_000);
    let pair = format!("{}:{}", config.username, config.secret);
    let request = mixpanel_simulator::Request {
        method: http::Method::POST,
        path: "/api/query/engage".to_owned(),
        query: format!("project_id={}", config.project_id),
        authorization: Some(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))),
        content_type: Some("application/x-www-form-urlencoded".to_owned()),
        body: "page=0".to_owned().into(),
        ..mixpanel_simulator::Request::default()
    };
    mixpanel_simulator::Simulator::new(config).handle(&request, std::time::Duration::ZERO).body.to_vec()
}

#[test]
fn a_simulated_page_has_a_small_catalog() {
    let page = parse_page(&simulated_page(), RecordForm::Row).unwrap();
    let found = page.rows.catalog();
    assert_eq!((found.profiles, found.properties.len() > 20), (1_000, true));
    assert!(found.to_text().len() < 100 * found.properties.len(), "{}", found.to_text());
}

#[test]
fn a_recorded_catalog_is_read_back_exactly() {
    let found = catalog(&[
        r#"{"a":0.1,"b":"2024-01-01","c":9223372036854775807,"d\n\"":[1],"e":1.7976931348623157e308}"#,
        r#"{"a":5e-324,"e":2.2250738585072014E-308}"#,
    ]);
    assert_eq!(Catalog::read(&found.to_text()), Some(found.clone()));
    assert_eq!(Catalog::read(&Catalog::default().to_text()), Some(Catalog::default()));
    let text = found.to_text();
    for damaged in ["", "null", "[]", &text[..text.len() - 1], &text.replacen("[1,", "[2,", 1)] {
        assert_eq!(Catalog::read(damaged), None, "{damaged}");
    }
}

const VALUES: [&str; 8] = ["null", "1", "2.5", "\"x\"", "\"2024-01-01\"", "[1]", "{}", "true"];

/// Profiles with some of a few names, in any order.
fn profiles() -> impl Strategy<Value = Vec<String>> {
    let member = (0..6_usize, 0..VALUES.len()).prop_map(|(name, value)| format!("\"k{name}\":{}", VALUES[value]));
    let profile = prop::collection::vec(member, 0..8).prop_map(|members| format!("{{{}}}", members.join(",")));
    prop::collection::vec(profile, 0..20)
}

fn of(profiles: &[String]) -> Catalog {
    catalog(&profiles.iter().map(String::as_str).collect::<Vec<_>>())
}

proptest! {
    #[test]
    fn counts_are_those_of_a_generic_parser(profiles in profiles()) {
        let mut expected: BTreeMap<String, u64> = BTreeMap::new();
        for profile in &profiles {
            let members: serde_json::Map<String, serde_json::Value> = serde_json::from_str(profile).unwrap();
            members.keys().for_each(|name| *expected.entry(name.clone()).or_default() += 1);
        }
        let found = of(&profiles);
        let found: BTreeMap<String, u64> =
            found.properties.iter().map(|property| (property.name.clone(), property.profiles())).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn bounds_are_the_smallest_and_largest_value(
        integers in prop::collection::vec(prop_oneof![any::<i64>(), -1000..1000_i64], 1..20),
        numbers in prop::collection::vec(any::<f64>().prop_filter("JSON", |number| number.is_finite()), 1..20),
        days in prop::collection::vec((2019..2022, 1..13, 1..29), 1..20),
    ) {
        let days: Vec<String> = days.iter().map(|(year, month, day)| format!("{year}-{month:02}-{day:02}")).collect();
        let length = integers.len().max(numbers.len()).max(days.len());
        let profiles: Vec<String> = (0..length)
            .map(|at| {
                let integer = integers.get(at).map(|integer| format!("\"i\":{integer}"));
                let number = numbers.get(at).map(|number| format!("\"f\":{number:?}"));
                let day = days.get(at).map(|day| format!("\"d\":\"{day}\""));
                let members: Vec<String> = [integer, number, day].into_iter().flatten().collect();
                format!("{{{}}}", members.join(","))
            })
            .collect();
        let found = of(&profiles);
        let bounds = |name: &str| {
            &found.properties.iter().find(|property| property.name == name).expect("it was seen").bounds
        };
        prop_assert_eq!(bounds("i").integers, integers.iter().min().copied().zip(integers.iter().max().copied()));
        let least = numbers.iter().copied().fold(f64::INFINITY, f64::min);
        let greatest = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        prop_assert_eq!(bounds("f").numbers, Some((least, greatest)));
        prop_assert_eq!(bounds("d").times.clone(), days.iter().min().cloned().zip(days.iter().max().cloned()));
    }

    #[test]
    fn catalogs_add_up_and_subtract(one in profiles(), other in profiles()) {
        let both: Vec<String> = one.iter().chain(&other).cloned().collect();
        let mut sum = of(&one);
        sum.add(&of(&other));
        prop_assert_eq!(&sum, &of(&both));
        let rest = sum.minus(&of(&other)).unwrap();
        let of_one = of(&one);
        let without_zeros = |catalog: &Catalog| -> Vec<(String, BTreeMap<&'static str, u64>)> {
            let counts = counts(catalog).into_iter().filter(|(_, counts)| !counts.is_empty());
            counts.map(|(name, counts)| (name.to_owned(), counts)).collect()
        };
        prop_assert_eq!(without_zeros(&rest), without_zeros(&of_one));
        prop_assert_eq!(rest.profiles, one.len() as u64);
    }

    #[test]
    fn more_cannot_be_removed_than_was_counted(one in profiles()) {
        let mut more = of(&one);
        more.add(&catalog(&["{\"k0\":1}"]));
        prop_assert_eq!(of(&one).minus(&more), None);
    }
}
