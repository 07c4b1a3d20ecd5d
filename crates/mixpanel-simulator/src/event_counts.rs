//! The endpoint `events` of the Query API: how many events there are, by name and day.

use std::collections::BTreeMap;

use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::events::{Events, NAMES, date_of, day_of};
use crate::export::{event_list, requested_days};
use crate::message::Reply;
use crate::params::Params;

/// The counts of days that do not change any more, by day and revision.
#[derive(Debug, Default)]
pub(crate) struct KnownCounts(BTreeMap<(u64, u32), [u64; NAMES.len()]>);

/// After this many days, no event arrives late.
const SETTLED_DAYS: u64 = 6;

/// Responds to a request. `revision` returns the current revision of a day.
pub(crate) fn reply(params: &Params, events: &Events, known: &mut KnownCounts, revision: impl Fn(u64) -> u32) -> Reply {
    match count(params, events, known, revision) {
        Ok(body) => Reply::json(body.to_string()),
        Err(message) => Reply::error(StatusCode::BAD_REQUEST, &message),
    }
}

fn count(
    params: &Params,
    events: &Events,
    known: &mut KnownCounts,
    revision: impl Fn(u64) -> u32,
) -> Result<Value, String> {
    let (from, to) = requested_days(params)?;
    let required = |name: &str| params.get(name).ok_or_else(|| format!("{name} is a required parameter"));
    let names = event_list(required("event")?)?;
    // Unique users and averages are not simulated.
    for (name, only) in [("type", "general"), ("unit", "day")] {
        if required(name)? != only {
            return Err(format!("{name}: the simulator knows only {only}"));
        }
    }
    let today = day_of(events.today());
    let mut values: Map<String, Value> = names.iter().map(|name| (name.clone(), json!({}))).collect();
    let mut series = Vec::new();
    for day in day_of(from)..=day_of(to).min(today) {
        let day = day.cast_unsigned();
        let (date, revision) = (date_of(day), revision(day));
        series.push(date.to_string());
        let is_settled = day + SETTLED_DAYS < today.cast_unsigned();
        let counts = match known.0.get(&(day, revision)) {
            Some(counts) if is_settled => *counts,
            _ => events.counts_of(date, revision),
        };
        if is_settled {
            known.0.insert((day, revision), counts);
        }
        for (name, count) in NAMES.iter().zip(counts).filter(|(_, count)| *count > 0) {
            if let Some(Value::Object(days)) = values.get_mut(*name) {
                days.insert(date.to_string(), count.into());
            }
        }
    }
    Ok(json!({"data": {"series": series, "values": values}, "legend_size": names.len()}))
}
