//! Compares random sequences of loads with a model that shares no code with them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::{Date, date};
use proptest::prelude::*;

use super::testing::{Event, Fixture};
use crate::event_query::Dedupe;
use crate::load::duckdb::verify;
use crate::profile_query::IfExists;
use crate::project_time_zone::ProjectTimeZone;
use crate::slice::Slice;

/// A small generator of numbers.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn one_in(&mut self, number: u64) -> bool {
        self.below(number) == 0
    }
}

/// What a load should report.
#[derive(Debug, Default, PartialEq, Eq)]
struct Expected {
    rows: u64,
    duplicates: u64,
    conflicting: u64,
    updated: u64,
    unchanged: u64,
    replaced: u64,
}

/// The key by which a dedupe mode compares events.
fn key(event: &Event, dedupe: Dedupe) -> (String, String, String, i64) {
    let time = match dedupe {
        Dedupe::Day => i64::from(date(1970, 1, 1).until(event.day).unwrap().get_days()),
        Dedupe::Exact | Dedupe::None => event.time,
    };
    (event.name.clone(), event.distinct_id.clone(), event.insert_id.clone(), time)
}

/// Returns the staged events that stay, with their final insert ids.
fn deduplicated(staged: &[Event], dedupe: Dedupe, expected: &mut Expected) -> Vec<Event> {
    let mut groups: BTreeMap<_, Vec<&Event>> = BTreeMap::new();
    for event in staged {
        groups.entry(key(event, dedupe)).or_default().push(event);
    }
    let mut kept = Vec::new();
    for group in groups.into_values() {
        if group[0].is_generated() {
            for (number, event) in (1..).zip(group) {
                let suffix = if number == 1 { String::new() } else { format!("-{number}") };
                kept.push(Event { insert_id: format!("{}{suffix}", event.insert_id), ..event.clone() });
            }
        } else if dedupe == Dedupe::None {
            kept.extend(group.into_iter().cloned());
        } else {
            let best = (0..group.len()).max_by_key(|place| (group[*place].ingested, *place)).unwrap();
            let differs = |event: &&&Event| event.properties != group[best].properties;
            expected.conflicting += group.iter().filter(differs).count() as u64;
            expected.duplicates += group.len() as u64 - 1;
            kept.push(group[best].clone());
        }
    }
    kept
}

/// Appends staged events to a table.
fn append(table: &mut Vec<Event>, staged: &[Event], dedupe: Dedupe) -> Expected {
    let mut expected = Expected::default();
    let before = table.len();
    let mut added = Vec::new();
    let mut gone = BTreeSet::new();
    for event in deduplicated(staged, dedupe, &mut expected) {
        let same: Vec<usize> = (0..before).filter(|place| key(&table[*place], dedupe) == key(&event, dedupe)).collect();
        let equal =
            same.iter().any(|place| table[*place].properties == event.properties && table[*place].time == event.time);
        let is_later = |own: &Event| own.ingested.zip(event.ingested).is_some_and(|(own, fetched)| own > fetched);
        if dedupe != Dedupe::None && (equal || same.iter().any(|place| is_later(&table[*place]))) {
            expected.unchanged += 1;
            expected.duplicates += 1;
            expected.conflicting += u64::from(!equal);
        } else {
            gone.extend(same);
            added.push(event);
        }
    }
    expected.updated = gone.len() as u64;
    expected.rows = added.len() as u64;
    let mut place = 0;
    table.retain(|_| {
        place += 1;
        !gone.contains(&(place - 1))
    });
    table.extend(added);
    expected
}

const DAYS: u64 = 6;

fn event(random: &mut Random, zone: &ProjectTimeZone, from: Date, days: u64) -> Event {
    let day = from.checked_add(jiff::Span::new().days(i64::try_from(random.below(days)).unwrap())).unwrap();
    let hour = i64::try_from(random.below(3)).unwrap();
    let ingested = (!random.one_in(4)).then(|| 1_700_000_000_000 + i64::try_from(random.below(3)).unwrap());
    let value = random.below(3);
    let properties = match ingested {
        Some(ms) if random.one_in(2) => format!(r#"{{"$mp_api_timestamp_ms":{ms},"p":{value}}}"#),
        Some(ms) => format!(r#"{{"p":"{value}","mp_processing_time_ms":{ms}}}"#),
        None => format!(r#"{{"p":{value},"q":[{value}]}}"#),
    };
    let name = ["A", "b \"'", "É"][usize::try_from(random.below(3)).unwrap()].to_owned();
    let distinct_id = ["", "u1", "u2"][usize::try_from(random.below(3)).unwrap()].to_owned();
    let time = zone.day_start_utc(day).as_microsecond() + hour * 3_600_000_000 + 123_000;
    let insert_id = match random.below(4) {
        // Equal lines have equal ids.
        0 => format!("gen-{:032x}", fingerprint(&(&name, &distinct_id, time, &properties))),
        _ => format!("id-{}", random.below(3)),
    };
    Event { name, time, distinct_id, insert_id, properties, ingested, day }
}

fn fingerprint(line: &impl std::hash::Hash) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    line.hash(&mut hasher);
    std::hash::Hasher::finish(&hasher)
}

/// Stages a fetch of some days, as several slices. Returns its days and events, in the order of the stage.
fn stage(fixture: &mut Fixture, random: &mut Random, zone: &ProjectTimeZone) -> ((Date, Date), Vec<Event>) {
    let first = date(2026, 3, 27);
    let add = |day: Date, days: u64| day.checked_add(jiff::Span::new().days(i64::try_from(days).unwrap())).unwrap();
    let start = random.below(DAYS - 1);
    let from = add(first, start);
    let to = add(from, random.below(DAYS - start));
    let (mut all, mut day) = (Vec::new(), from);
    while day <= to {
        let last = add(day, random.below(3)).min(to);
        let days = u64::try_from(day.until(last).unwrap().get_days() + 1).unwrap();
        let count = if random.one_in(4) { 0 } else { random.below(30) };
        let mut events: Vec<Event> = (0..count).map(|_| event(random, zone, day, days)).collect();
        if random.one_in(3) {
            // Some servers send events of other days.
            events.extend((0..random.below(3)).map(|_| event(random, zone, first, DAYS)));
        }
        for _ in 0..random.below(4) {
            if let Some(again) = events.first().cloned() {
                events.push(again);
            }
        }
        fixture.slice_of(Slice { from: day, to: last, events: Vec::new() }, &events);
        all.extend(events);
        day = last.tomorrow().unwrap();
    }
    ((from, to), all)
}

type Stored = (String, i64, String, String, String);

fn stored(events: &[Event]) -> Vec<Stored> {
    let row = |event: &Event| {
        let Event { name, time, distinct_id, insert_id, properties, .. } = event.clone();
        (name, time, distinct_id, insert_id, properties)
    };
    let mut rows: Vec<Stored> = events.iter().map(row).collect();
    rows.sort();
    rows
}

fn run(seed: u64) {
    let mut random = Random(seed);
    let zone = ["UTC", "Europe/Lisbon", "America/Sao_Paulo"][usize::try_from(random.below(3)).unwrap()];
    let zone = ProjectTimeZone::parse(zone).unwrap();
    let dedupe = [Dedupe::Exact, Dedupe::Exact, Dedupe::Day, Dedupe::None][usize::try_from(random.below(4)).unwrap()];
    let mut fixture = Fixture::new();
    fixture.load.query.timezone = zone.clone();
    fixture.load.query.dedupe = dedupe;
    let mut table: Option<Vec<Event>> = None;
    let mut fetched: Option<(Date, Date)> = None;
    for number in 0..3 {
        let (days, staged) = stage(fixture.restage(), &mut random, &zone);
        (fixture.load.query.from, fixture.load.query.to) = days;
        let is_new = table.is_none();
        let if_exists = match random.below(4) {
            _ if is_new => IfExists::Fail,
            0 => IfExists::Replace,
            _ => IfExists::Append,
        };
        if if_exists == IfExists::Append && random.one_in(2) {
            fixture.load.replaced_days = Some(days);
        }
        let is_made = is_new || if_exists == IfExists::Replace;
        let mut model = if is_made { Vec::new() } else { table.unwrap() };
        let before = model.len();
        if fixture.load.replaced_days.is_some() {
            model.retain(|event| !(days.0..=days.1).contains(&event.day));
        }
        let replaced = (before - model.len()) as u64;
        let expected = Expected { replaced, ..append(&mut model, &staged, dedupe) };
        let (report, change) = fixture.load(&format!("r{number}"), if_exists).unwrap();
        let details = change.days.as_ref().unwrap();
        let found = Expected {
            rows: report.rows,
            duplicates: report.duplicates,
            conflicting: details.conflicting_duplicates,
            updated: change.updated.unwrap(),
            unchanged: change.unchanged.unwrap(),
            replaced: details.replaced_rows,
        };
        let context =
            format!("seed {seed}, load {number}, {dedupe:?}, {if_exists:?}, {:?}", fixture.load.replaced_days);
        assert_eq!(found, expected, "{context}");
        assert_eq!(report.rows + report.duplicates, staged.len() as u64, "{context}");
        assert_eq!(change.table_rows, model.len() as u64, "{context}");
        let rows = fixture.rows();
        let mut sorted = rows.clone();
        sorted.sort();
        assert_eq!(sorted, stored(&model), "{context}");
        if is_made {
            // Days are in order, and times within a day.
            assert!(rows.is_sorted_by_key(|row| row.1), "{context}");
        }
        let report = verify(&fixture.database, "events").unwrap();
        assert_eq!(report.problems, [""; 0], "{context}");
        check_properties(&fixture, &model, &context);
        fetched = Some(match fetched.filter(|_| !is_made) {
            Some((from, to)) => (from.min(days.0), to.max(days.1)),
            None => days,
        });
        let dates = fixture.texts("SELECT from_date || ' ' || to_date FROM _metadata");
        assert_eq!(dates, [fetched.map(|(from, to)| format!("{from} {to}")).unwrap()], "{context}");
        for line in fixture.texts("SELECT day || ' ' || rows FROM _days ORDER BY day") {
            let (day, rows) = line.split_once(' ').unwrap();
            let day: Date = day.parse().unwrap();
            let expected = model.iter().filter(|event| event.day == day).count();
            assert_eq!(rows, expected.to_string(), "{context}, {day}");
        }
        table = Some(model);
    }
}

/// Compares the counts in `_properties` with those of the model.
fn check_properties(fixture: &Fixture, model: &[Event], context: &str) {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for event in model {
        let properties: BTreeMap<String, serde_json::Value> = serde_json::from_str(&event.properties).unwrap();
        for name in properties.keys() {
            *counts.entry(format!("all {name}")).or_default() += 1;
            *counts.entry(format!("{} {name}", event.name)).or_default() += 1;
        }
    }
    let mut expected: Vec<String> = counts.into_iter().map(|(name, count)| format!("{name} {count}")).collect();
    expected.sort();
    let sql = "SELECT coalesce(event_name, 'all') || ' ' || name || ' ' || profiles FROM _properties
               WHERE profiles > 0 ORDER BY 1";
    let mut found = fixture.texts(sql);
    found.sort();
    assert_eq!(found, expected, "{context}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, max_shrink_iters: 0, ..ProptestConfig::default() })]

    #[test]
    fn loads_do_what_the_model_does(seed in any::<u64>()) {
        run(seed);
    }
}
