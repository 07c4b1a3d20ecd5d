//! A project whose days change between two fetches: events arrive late, are deleted, and change their ids.

use std::sync::{Arc, Mutex, PoisonError};

use fastrand::Rng;
use jiff::civil::Date;
use serde_json::json;

use super::{Framing, Row, assert_rows, expected, gzip_members, serve, start_of, table, whole};

/// An event as the server has it. Duplicates are lines of their own.
#[derive(Clone)]
struct Event {
    day: Date,
    /// In milliseconds since the start of the day.
    time: i64,
    user: String,
    insert_id: Option<String>,
    received: i64,
    plan: &'static str,
    was: Option<String>,
}

const NAMES: [&str; 3] = ["App Open", "Purchase", "Bücher 🚀"];

impl Event {
    fn line(&self) -> String {
        let start = start_of(self.day);
        let name = NAMES[usize::try_from(self.time).expect("a positive time") % NAMES.len()];
        let mut properties = json!({ "time": start + self.time, "distinct_id": self.user });
        if let Some(id) = &self.insert_id {
            properties["$insert_id"] = json!(id);
        }
        properties["$mp_api_timestamp_ms"] = json!(self.received);
        properties["plan"] = json!(self.plan);
        if let Some(was) = &self.was {
            properties["$distinct_id_before_identity"] = json!(was);
        }
        json!({ "event": name, "properties": properties }).to_string()
    }
}

/// Adds events to each day: some have no insert id, some are there twice, some twice with other properties.
fn add(events: &mut Vec<Event>, days: &[Date], per_day: usize, random: &mut Rng) {
    for day in days {
        for _ in 0..per_day {
            let id = random.u64(..);
            let received = 1_767_225_600_000 + i64::try_from(events.len()).expect("a number");
            let event = Event {
                day: *day,
                time: random.i64(0..86_400_000),
                user: format!("d-{}", random.u8(0..12)),
                insert_id: (random.u8(0..10) > 0).then(|| format!("{id:x}")),
                received,
                plan: "free",
                was: None,
            };
            match random.u8(0..8) {
                0 => events.push(event.clone()),
                1 => events.push(Event { received: received + 1_000_000, plan: "pro", ..event.clone() }),
                _ => {}
            }
            events.push(event);
        }
    }
}

/// Returns the same project some time later. Users were merged, which also changed some insert ids.
fn later(mut events: Vec<Event>, days: &[Date], random: &mut Rng) -> Vec<Event> {
    events.retain(|_| random.u8(0..8) > 0);
    for event in &mut events {
        if event.user.len() == 3 {
            let merged = event.user.replace("d-", "u-");
            event.was = Some(std::mem::replace(&mut event.user, merged));
            if random.u8(0..3) == 0 {
                event.insert_id = event.insert_id.as_ref().map(|id| format!("r-{id}"));
            }
        }
    }
    add(&mut events, days, 4, random);
    events
}

fn rows<'a>(events: impl Iterator<Item = &'a Event>) -> Vec<Row> {
    expected(&events.map(Event::line).collect::<Vec<_>>())
}

/// Fetches ten days, then those that are open, and at last all of them, from a project that changes before each fetch.
fn follow(seed: u64, chunk_days: &str) {
    let mut random = Rng::with_seed(seed);
    let today = jiff::tz::TimeZone::UTC.to_datetime(jiff::Timestamp::now()).date();
    let ago = |days: i64| today.checked_sub(jiff::ToSpan::days(days)).expect("a day");
    let days: Vec<Date> = (0..10).rev().map(ago).collect();
    let mut first = Vec::new();
    add(&mut first, &days, 40, &mut random);
    let second = later(first.clone(), &days, &mut random);
    let third = later(second.clone(), &days, &mut random);

    let present = Arc::new(Mutex::new((first.clone(), random)));
    let shared = Arc::clone(&present);
    let server = serve(move |asked| {
        let mut present = shared.lock().unwrap_or_else(PoisonError::into_inner);
        let (events, random) = &mut *present;
        let mut lines: Vec<String> =
            events.iter().filter(|event| (asked.from..=asked.to).contains(&event.day)).map(Event::line).collect();
        random.shuffle(&mut lines);
        whole(&gzip_members(lines.join("\n").as_bytes(), 5_000), "gzip", Framing::Chunked(777))
    });
    let home = server.home("http");
    let fetch = |options: &[&str], events: &[Event]| {
        events.clone_into(&mut present.lock().unwrap_or_else(PoisonError::into_inner).0);
        let options = [&["fetch", "events", "--parallel", "--chunk-days", chunk_days], options].concat();
        home.run(&options).exits(0);
    };
    let from = days[0].to_string();
    fetch(&["--from", &from, "--refresh"], &first);
    assert_rows(&table(&home), &rows(first.iter()), &format!("seed {seed}: the first fetch"));
    // A day is settled five days after its end.
    let is_open = |event: &&Event| event.day >= ago(5);
    let both = || second.iter().filter(is_open).chain(first.iter().filter(|event| !is_open(event)));
    let mixed = rows(both());
    assert!(mixed != rows(second.iter()) && mixed.len() < both().count(), "no settled day changed, or no duplicates");
    for again in 0..2 {
        fetch(&["--refresh"], &second);
        assert_rows(&table(&home), &mixed, &format!("seed {seed}: refresh {again}"));
    }
    fetch(&["--since", &from], &third);
    assert_rows(&table(&home), &rows(third.iter()), &format!("seed {seed}: all days"));
    home.run(&["verify", "events"]).exits(0);
}

#[test]
fn a_refresh_gives_exactly_the_events_that_the_project_has_now() {
    std::thread::scope(|scope| {
        for (seed, chunk_days) in (0..).zip(["1", "4", "10"]) {
            scope.spawn(move || follow(seed, chunk_days));
        }
    });
}
