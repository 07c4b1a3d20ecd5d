//! A model of the load of events, which computes the table from the staged files alone, and the expected table.

use std::collections::BTreeMap;
use std::path::PathBuf;

use arrow::array::AsArray as _;
use arrow::datatypes::Date32Type;
use jiff::ToSpan as _;
use jiff::civil::{Date, date};
use mixpanel_simulator::Events;

use crate::error::Result;
use crate::load::{DayChange, EventLoad, LoadKind, LoadReport, LoadRequest, RunQuery, TableChange};
use crate::stage::part_batches;

/// The lines of each day, sorted.
pub(super) type Days = BTreeMap<Date, Vec<String>>;

/// The parts of the database that a load uses.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) days: Option<Days>,
    /// The table before the first load of each run.
    before: BTreeMap<String, Option<Days>>,
    /// Past loads by id; repeating one changes nothing.
    loads: BTreeMap<String, LoadReport>,
}

impl Table {
    pub(super) fn is_loaded(&self, load_id: &str) -> bool {
        self.loads.contains_key(load_id)
    }
}

/// Simulates a load. Duplicates are kept, so that a slice that is loaded twice is noticed.
pub(super) fn load(table: &mut Table, request: &LoadRequest) -> Result<(LoadReport, TableChange)> {
    let run = &request.package.run;
    let change = TableChange { days: Some(DayChange::default()), ..TableChange::default() };
    if let Some(report) = table.loads.get(&run.load_id) {
        return Ok((*report, change));
    }
    let RunQuery::Events(events) = &run.query else { panic!("a load of profiles") };
    let staged = read(&request.package.pages)?;
    let rows: usize = staged.values().map(Vec::len).sum();
    assert_eq!(rows as u64 + run.counts.rejected, run.counts.received, "what is staged is not what was received");
    let is_first = request.package.kind == LoadKind::First;
    assert_eq!(is_first, !table.before.contains_key(&run.run_id), "a run completes a load that it has not begun");
    let before = table.before.entry(run.run_id.clone()).or_insert_with(|| table.days.clone());
    let mut days = before.clone().unwrap_or_default();
    if let Some((from, to)) = events.replaced_days {
        days.retain(|day, _| !(from..=to).contains(day) || is_failed(events, *day));
    }
    for (day, lines) in staged {
        let of_day: &mut Vec<String> = days.entry(day).or_default();
        of_day.extend(lines);
        of_day.sort_unstable();
    }
    days.retain(|_, lines| !lines.is_empty());
    table.days = Some(days);
    let report = LoadReport { rows: rows as u64, duplicates: 0, shortfall: 0, altered: 0 };
    table.loads.insert(run.load_id.clone(), report);
    Ok((report, change))
}

fn is_failed(events: &EventLoad, day: Date) -> bool {
    events.failed_days.iter().any(|(from, to)| (*from..=*to).contains(&day))
}

/// Reads staged slices, whose rows hold the lines as they were received.
fn read(paths: &[PathBuf]) -> Result<Days> {
    let mut days = Days::new();
    for path in paths {
        for batch in part_batches(path)? {
            let batch = batch?;
            let lines = batch.column_by_name("properties").unwrap().as_string::<i32>();
            let numbers = batch.column_by_name("_day").unwrap().as_primitive::<Date32Type>();
            for row in 0..batch.num_rows() {
                let day = date(1970, 1, 1).saturating_add(i64::from(numbers.value(row)).days());
                days.entry(day).or_default().push(lines.value(row).to_owned());
            }
        }
    }
    Ok(days)
}

/// Returns the lines that the server has for a day, with these event names.
pub(super) fn lines(events: &Events, day: Date, revision: u32, names: &[String]) -> Vec<String> {
    let lines = events.lines(day, revision).into_iter().map(|line| String::from_utf8(line).unwrap());
    let is_wanted = |line: &String| {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        names.is_empty() || names.iter().any(|name| value["event"] == **name)
    };
    let mut lines: Vec<String> = lines.filter(is_wanted).collect();
    lines.sort_unstable();
    lines
}
