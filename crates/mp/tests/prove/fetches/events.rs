//! The project whose events are fetched, and what a table of its events must contain.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::LazyLock;
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use mixpanel_simulator::{EventOptions, Events, Revision, SimulatorConfig};
use serde_json::Value;

use crate::support::{Home, Simulator};

/// The project, whose today is that of `mp`. It is the same for all fetches of a process.
pub(super) static PROJECT: LazyLock<Project> = LazyLock::new(Project::new);

/// Number of days that are fetched: today, five that may still change, and three that are settled.
const DAYS: i64 = 9;

/// Number of days before today that may still change.
const OPEN_DAYS: i64 = 5;

/// A project of which some events have been added, deleted and given other ids since its old table was fetched.
pub(super) struct Project {
    config: SimulatorConfig,
    events: Events,
    pub(super) first: String,
    pub(super) last_settled: String,
    pub(super) first_open: String,
    pub(super) today: String,
}

impl Project {
    fn new() -> Self {
        let events = EventOptions {
            per_day: Some(100),
            duplicates: 0.05,
            late_rows: 0.2,
            deleted_rows: 0.1,
            rekeyed: 0.1,
            ..EventOptions::clean()
        };
        let config = SimulatorConfig {
            events,
            reference_time: Timestamp::now(),
            latency: Duration::from_millis(15),
            ..SimulatorConfig::unlimited()
        };
        let config = config.with_profiles(300);
        let events = Events::new(&config);
        let ago = |days: i64| events.today().saturating_sub(days.days()).to_string();
        Self {
            first: ago(DAYS - 1),
            last_settled: ago(OPEN_DAYS + 1),
            first_open: ago(OPEN_DAYS),
            today: ago(0),
            config,
            events,
        }
    }

    /// Starts a server with the events of this revision: 0 for the old ones, 1 for today's.
    pub(super) fn server(&self, revision: u32) -> Simulator {
        let mut config = self.config.clone();
        config.events.revision = Revision::Fixed(revision);
        Simulator::start(config)
    }

    /// Returns the digest of a table of all days: the settled ones and, in this revision, the open ones.
    pub(super) fn expected(&self, revision: u32) -> String {
        let rows = days(&self.first, &self.today).into_iter().flat_map(|day| {
            let revision = if day.to_string() < self.first_open { 1 } else { revision };
            // Lines that are sent twice are one row.
            self.events.lines(day, revision).into_iter().collect::<BTreeSet<_>>()
        });
        digest(rows.map(|line| of_line(&line)))
    }

    /// Returns the days that a refresh must not request.
    pub(super) fn settled(&self) -> Vec<String> {
        days(&self.first, &self.last_settled).iter().map(Date::to_string).collect()
    }
}

/// Returns the days from one to the other, inclusive.
fn days(from: &str, to: &str) -> Vec<Date> {
    let (from, to): (Date, Date) = (from.parse().expect("a date"), to.parse().expect("a date"));
    from.series(1.day()).take_while(|day| *day <= to).collect()
}

/// Returns the days of a slice, such as `2026-01-01..2026-01-07`.
pub(super) fn days_of_slice(slice: &str) -> Vec<String> {
    let (from, to) = slice.split_once("..").expect("two dates");
    days(from, to).iter().map(Date::to_string).collect()
}

/// Returns the days of the plan of a run, by part. A run of profiles has none.
pub(super) fn plan(manifest: &Value) -> Vec<Vec<String>> {
    let slices = manifest["slices"].as_array().map(Vec::as_slice).unwrap_or_default();
    let date = |slice: &Value, name: &str| slice[name].as_str().expect("a date").to_owned();
    let names = slices.iter().map(|slice| format!("{}..{}", date(slice, "from"), date(slice, "to")));
    names.map(|name| days_of_slice(&name)).collect()
}

/// A row of the table: its time in milliseconds, and everything else as text.
type Row = (i64, String);

fn of_line(line: &[u8]) -> Row {
    let line: Value = serde_json::from_slice(line).expect("JSON");
    let mut properties = line["properties"].as_object().expect("an object").clone();
    let lifted = ["time", "distinct_id", "$insert_id"].map(|name| properties[name].clone());
    // Unlike `remove`, this keeps the order.
    properties.retain(|name, _| !["time", "distinct_id", "$insert_id"].contains(&name.as_str()));
    let [time, id, insert_id] = lifted;
    row(&time, &line["event"], &id, &insert_id, &Value::Object(properties))
}

fn row(time: &Value, name: &Value, id: &Value, insert_id: &Value, properties: &Value) -> Row {
    (time.as_i64().expect("a time"), format!("{name} {id} {insert_id} {properties}"))
}

/// Returns the number of rows of each day, and an order-independent checksum of them.
fn digest(rows: impl Iterator<Item = Row>) -> String {
    let mut days = BTreeMap::<Date, (u64, u64)>::new();
    for row in rows {
        let time = Timestamp::from_millisecond(row.0).expect("a time");
        let (count, sum) = days.entry(TimeZone::UTC.to_datetime(time).date()).or_default();
        let mut hasher = DefaultHasher::new();
        row.hash(&mut hasher);
        (*count, *sum) = (*count + 1, sum.wrapping_add(hasher.finish()));
    }
    days.iter().map(|(day, (count, sum))| format!("{day}: {count} rows, sum {sum:016x}\n")).collect()
}

/// Returns the digest of the table `events`, read with `mp query sql`; `None` if there is no table.
pub(super) fn table(home: &Home) -> Option<String> {
    if !home.database().exists() {
        return None;
    }
    let query = "SELECT epoch_ms(event_time) AS event_ms, event_name, distinct_id, insert_id,
        properties::VARCHAR AS properties FROM events";
    let run = home.run(&["query", "sql", "-f", "jsonl", query]);
    if run.stderr.contains("does not exist") || run.stderr.contains("no table") {
        return None;
    }
    let run = run.exits(0);
    let parse = |line: &str| serde_json::from_str::<Value>(line).expect("JSON");
    Some(digest(run.stdout.lines().map(parse).map(|line| {
        let properties = parse(line["properties"].as_str().expect("text"));
        row(&line["event_ms"], &line["event_name"], &line["distinct_id"], &line["insert_id"], &properties)
    })))
}

/// Checks that each day of a table of all days is as in one of these tables.
pub(super) fn check_days(found: &str, old: &str, new: &str) {
    let is_in = |table: &str, day: &str| table.lines().any(|line| line == day);
    for day in found.lines() {
        assert!(is_in(old, day) || is_in(new, day), "a mixture of old and new rows: {day}\nold:\n{old}new:\n{new}");
    }
}
