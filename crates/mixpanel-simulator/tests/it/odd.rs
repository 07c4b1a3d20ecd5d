//! Odd records, copies, and the contents of generated profiles.

use std::collections::{BTreeMap, BTreeSet};

use mixpanel_simulator::{CopyChange, OddProfile, ProfileCopy, SimulatorConfig};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::client::{Sim, small};

/// Returns the raw JSON text of every result.
async fn raw_rows(config: SimulatorConfig) -> Vec<String> {
    #[derive(serde::Deserialize)]
    struct Page {
        results: Vec<Box<RawValue>>,
    }
    let text = Sim::start(SimulatorConfig { page_size: 5_000, ..config }).await.get(&[]).await.text();
    let page: Page = serde_json::from_str(&text).expect("a page");
    page.results.iter().map(|row| row.get().to_owned()).collect()
}

#[tokio::test]
async fn odd_records_appear_at_their_positions_unchanged() {
    let rows = raw_rows(SimulatorConfig { odd_profiles: OddProfile::spread(3, 2), ..small().with_profiles(100) }).await;
    assert_eq!(rows.len(), 100);
    let odd: BTreeMap<String, &String> = OddProfile::spread(3, 2)
        .into_iter()
        .map(|(at, kind)| (format!("{kind:?}"), &rows[usize::try_from(at).expect("small")]))
        .collect();
    let pieces = [
        ("IdTwentyDigits", "\"$distinct_id\":98765432101"),
        ("IdNull", "\"$distinct_id\":null"),
        ("IdBool", "\"$distinct_id\":true"),
        ("PropertiesNull", "\"$properties\":null"),
        ("LastSeenOffset", "\"$last_seen\":\"2026-05-01T10:00:00+02:00\""),
        ("LastSeenEscapedKey", "\"\\u0024last_seen\""),
        ("NumberBeyondFloat", ":9007199254740993"),
        ("NumberBeyondSigned", ":9223372036854775808"),
        ("NumberThirtyDigits", ":123456789012345678901234567890"),
        ("NumberHuge", ":1e300"),
        ("NumberTrailingZero", ":0.10"),
        ("NumberExponent", ":1.50E+10"),
        ("UnicodeEscaped", "\\ud83d\\ude80"),
        ("UnicodeRaw", "\u{2028}"),
        ("DuplicateKeys", "\"color\":\"red\",\"size\":1,\"color\":\"blue\""),
        ("LoneSurrogate", "\\ud800"),
        ("EscapeSequences", "\\u001b[31m"),
    ];
    for (kind, piece) in pieces {
        assert!(odd[kind].contains(piece), "{kind}: {}", odd[kind]);
    }
    let value = |kind: &str| -> Value { serde_json::from_str(odd[kind]).expect("JSON") };
    assert!(value("IdNumber")["$distinct_id"].is_u64());
    assert!(value("IdMissing").get("$distinct_id").is_none());
    assert!(value("PropertiesMissing").get("$properties").is_none());
    assert!(value("PropertiesArray")["$properties"].is_array());
    assert!(value("NotAnObject").is_string());
    assert_eq!(value("TwoThousandKeys")["$properties"].as_object().map(serde_json::Map::len), Some(2_000));
    for kind in odd.keys().filter(|kind| *kind != "LoneSurrogate") {
        value(kind);
    }
    assert!(serde_json::from_str::<Value>(odd["LoneSurrogate"]).is_err());
}

#[tokio::test]
async fn odd_records_do_not_disturb_filters() {
    let config =
        SimulatorConfig { odd_profiles: OddProfile::spread(0, 1), page_size: 5_000, ..small().with_profiles(100) };
    let sim = Sim::start(config).await;
    let plain = sim.get(&[("where", "not properties[\"plan\"] == \"odd\"")]).await;
    assert!(plain.results().len() >= 65);
    let projected = sim.get(&[("output_properties", "[\"big\"]"), ("where", "defined(properties[\"big\"])")]).await;
    assert!(
        projected.text().contains("{\"big\":123456789012345678901234567890")
            || projected.text().contains("\"big\":123456789012345678901234567890")
    );
}

#[tokio::test]
async fn copies_appear_at_their_positions() {
    let copy = |from, to, change| ProfileCopy { from, to, change };
    let copies = vec![
        copy(2, 14, CopyChange::Identical),
        copy(3, 20, CopyChange::LaterLastSeen),
        copy(1, 99, CopyChange::Identical),
    ];
    let rows = raw_rows(SimulatorConfig { copies, ..small() }).await;
    assert_eq!(rows.len(), 25);
    assert_eq!(rows[14], rows[2]);
    let (original, copy): (Value, Value) =
        (serde_json::from_str(&rows[3]).expect("JSON"), serde_json::from_str(&rows[20]).expect("JSON"));
    assert_eq!(copy["$distinct_id"], original["$distinct_id"]);
    assert!(copy["$properties"]["$last_seen"].as_str() > original["$properties"]["$last_seen"].as_str());
    assert_eq!(rows.iter().collect::<BTreeSet<_>>().len(), 24);

    let rows = raw_rows(SimulatorConfig { copy_rate: 0.2, ..small().with_profiles(1_000) }).await;
    let id = |row: &String| serde_json::from_str::<Value>(row).expect("JSON")["$distinct_id"].to_string();
    let different = rows.iter().map(id).collect::<BTreeSet<_>>().len();
    assert!((700..=900).contains(&different), "{different}");
}

#[tokio::test]
async fn generated_profiles_look_realistic() {
    let sizes: Vec<usize> = raw_rows(small().with_profiles(5_000)).await.iter().map(String::len).collect();
    let mean = sizes.iter().sum::<usize>() / sizes.len();
    assert!((900..=1_150).contains(&mean), "{mean} bytes");

    let sim = Sim::start(SimulatorConfig { page_size: 5_000, ..small().with_profiles(5_000) }).await;
    let rows = sim.get(&[]).await.results();
    let mut revenue: BTreeMap<String, (f64, f64)> = BTreeMap::new();
    let (mut countries, mut ids) = (BTreeSet::new(), BTreeSet::new());
    for row in &rows {
        let properties = &row["$properties"];
        let names = properties.as_object().expect("an object").len();
        assert!((15..=25).contains(&names), "{names} properties");
        let entry = revenue.entry(properties["plan"].as_str().expect("a plan").to_owned()).or_default();
        entry.0 += properties["ltv"].as_f64().expect("a number");
        entry.1 += 1.0;
        assert!(properties["ltv"].is_f64() && properties["account_number"].as_u64() > Some(1 << 53));
        let (created, seen) = (properties["$created"].as_str(), properties["$last_seen"].as_str());
        assert!(created <= seen && seen.is_some_and(|seen| seen.len() == 19), "{created:?} {seen:?}");
        assert_eq!(created.map(|time| &time[..10]), properties["signup_date"].as_str());
        countries.insert(properties["$country_code"].to_string());
        ids.insert(row["$distinct_id"].to_string());
    }
    assert_eq!((countries.len(), ids.len()), (14, 5_000));
    let mean = |plan: &str| revenue[plan].0 / revenue[plan].1;
    assert!(
        mean("free") * 10.0 < mean("starter")
            && mean("starter") * 3.0 < mean("growth")
            && mean("growth") * 3.0 < mean("enterprise")
    );
}
