//! `mp_identities` against sets that are joined one pair at a time.

use std::collections::{BTreeMap, BTreeSet};

use duckdb::{Connection, params};
use serde_json::{Map, Value, json};

use super::testing::{Draw, database, rows};

/// An event: its name, time in seconds, distinct_id and properties.
type Row = (&'static str, i64, String, Map<String, Value>);

fn random(seed: u64) -> Vec<Row> {
    let mut draw = Draw(seed);
    let number = draw.one_of(&[0, 1, 4, 12, 30]);
    let device = |draw: &mut Draw| draw.one_of(&["d1", "d2", "d3", "d4"]).to_owned();
    let user = |draw: &mut Draw| draw.one_of(&["u1", "u2", "u3", "u4", "u5", ""]).to_owned();
    let id = |draw: &mut Draw| match draw.below(3) {
        0 => format!("$device:{}", device(draw)),
        1 => device(draw),
        _ => user(draw),
    };
    let row = |number: i64| {
        let mut properties = Map::new();
        let name = draw.one_of(&["a", "a", "a", "$identify", "$merge", "$create_alias"]);
        let mut set = |draw: &mut Draw, key: &str, value: Value| {
            if draw.below(3) == 0 {
                properties.insert(key.to_owned(), value);
            }
        };
        let value = user(&mut draw);
        set(&mut draw, "$user_id", json!(value));
        let value = device(&mut draw);
        set(&mut draw, "$device_id", json!(value));
        let values = [json!("old1"), json!("old2"), json!(0), json!("0"), Value::Null];
        let value = values[usize::try_from(draw.below(5)).unwrap()].clone();
        set(&mut draw, "$distinct_id_before_identity", value);
        let (identified, anonymous, alias) = (user(&mut draw), device(&mut draw), id(&mut draw));
        set(&mut draw, "$identified_id", json!(identified));
        set(&mut draw, "$anon_id", json!(anonymous));
        set(&mut draw, "alias", json!(alias));
        let merged = [id(&mut draw), id(&mut draw), id(&mut draw)];
        set(&mut draw, "$distinct_ids", json!(merged));
        (name, number % 5, id(&mut draw), properties)
    };
    (0..number).map(row).collect()
}

fn fill(connection: &Connection, all: &[Row]) {
    connection.execute_batch("TRUNCATE events").unwrap();
    for (number, (name, seconds, id, properties)) in all.iter().enumerate() {
        let sql = "INSERT INTO events VALUES (?, make_timestamp(? * 1000000), ?, ?, ?)";
        let properties = Value::from(properties.clone()).to_string();
        connection.execute(sql, params![name, seconds, id, number.to_string(), properties]).unwrap();
    }
}

/// Returns what belongs together: the pairs that `docs/analysis.md#identities` lists.
fn pairs(all: &[Row]) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let mut owners: BTreeMap<String, BTreeSet<(i64, String)>> = BTreeMap::new();
    for (name, seconds, id, properties) in all {
        let text = |key: &str| properties.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (user, device) = (text("$user_id"), text("$device_id"));
        if !device.is_empty() {
            let owner = if user.is_empty() { id.clone() } else { user.clone() };
            if !owner.is_empty() && owner != device && owner != format!("$device:{device}") {
                owners.entry(device).or_default().insert((*seconds, owner));
            }
        }
        if let Some(device) = id.strip_prefix("$device:") {
            pairs.push((id.clone(), device.to_owned()));
        }
        pairs.push((id.clone(), user));
        let before = text("$distinct_id_before_identity");
        pairs.push((id.clone(), if before == "0" { String::new() } else { before }));
        match *name {
            "$identify" => pairs.push((text("$identified_id"), text("$anon_id"))),
            "$create_alias" => pairs.push((id.clone(), text("alias"))),
            "$merge" => {
                let ids: Vec<_> =
                    properties.get("$distinct_ids").and_then(Value::as_array).into_iter().flatten().collect();
                pairs.extend(
                    ids.iter().skip(1).map(|id| (ids[0].as_str().unwrap().to_owned(), id.as_str().unwrap().to_owned())),
                );
            }
            _ => {}
        }
    }
    for (device, owners) in owners {
        let (_, owner) = owners.first().unwrap();
        pairs.push((device.clone(), owner.clone()));
        pairs.push((format!("$device:{device}"), device));
    }
    pairs.retain(|(a, b)| !a.is_empty() && !b.is_empty());
    pairs
}

fn expected(all: &[Row]) -> Vec<String> {
    let mut groups: Vec<BTreeSet<String>> = Vec::new();
    let mut join = |a: String, b: String| {
        let (mut touched, others): (Vec<_>, Vec<_>) =
            std::mem::take(&mut groups).into_iter().partition(|group| group.contains(&a) || group.contains(&b));
        groups = others;
        let mut joined: BTreeSet<String> = touched.drain(..).flatten().collect();
        joined.extend([a, b]);
        groups.push(joined);
    };
    for (a, b) in pairs(all) {
        join(a, b);
    }
    for (_, _, id, _) in all.iter().filter(|(_, _, id, _)| !id.is_empty()) {
        join(id.clone(), id.clone());
    }
    let is_user = |id: &String| {
        all.iter().any(|(name, _, _, properties)| {
            let has = |key: &str| properties.get(key).and_then(Value::as_str) == Some(id.as_str());
            has("$user_id") || (*name == "$identify" && has("$identified_id"))
        })
    };
    let mut rows: Vec<String> = Vec::new();
    for group in groups {
        let person = group.iter().find(|id| is_user(id)).or(group.first()).unwrap().clone();
        rows.extend(group.iter().map(|id| format!("{id}|{person}")));
    }
    rows.sort();
    rows
}

#[test]
fn ids_of_one_person_are_found() {
    let connection = database(&[]);
    for seed in 0..100 {
        let all = random(seed);
        fill(&connection, &all);
        let mut found = rows(&connection, "FROM mp_identities()");
        found.sort();
        assert_eq!(found, expected(&all), "seed {seed}: {all:?}");
    }
}

/// A device that two people use belongs to the first of them.
#[test]
fn a_shared_device_does_not_merge_its_users() {
    let event = |seconds: i64, id: &str, user: &str| {
        let mut properties = Map::new();
        properties.insert("$device_id".to_owned(), json!("d"));
        if !user.is_empty() {
            properties.insert("$user_id".to_owned(), json!(user));
        }
        ("a", seconds, id.to_owned(), properties)
    };
    let all = [event(0, "$device:d", ""), event(5, "u1", "u1"), event(9, "u2", "u2")];
    let connection = database(&[]);
    fill(&connection, &all);
    let found = rows(&connection, "FROM mp_identities() ORDER BY distinct_id");
    assert_eq!(found, ["$device:d|u1", "d|u1", "u1|u1", "u2|u2"]);
}

/// Members of another type than Mixpanel's are neither ids nor an error.
#[test]
fn only_text_is_an_id() {
    let odd = [json!(["u2"]), json!({"id": "u2"}), json!(7), json!(true), Value::Null];
    let keys = ["$user_id", "$device_id", "$distinct_id_before_identity", "$identified_id", "$anon_id", "alias"];
    let connection = database(&[]);
    for name in ["a", "$identify", "$create_alias", "$merge"] {
        for (key, value) in keys.iter().flat_map(|key| odd.iter().map(move |value| (*key, value))) {
            let properties = json!({"$identified_id": "", "$anon_id": "u3", "$device_id": "u1", key: value});
            let properties = properties.as_object().unwrap().clone();
            fill(&connection, &[(name, 0, "u1".to_owned(), properties)]);
            let found = rows(&connection, "FROM mp_identities() WHERE distinct_id NOT LIKE '$device:%'");
            assert_eq!(found, ["u1|u1"], "{name} {key} {value}");
        }
    }
    for merged in
        [json!("u9"), json!("[\"u1\",\"u9\"]"), json!({"a": "u9"}), json!(9), json!([7, "u1", ["u9"], null, ""])]
    {
        let mut properties = Map::new();
        properties.insert("$distinct_ids".to_owned(), merged.clone());
        fill(&connection, &[("$merge", 0, "u1".to_owned(), properties)]);
        assert_eq!(rows(&connection, "FROM mp_identities()"), ["u1|u1"], "{merged}");
    }
}
