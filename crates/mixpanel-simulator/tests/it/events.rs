//! The generated events.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mixpanel_simulator::{EventOptions, Events, OddEvent, OddVerdict, Revision, Server, SimulatorConfig};
use serde_json::{Value, json};

use crate::client::{Got, Sim, date, expected, parsed, shop, with};

#[tokio::test]
async fn events_are_those_of_the_profiles() {
    let sim = Sim::start(SimulatorConfig { page_size: 1_000, ..shop() }).await;
    let profiles = sim.get(&[]).await.results();
    let ids: BTreeSet<&str> = profiles.iter().filter_map(|profile| profile["$distinct_id"].as_str()).collect();
    let created = |id: &str| {
        let profile = profiles.iter().find(|profile| profile["$distinct_id"] == id).expect("a profile");
        profile["$properties"]["$created"].as_str().expect("a time").to_owned()
    };
    let lines = sim.days("2023-09-01", "2026-09-20").await.sorted_lines();
    let (mut signed_up, mut from_devices) = (BTreeSet::new(), 0);
    for line in lines.iter().map(|line| parsed(line)) {
        let properties = &line["properties"];
        let id = properties["distinct_id"].as_str().expect("an ID");
        if !ids.contains(id) {
            // Before the signup.
            assert_eq!(id, format!("$device:{}", properties["$device_id"].as_str().expect("a device")));
            from_devices += 1;
            continue;
        }
        let time = jiff::Timestamp::from_millisecond(properties["time"].as_i64().expect("a time")).expect("a time");
        assert!(*time.to_string() > created(id)[..19], "{line}");
        if line["event"] == "Sign Up" {
            signed_up.insert(id.to_owned());
            assert_eq!(time.to_string()[..10], created(id)[..10]);
        }
    }
    assert!(from_devices > 10);
    let anonymous = ids.iter().filter(|id| id.starts_with("$device:")).count();
    assert_eq!(signed_up.len() + anonymous, ids.len());
}

#[tokio::test]
async fn duplicates_are_identical_or_received_later() {
    let config = with(|events| (events.duplicates, events.conflicts) = (0.2, 0.2));
    let events = Events::new(&config);
    let lines: Vec<Value> = expected(&events, "2026-08-01", "2026-08-31", 0).iter().map(|line| parsed(line)).collect();
    let clean = Events::new(&with(|events| *events = EventOptions::clean()));
    assert!(lines.len() as u64 > clean.count(date("2026-08-01")) * 31 * 11 / 10);
    let key = |line: &Value| {
        let properties = &line["properties"];
        json!([line["event"], properties["distinct_id"], properties["time"], properties["$insert_id"]]).to_string()
    };
    let mut groups: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
    lines.iter().for_each(|line| groups.entry(key(line)).or_default().push(line));
    let (mut identical, mut later) = (0, 0);
    for same in groups.values() {
        match same[..] {
            [_] => {}
            [first, second] if first == second => identical += 1,
            [first, second] => {
                let received = |line: &Value| line["properties"]["$mp_api_timestamp_ms"].as_u64().expect("a time");
                assert_ne!(received(first), received(second));
                assert_ne!(first["properties"].get("attempt"), second["properties"].get("attempt"));
                later += 1;
            }
            _ => panic!("{same:?}"),
        }
    }
    assert!(identical > 20 && later > 20, "{identical} {later}");
}

#[tokio::test]
async fn a_day_changes_when_it_is_fetched_again() {
    let config = with(|events| {
        *events = EventOptions::clean();
        (events.late_rows, events.deleted_rows, events.rekeyed) = (0.1, 0.1, 0.1);
        events.revision = Revision::OnRefetch;
    });
    let events = Events::new(&config);
    let sim = Sim::start(config.clone()).await;
    let mut revisions = Vec::new();
    for revision in 0..5 {
        let lines = sim.days("2026-08-01", "2026-08-31").await.sorted_lines();
        assert_eq!(lines, expected(&events, "2026-08-01", "2026-08-31", revision), "{revision}");
        assert_eq!(sim.server.sent_revision(date("2026-08-31")), Some(revision));
        assert_eq!(sim.server.sent_revision(date("2026-09-01")), None);
        revisions.push(lines.into_iter().collect::<BTreeSet<_>>());
    }
    let (first, last) = (&revisions[0], &revisions[3]);
    assert_eq!(revisions[3], revisions[4], "nothing changes after revision 3");
    let ids = |rows: BTreeSet<&Vec<u8>>| -> BTreeSet<String> {
        rows.into_iter().map(|row| parsed(row)["properties"]["$insert_id"].to_string()).collect()
    };
    let (gone, new) = (ids(first.difference(last).collect()), ids(last.difference(first).collect()));
    assert!(gone.difference(&new).count() > 10, "deleted");
    assert!(new.difference(&gone).count() > 10, "late");
    assert!(gone.intersection(&new).count() > 10, "re-keyed");
    let is_rekeyed = |row: &&Vec<u8>| parsed(row)["properties"].get("$distinct_id_before_identity").is_some();
    assert!(last.difference(first).filter(is_rekeyed).count() > 10);

    // The same by hand.
    let fixed = SimulatorConfig { events: EventOptions { revision: Revision::Fixed(1), ..config.events }, ..shop() };
    let sim = Sim::start(fixed).await;
    let lines = async || sim.days("2026-08-01", "2026-08-31").await.sorted_lines().into_iter().collect::<BTreeSet<_>>();
    assert_eq!(lines().await, revisions[1]);
    assert_eq!(lines().await, revisions[1]);
    sim.server.revise();
    assert_eq!(lines().await, revisions[2]);
    assert_eq!(sim.http.post(sim.url("/_sim/revise")).send().await.expect("a reply").status(), 200);
    assert_eq!(lines().await, revisions[3]);
}

#[tokio::test]
async fn today_is_partial_and_late_sessions_arrive() {
    let on = |elapsed: u64| {
        with(|events| {
            *events =
                EventOptions { late: 0.3, elapsed: Duration::from_secs(elapsed * 3_600), ..EventOptions::clean() };
        })
    };
    let noon = Events::new(&on(0));
    assert_eq!(noon.today(), date("2026-09-20"));
    let next_day = Events::new(&on(24));
    assert_eq!(next_day.today(), date("2026-09-21"));
    let week_later = Events::new(&on(24 * 9));
    for (day, is_open) in [("2026-09-20", true), ("2026-09-18", true), ("2026-09-10", false)] {
        let rows = |events: &Events| events.lines(date(day), 0).into_iter().collect::<BTreeSet<_>>();
        let (before, after, settled) = (rows(&noon), rows(&next_day), rows(&week_later));
        assert!(before.is_subset(&after) && after.is_subset(&settled), "{day}");
        assert_eq!(before.len() < after.len(), is_open, "{day}");
    }
    let sim = Sim::start(on(24)).await;
    assert!(!sim.days("2026-09-21", "2026-09-21").await.sorted_lines().is_empty());
    assert_eq!(sim.days("2026-09-22", "2026-09-22").await.status, 400);
}

#[tokio::test]
async fn another_zone_has_local_days_and_times() {
    let zone = jiff::tz::TimeZone::get("America/Sao_Paulo").expect("a zone");
    let reference_time = "2026-09-20T02:00:00Z".parse().expect("a time");
    let config = SimulatorConfig { reference_time, ..with(|events| events.timezone = zone.clone()) };
    let events = Events::new(&config);
    assert_eq!(events.today(), date("2026-09-19"));
    let sim = Sim::start(config).await;
    assert_eq!(sim.days("2026-09-20", "2026-09-20").await.status, 400);
    let mut rows = 0;
    for line in sim.days("2026-08-01", "2026-08-01").await.sorted_lines() {
        let properties = parsed(&line)["properties"].clone();
        let ms = |name: &str| properties[name].as_i64().expect("a time");
        // Local time, written as if it were UTC: 1 August to 2 August.
        assert!((1_785_542_400_000..1_785_628_800_000).contains(&ms("time")));
        if ms("$mp_api_timestamp_ms") - ms("time") < 4 * 3_600_000 {
            assert!(ms("$mp_api_timestamp_ms") - ms("time") > 3 * 3_600_000, "three hours behind UTC");
            rows += 1;
        }
    }
    assert!(rows > 20);
}

#[tokio::test]
async fn every_day_has_the_odd_lines() {
    let config = with(|events| events.odd = OddEvent::ALL.to_vec());
    let got = Sim::start(config.clone()).await.days("2026-08-01", "2026-08-01").await;
    let lines: Vec<&[u8]> = got.body.split(|byte| *byte == b'\n').collect();
    assert_eq!(lines.len() as u64, Events::new(&config).count(date("2026-08-01")) + 1, "and the end");
    let odd = &lines[lines.len() - OddEvent::ALL.len() - 1..lines.len() - 1];
    for (kind, line) in OddEvent::ALL.into_iter().zip(odd) {
        let value: Option<Value> = serde_json::from_slice(line).ok();
        let is_row = value.is_some_and(|value| {
            let time = &value["properties"]["time"];
            let is_usable = time.is_i64() || time.is_f64();
            value["event"].is_string() && is_usable
        });
        match kind.verdict() {
            OddVerdict::Row => assert!(is_row, "{kind:?}: {}", String::from_utf8_lossy(line)),
            OddVerdict::Reject => assert!(!is_row, "{kind:?}: {}", String::from_utf8_lossy(line)),
            OddVerdict::Blank => assert!(line.is_empty()),
            OddVerdict::Unclear => {}
        }
    }
    let megabyte = odd.iter().filter(|line| line.len() > 1 << 20).count();
    assert_eq!(megabyte, 1);
    assert_eq!(OddEvent::all_of(OddVerdict::Blank), [OddEvent::BlankLine]);
}

#[tokio::test]
async fn counts_agree_with_the_events() {
    let config = with(|events| (events.duplicates, events.conflicts) = (0.2, 0.1));
    let events = Events::new(&config);
    let sim = Sim::start(config).await;
    let params = [
        ("project_id", "12345"),
        ("event", "[\"Purchase\",\"View Item\",\"none\"]"),
        ("type", "general"),
        ("unit", "day"),
        ("from_date", "2026-09-08"),
        ("to_date", "2026-09-20"),
    ];
    let request = sim.http.get(sim.url("/api/query/events")).query(&params);
    let got = Got::from(request.basic_auth("simulator", Some("simulator-secret")).send().await.expect("a reply"));
    let got = got.await.json();
    assert_eq!(got["legend_size"], 3);
    assert_eq!(got["data"]["series"].as_array().map(Vec::len), Some(13));
    assert_eq!(got["data"]["values"]["none"], json!({}));
    for day in date("2026-09-08").series(jiff::Span::new().days(1)).take(13) {
        let lines = events.lines(day, 0);
        assert_eq!(events.count(day), lines.len() as u64, "{day}");
        let mut names: Vec<String> = lines.iter().map(|line| parsed(line).to_string()).collect();
        names.sort();
        names.dedup();
        for name in ["Purchase", "View Item"] {
            let count = got["data"]["values"][name][day.to_string()].as_u64().unwrap_or(0);
            assert_eq!(Some(count), events.counts(day).get(name).copied().or(Some(0)), "{day}");
            // Without exact and conflicting duplicates.
            let is_first =
                |line: &&String| line.contains(&format!("\"event\":\"{name}\"")) && !line.contains("\"attempt\":2");
            assert_eq!(count, names.iter().filter(is_first).count() as u64, "{day} {name}");
        }
    }
    for (name, value) in [("event", "Purchase"), ("type", "unique"), ("unit", "hour"), ("from_date", "x")] {
        let changed: Vec<_> = params.iter().map(|(key, old)| (*key, if *key == name { value } else { *old })).collect();
        let request = sim.http.get(sim.url("/api/2.0/events")).query(&changed);
        let got = request.basic_auth("simulator", Some("simulator-secret")).send().await.expect("a reply");
        assert_eq!(got.status(), 400, "{name}");
    }
}

#[tokio::test]
async fn counts_are_repeated_until_the_days_are_revised() {
    let sim = Sim::start(with(|events| events.late_rows = 0.3)).await;
    let counts = async || {
        let params = [
            ("project_id", "12345"),
            ("event", "[\"App Open\"]"),
            ("type", "general"),
            ("unit", "day"),
            ("from_date", "2026-09-08"),
            ("to_date", "2026-09-20"),
        ];
        let request = sim.http.get(sim.url("/api/query/events")).query(&params);
        let reply = request.basic_auth("simulator", Some("simulator-secret")).send().await.expect("a reply");
        let series = Got::from(reply).await.json()["data"]["values"]["App Open"].clone();
        // The first of these days is settled, the last one is open.
        ["2026-09-08", "2026-09-20"].map(|day| series[day].as_u64().expect("a count"))
    };
    let first = counts().await;
    assert_eq!(counts().await, first);
    sim.server.revise();
    let revised = counts().await;
    assert!(revised[0] > first[0] && revised[1] > first[1], "{revised:?}, after {first:?}");
    assert_eq!(counts().await, revised);
}

#[tokio::test]
async fn the_number_of_events_is_about_what_is_asked_for() {
    let count = |people: u64, per_day: Option<u64>| {
        let config = SimulatorConfig::unlimited().with_profiles(people);
        // A Wednesday.
        let events = EventOptions { per_day, ..EventOptions::clean() };
        Events::new(&config.with_events(events)).count(date("2026-09-16"))
    };
    for (people, per_day, expected) in [
        (10_000, None, 3_000),
        (10_000, Some(1_000), 1_000),
        (10_000, Some(100_000), 100_000),
        (500, Some(50_000), 50_000),
        (10_000, Some(0), 0),
        (0, Some(1_000), 0),
    ] {
        let count = count(people, per_day);
        assert!((expected * 7 / 10..=expected * 13 / 10).contains(&count), "{people} {per_day:?}: {count}");
    }
}

#[tokio::test]
async fn the_events_of_a_file_are_of_its_profiles() {
    let file =
        "{\"$distinct_id\":\"a\\\"b\",\"$properties\":{}}\n{\"$distinct_id\":\"$device:5f1c\",\"$properties\":{}}\n";
    let records = mixpanel_simulator::Records::read(file.as_bytes()).expect("records");
    let profiles = mixpanel_simulator::ProfileSource::Records(std::sync::Arc::new(records));
    let sim = Sim::start(SimulatorConfig { profiles, ..with(|events| events.per_day = Some(20)) }).await;
    let lines = sim.days("2023-09-01", "2026-09-20").await.sorted_lines();
    let user: BTreeSet<String> = lines
        .iter()
        .map(|line| parsed(line)["properties"]["distinct_id"].as_str().expect("an ID").to_owned())
        .filter(|id| !id.starts_with("$device:"))
        .collect();
    assert_eq!(user.into_iter().collect::<Vec<_>>(), ["a\"b"]);
    assert!(lines.iter().any(|line| parsed(line)["properties"]["$device_id"] == "5f1c"));
}

#[tokio::test]
async fn the_first_day_and_today_follow_the_reference_time() {
    let server = Server::start(SimulatorConfig::default(), ([127, 0, 0, 1], 0).into()).await.expect("a server");
    assert_eq!(server.events().today(), date("2026-09-20"));
    assert_eq!(server.events().first_day(), date("2023-09-19"));
}

/// Returns the share of users of the first set that are also in the second.
fn kept(of: &BTreeSet<String>, among: &BTreeSet<String>) -> f64 {
    of.intersection(among).count() as f64 / of.len() as f64
}

#[test]
fn events_look_like_those_of_a_shop() {
    let config = SimulatorConfig::unlimited().with_profiles(20_000).with_events(EventOptions::clean());
    let events = Events::new(&config);
    // Sunday, 6 September 2026 is a quiet day.
    let weekday = events.count(date("2026-09-09"));
    assert!(events.count(date("2026-09-06")) * 3 < weekday * 2);
    assert!(events.count(date("2025-09-10")) < weekday, "the product grows");

    let week: BTreeMap<&str, u64> =
        date("2026-09-07").series(jiff::Span::new().days(1)).take(7).fold(BTreeMap::new(), |mut sum, day| {
            events.counts(day).into_iter().for_each(|(name, count)| *sum.entry(name).or_default() += count);
            sum
        });
    let funnel =
        ["View Item", "App Open", "Add to Cart", "Begin Checkout", "Purchase", "Sign Up"].map(|name| week[name]);
    assert!(funnel.is_sorted_by(|first, second| first > second), "{week:?}");
    assert!(funnel[4] * 4 > funnel[2], "at least a quarter of the carts are bought: {week:?}");

    // Who signed up in a week of June comes back less and less, but not never.
    let active = |from: &str, name: Option<&str>| -> BTreeSet<String> {
        let days = date(from).series(jiff::Span::new().days(1)).take(7);
        let lines = days.flat_map(|day| events.lines(day, 0)).map(|line| parsed(&line));
        let is_named = |line: &Value| name.is_none_or(|name| line["event"] == name);
        let id = |line: Value| line["properties"]["distinct_id"].as_str().expect("an ID").to_owned();
        lines.filter(is_named).map(id).collect()
    };
    let signed_up = active("2026-06-01", Some("Sign Up"));
    let weeks = ["2026-06-08", "2026-06-22", "2026-08-31"].map(|week| kept(&signed_up, &active(week, None)));
    assert!(weeks[0] > weeks[1] && weeks[1] > weeks[2] && weeks[2] > 0.05 && weeks[0] < 0.8, "{weeks:?}");
}

#[test]
fn sessions_are_in_order_and_do_not_overlap_days() {
    let events = Events::new(&with(|events| *events = EventOptions::clean()));
    let mut sessions: BTreeMap<String, Vec<(u64, String)>> = BTreeMap::new();
    for day in date("2026-08-01").series(jiff::Span::new().days(1)).take(31) {
        for line in events.lines(day, 0).iter().map(|line| parsed(line)) {
            let properties = &line["properties"];
            let session = format!("{day} {}", properties["session_id"]);
            let event = line["event"].as_str().expect("a name").to_owned();
            let time = properties["time"].as_u64().expect("a time");
            let midnight = jiff::Timestamp::from_millisecond(i64::try_from(time).expect("a time")).expect("a time");
            assert_eq!(midnight.to_string()[..10], day.to_string());
            sessions.entry(session).or_default().push((time, event));
        }
    }
    for (session, rows) in &sessions {
        assert!(rows.is_sorted(), "{session}: {rows:?}");
        assert_eq!(rows[0].1, "App Open", "{session}");
        assert!(rows.windows(2).all(|pair| pair[1].0 - pair[0].0 < 60_000), "{session}: {rows:?}");
        if rows.last().is_some_and(|row| row.1 == "Purchase") {
            for step in ["View Item", "Add to Cart", "Begin Checkout"] {
                assert!(rows.iter().any(|row| row.1 == step), "{session}: {rows:?}");
            }
        }
    }
    assert!(sessions.len() > 200);
}
