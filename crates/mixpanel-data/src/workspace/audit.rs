//! Compares the days of a table of events with Mixpanel's own counts, and fetches those that differ again.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use jiff::civil::Date;

use super::Workspace;
use super::event_fetch::EventFetch;
use crate::blocking::blocking;
use crate::clock::wall_clock;
use crate::error::{Error, Result};
use crate::event_query::encoded_bytes;
use crate::limits::EVENT_NAMES_BYTES_MAX;
use crate::load::{self, DayState, LastEventLoad, RecordedDay};
use crate::store::{self, DayCount, TableName};
use crate::types::{AuditedDay, EventAudit, EventFetchResult};

impl Workspace {
    /// Compares the settled days of a table of events with the numbers that Mixpanel counts now; costs one query.
    ///
    /// Mixpanel's counts leave out duplicates and hidden events, so they can differ from the table for good. A day that
    /// was fetched again because of a difference is therefore compared with the count at that time: it is listed again
    /// only if Mixpanel's count changes. Changes that do not change the number of events are not detected.
    ///
    /// # Errors
    /// `InvalidInput` for a table without a recorded load of events, of another project, whose last load has a `where`
    /// expression or a limit, without any of its rows, or with more event names than fit into a request
    /// ([`EVENT_NAMES_BYTES_MAX`](crate::limits::EVENT_NAMES_BYTES_MAX)); otherwise the same as
    /// [`ApiClient::event_names`](crate::ApiClient::event_names) and [`table_schema`](Self::table_schema).
    ///
    /// # Cancellation
    /// Dropping the future abandons the request.
    pub async fn audit_events(&self, table: &str) -> Result<EventAudit> {
        let name = TableName::parse(table)?;
        let workspace = self.clone();
        let (last, recorded, names) = blocking(move || {
            let database = &workspace.database;
            let last = load::last_event_load(database, &name)?.ok_or_else(|| no_load(&name))?;
            workspace.check_project(&name, &last)?;
            check_filters(&name, &last)?;
            let names = match last.query.events.is_empty() {
                true => names(database, &name)?,
                false => last.query.events.clone(),
            };
            check_names(&name, &names)?;
            Ok((last, store::day_counts(database, &name)?, names))
        })
        .await?;
        let (settled, open): (Vec<RecordedDay>, Vec<RecordedDay>) =
            last.days.iter().cloned().partition(|day| day.state == DayState::Settled);
        let mut settled: Vec<RecordedDay> =
            settled.into_iter().chain(last.missing_days().into_iter().map(missing)).collect();
        settled.sort_by_key(|day| day.day);
        let (counted_at, open_days) = (wall_clock(), open.len());
        let mut audit = EventAudit {
            table: table.to_owned(),
            days: u32::try_from(settled.len()).unwrap_or(u32::MAX),
            open_days: u32::try_from(open_days).unwrap_or(u32::MAX),
            differing_days: Vec::new(),
            counted_at: counted_at.to_string(),
            events: last.query.events.clone(),
            dedupe: last.query.dedupe,
        };
        let (Some(first), Some(end)) = (settled.first(), settled.last()) else { return Ok(audit) };
        if names.is_empty() {
            // Mixpanel counts events by name.
            return if settled.iter().all(|day| day.rows == 0) { Ok(audit) } else { Err(no_rows(table, first.day)) };
        }
        let counts = self.connected().await?.event_counts(&names, first.day, end.day).await?;
        audit.differing_days = settled.iter().filter_map(|day| difference(day, &counts, &recorded)).collect();
        Ok(audit)
    }

    /// Fetches the differing days of an audit again; each replaces the rows of that day. `fetch` sets how: its table,
    /// days and filters are ignored. Afterwards, Mixpanel's counts of the audit are recorded.
    ///
    /// # Errors
    /// Same as [`fetch_events`](Self::fetch_events). Ranges of days that were fetched before the error stay replaced.
    ///
    /// # Cancellation
    /// Same as [`fetch_events`](Self::fetch_events).
    pub async fn repair_events(
        &self,
        audit: &EventAudit,
        mut fetch: impl FnMut(EventFetch) -> EventFetch,
    ) -> Result<Vec<EventFetchResult>> {
        let name = TableName::parse(&audit.table)?;
        let counted_at: Timestamp = audit.counted_at.parse().unwrap_or_else(|_| wall_clock());
        let database = self.database.clone();
        let (path, table) = (database.clone(), name.clone());
        let last = blocking(move || load::last_event_load(&path, &table)?.ok_or_else(|| no_load(&table))).await?;
        let days: Vec<(Date, u64)> =
            audit.differing_days.iter().filter_map(|day| Some((day.day.parse().ok()?, day.counted))).collect();
        let mut results = Vec::new();
        for range in ranges(&days) {
            let (Some((from, _)), Some((to, _))) = (range.first(), range.last()) else { continue };
            let mut repair = fetch(EventFetch::new(name.as_str())).replacing_days(*from, *to);
            name.as_str().clone_into(&mut repair.table);
            repair.arguments.events.clone_from(&last.query.events);
            (repair.arguments.filter, repair.arguments.limit) = (None, None);
            repair.arguments.dedupe = last.query.dedupe;
            let result = self.fetch_events(repair).await?;
            if !result.has_failures() {
                let (path, table, counts) = (database.clone(), name.clone(), range.to_vec());
                blocking(move || {
                    let counted_at = fetched_at(&path, &table, &counts)?.map_or(counted_at, |at| at.min(counted_at));
                    store::record_day_counts(&path, &table, &counts, counted_at)
                })
                .await?;
            }
            results.push(result);
        }
        Ok(results)
    }
}

/// Returns the earliest recorded start of the fetches of these days. By the server's clock, it may be earlier than a count
/// before it by the local one.
fn fetched_at(database: &Path, table: &TableName, days: &[(Date, u64)]) -> Result<Option<Timestamp>> {
    let recorded = load::last_event_load(database, table)?.map_or_else(Vec::new, |last| last.days);
    Ok(recorded.iter().filter(|day| days.iter().any(|(of, _)| *of == day.day)).map(|day| day.fetched_at).min())
}

fn no_load(table: &TableName) -> Error {
    Error::invalid(format!("table `{table}` has no recorded load of events; fetch events into it first"))
}

fn no_rows(table: &str, first: Date) -> Error {
    Error::invalid(format!(
        "table `{table}` has no rows any more, so it is unknown which events to count; `--since {first}` fetches its days \
         again"
    ))
}

/// Checks that Mixpanel can count the same events.
fn check_filters(table: &TableName, last: &LastEventLoad) -> Result<()> {
    let filter = match (&last.query.filter, last.query.limit) {
        (Some(_), _) => "a where expression",
        (None, Some(_)) => "a limit",
        (None, None) => return Ok(()),
    };
    Err(Error::invalid(format!(
        "the last load of table `{table}` has {filter}, and Mixpanel counts all events; compare a table that was loaded \
         without it"
    )))
}

/// Returns the event names in a table.
fn names(database: &std::path::Path, table: &TableName) -> Result<Vec<String>> {
    let query = format!("SELECT DISTINCT event_name FROM main.{} ORDER BY event_name", table.quoted());
    let rows = store::rows(database, &query)?.rows.into_iter().flatten();
    Ok(rows.filter_map(|name| name.as_str().map(str::to_owned)).collect())
}

/// Checks that one request can name all of these events.
fn check_names(table: &TableName, names: &[String]) -> Result<()> {
    if encoded_bytes(names) > EVENT_NAMES_BYTES_MAX {
        return Err(Error::invalid(format!(
            "table `{table}` has {} event names, which are too many for one request; compare a table that was loaded \
             with fewer event names",
            names.len()
        )));
    }
    Ok(())
}

/// Describes a day that was never fetched.
fn missing(day: Date) -> RecordedDay {
    RecordedDay {
        day,
        rows: 0,
        rows_now: 0,
        received: 0,
        bytes: 0,
        fetched_at: Timestamp::UNIX_EPOCH,
        run_id: None,
        state: DayState::Settled,
        time_zone: String::new(),
    }
}

/// Returns how a day differs from Mixpanel's count, if it does.
fn difference(
    day: &RecordedDay,
    counts: &BTreeMap<Date, u64>,
    recorded: &BTreeMap<Date, DayCount>,
) -> Option<AuditedDay> {
    let counted = counts.get(&day.day).copied().unwrap_or(0);
    // A repair counts before it fetches, so a later count does not belong to these rows.
    let before = recorded.get(&day.day).filter(|count| count.counted_at <= day.fetched_at).map(|count| count.events);
    let is_changed = counted != before.unwrap_or(day.rows) || day.rows_now != day.rows;
    is_changed.then(|| AuditedDay { day: day.day.to_string(), rows: day.rows_now, counted, counted_before: before })
}

/// Divides days into ranges without gaps.
fn ranges(days: &[(Date, u64)]) -> Vec<&[(Date, u64)]> {
    days.chunk_by(|(day, _), (next, _)| day.tomorrow().is_ok_and(|tomorrow| tomorrow == *next)).collect()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn differing_days_are_fetched_in_ranges() {
        let day = |day| (date(2026, 2, day), 1);
        let days = [day(26), day(27), day(28), (date(2026, 3, 1), 1), (date(2026, 3, 3), 1)];
        let ranges = ranges(&days);
        assert_eq!(ranges.iter().map(|range| range.len()).collect::<Vec<_>>(), [4, 1]);
        assert!(super::ranges(&[]).is_empty());
    }

    #[test]
    fn event_names_that_do_not_fit_into_a_request_are_refused() {
        let table = TableName::parse("events").unwrap();
        // What the address has for each name: its bytes, and 9 for the quotes and the comma.
        for (name, bytes) in [("e", 1), (" ", 1), ("/", 3), ("é", 6), ("日", 9), ("😀", 12)] {
            let fitting = (EVENT_NAMES_BYTES_MAX - 3) / (9 + 20 * bytes);
            for (count, fits) in [(fitting, true), (fitting + 1, false)] {
                let result = check_names(&table, &vec![name.repeat(20); count]);
                assert_eq!(result.is_ok(), fits, "{count} times {name}: {result:?}");
            }
        }
    }

    #[test]
    fn a_repaired_day_is_compared_with_the_count_at_that_time() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let first = date(2026, 2, 1);
        let of = |counted: u64, recorded: Option<(u64, i64)>| {
            let day = RecordedDay {
                day: first,
                rows: 100,
                rows_now: 100,
                received: 100,
                bytes: 1,
                fetched_at: at(50),
                run_id: None,
                state: DayState::Settled,
                time_zone: "UTC".to_owned(),
            };
            let counts = if counted == 0 { BTreeMap::new() } else { BTreeMap::from([(first, counted)]) };
            let recorded = recorded
                .map(|(events, second)| (first, DayCount { events, counted_at: at(second) }))
                .into_iter()
                .collect();
            difference(&day, &counts, &recorded).map(|day| (day.counted, day.counted_before))
        };
        assert_eq!(of(100, None), None);
        assert_eq!(of(98, None), Some((98, None)));
        assert_eq!(of(0, None), Some((0, None)));
        // The repair counts before it fetches.
        assert_eq!(of(98, Some((98, 40))), None);
        assert_eq!(of(97, Some((98, 40))), Some((97, Some(98))));
        assert_eq!(of(100, Some((98, 60))), None);
    }
}
