//! Statistics about which events happen, when, and to how many users.

use std::path::Path;

use super::{EVENT_COLUMNS, first, float, number, percent, rows, select, table, text};
use crate::error::{Error, Result};
use crate::limits::{ENGAGEMENT_BUCKETS, ENGAGEMENT_BUCKETS_MAX};
use crate::statistics::{
    CountType, DailyCount, DailyCountsResult, DayRange, EngagementBucket, EngagementDistributionResult,
    EventBreakdownResult, EventStats, TopEvent,
};

/// SQL for the number of users; an empty id is none.
const USERS: &str = "system.main.count(DISTINCT distinct_id) FILTER (distinct_id <> '')";

/// Counts the events of a table by name.
pub(crate) fn event_breakdown(path: &Path, name: &str) -> Result<EventBreakdownResult> {
    let table = table(path, name, &EVENT_COLUMNS)?;
    let quoted = table.quoted();
    let sql = format!(
        "SELECT event_name, system.main.count(*), {USERS}, system.main.min(event_time), system.main.max(event_time)
         FROM {quoted} GROUP BY event_name ORDER BY system.main.count(*) DESC, event_name"
    );
    let found = rows(path, &sql)?;
    let total_events = found.iter().map(|row| number(row.get(1))).sum();
    let events: Vec<EventStats> = found
        .iter()
        .map(|row| EventStats {
            event_name: text(row.first()).unwrap_or_default(),
            count: number(row.get(1)),
            unique_users: number(row.get(2)),
            first_seen: text(row.get(3)),
            last_seen: text(row.get(4)),
            pct_of_total: percent(number(row.get(1)), total_events),
        })
        .collect();
    let sql = format!("SELECT {USERS}, system.main.min(event_time), system.main.max(event_time) FROM {quoted}");
    let totals = first(rows(path, &sql)?);
    Ok(EventBreakdownResult {
        table: table.as_str().to_owned(),
        total_events,
        total_users: number(totals.first()),
        date_range: text(totals.get(1)).zip(text(totals.get(2))),
        events,
    })
}

/// Counts events by day and name.
pub(crate) fn daily_counts(path: &Path, name: &str, days: &DayRange, events: &[String]) -> Result<DailyCountsResult> {
    let selected = select(path, name, days, events)?;
    let sql = format!(
        "SELECT event_time::DATE AS day, event_name, system.main.count(*) FROM {} WHERE {} GROUP BY ALL ORDER BY ALL",
        selected.table.quoted(),
        selected.condition
    );
    let counts = rows(path, &sql)?.into_iter().map(|row| DailyCount {
        date: text(row.first()).unwrap_or_default(),
        event: text(row.get(1)).unwrap_or_default(),
        count: number(row.get(2)),
    });
    Ok(DailyCountsResult {
        from_date: selected.days.from,
        to_date: selected.days.to,
        events: (!events.is_empty()).then(|| events.to_vec()),
        counts: counts.collect(),
    })
}

/// Counts users by their number of events. `buckets` are the smallest numbers of the ranges; none are the default ones.
pub(crate) fn engagement_distribution(
    path: &Path,
    name: &str,
    days: &DayRange,
    events: &[String],
    buckets: &[u64],
) -> Result<EngagementDistributionResult> {
    let buckets = if buckets.is_empty() { &ENGAGEMENT_BUCKETS[..] } else { buckets };
    if buckets[0] == 0 || !buckets.is_sorted_by(|a, b| a < b) || buckets.len() > ENGAGEMENT_BUCKETS_MAX {
        return Err(Error::invalid(format!(
            "invalid buckets: use at most {ENGAGEMENT_BUCKETS_MAX} increasing numbers from 1 on"
        )));
    }
    let selected = select(path, name, days, events)?;
    let starts: Vec<String> = buckets.iter().map(u64::to_string).collect();
    let sql = format!(
        "SELECT system.main.len(system.main.list_filter([{}]::UBIGINT[], lambda start: start <= events)) AS bucket,
             system.main.count(*)
         FROM (SELECT system.main.count(*) AS events FROM {} WHERE {} AND distinct_id <> '' GROUP BY distinct_id)
         GROUP BY bucket",
        starts.join(", "),
        selected.table.quoted(),
        selected.condition
    );
    let found = rows(path, &sql)?;
    let users = |bucket: usize| {
        found.iter().filter(|row| number(row.first()) == bucket as u64 + 1).map(|row| number(row.get(1))).sum::<u64>()
    };
    let total_users = found.iter().map(|row| number(row.get(1))).sum();
    let described = |bucket: usize| {
        let bucket_label = match (buckets[bucket], buckets.get(bucket + 1)) {
            (from, None) => format!("{from}+"),
            (from, Some(next)) if next - 1 == from => from.to_string(),
            (from, Some(next)) => format!("{from}-{}", next - 1),
        };
        let user_count = users(bucket);
        let percentage = percent(user_count, total_users);
        EngagementBucket { bucket_min: buckets[bucket], bucket_label, user_count, percentage }
    };
    Ok(EngagementDistributionResult {
        from_date: selected.days.from,
        to_date: selected.days.to,
        events: (!events.is_empty()).then(|| events.to_vec()),
        total_users,
        buckets: (0..buckets.len()).map(described).collect(),
    })
}

/// Returns the most frequent events of the last day in the table, and how they changed since the day before.
pub(crate) fn top_events(path: &Path, name: &str, kind: CountType, limit: u32) -> Result<Vec<TopEvent>> {
    let table = table(path, name, &EVENT_COLUMNS)?;
    let quoted = table.quoted();
    let value = match kind {
        CountType::General => "system.main.count(*)".to_owned(),
        CountType::Unique => USERS.to_owned(),
        CountType::Average => format!("system.main.count(*) / {USERS}"),
    };
    let sql = format!(
        "WITH last AS (SELECT system.main.max(event_time)::DATE AS day FROM {quoted}),
         counts AS (SELECT event_name, event_time::DATE AS day, ({value})::DOUBLE AS value FROM {quoted}, last
                    WHERE event_time >= last.day - INTERVAL 1 DAY GROUP BY event_name, event_time::DATE)
         SELECT event_name, coalesce(system.main.max(value) FILTER (counts.day = last.day), 0) AS today,
                system.main.max(value) FILTER (counts.day < last.day) AS yesterday
         FROM counts, last GROUP BY event_name HAVING today > 0 ORDER BY today DESC, event_name LIMIT {limit}"
    );
    let described = |row: Vec<serde_json::Value>| {
        let (count, before) = (float(row.get(1)).unwrap_or_default(), float(row.get(2)).filter(|value| *value > 0.0));
        let percent_change = before.map(|before| ((count - before) / before * 10_000.0).round() / 10_000.0);
        TopEvent { event: text(row.first()).unwrap_or_default(), count, percent_change }
    };
    Ok(rows(path, &sql)?.into_iter().map(described).collect())
}
