//! The table `_days`: the days that were fetched into a table of events, and whether they may still change.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use duckdb::{Connection, params};
use jiff::civil::Date;
use jiff::{Timestamp, ToSpan as _};

use super::super::metadata::timestamp;
use super::slices::{StagedSlice, change_of_slices, covered_days, requested_days};
use super::source::is_between;
use crate::error::{ErrorKind, Result};
use crate::event_query::EventQuery;
use crate::load::package::DayChange;
use crate::load::run_record::{EventLoad, RunRecord};
use crate::project_time_zone::ProjectTimeZone;
use crate::store::access::Access;
use crate::store::database::Database;
use crate::store::failure::statement;
use crate::store::label;
use crate::store::schema::{Target, find};
use crate::store::table_name::TableName;

/// `rows` are those of the table after the load, `received` those of the responses without rejects. `fetched_at` is when
/// the fetch began: later changes may be missing. `state` is `open` or `settled`.
const CREATE: &str = "
    CREATE TABLE IF NOT EXISTS _days (
        table_name VARCHAR NOT NULL, day DATE NOT NULL, rows BIGINT NOT NULL, received BIGINT, bytes BIGINT,
        fetched_at TIMESTAMP NOT NULL, state VARCHAR NOT NULL, time_zone VARCHAR NOT NULL, run_id VARCHAR
    )";

const OF_TABLE: &str = "system.main.lower(table_name) = system.main.lower(?)";

/// Whether Mixpanel may still change a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DayState {
    /// It was incomplete, or fetched so early that late events may be missing.
    Open,
    /// It was fetched long enough after its end.
    Settled,
}

impl DayState {
    fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Settled => "settled",
        }
    }
}

/// A day as recorded in `_days`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecordedDay {
    pub(crate) day: Date,
    /// Rows of the table after the last load that touched the day.
    pub(crate) rows: u64,
    /// Rows of the table now.
    pub(crate) rows_now: u64,
    /// Rows in the responses of the last fetch of the day, without rejects.
    pub(crate) received: u64,
    /// The size of these rows, in bytes of the decoded responses.
    pub(crate) bytes: u64,
    /// When that fetch began.
    pub(crate) fetched_at: Timestamp,
    /// The run of that fetch.
    pub(crate) run_id: Option<String>,
    pub(crate) state: DayState,
    pub(crate) time_zone: String,
}

/// The last load of events into a table, and the days that were fetched into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LastEventLoad {
    pub(crate) run_id: String,
    pub(crate) query: EventQuery,
    /// What all loads selected since the one that created the table, each once.
    pub(crate) queries: Vec<EventQuery>,
    pub(crate) project_id: String,
    pub(crate) region: String,
    /// Whether slices are missing from the table.
    pub(crate) partial: bool,
    /// The days, in order.
    pub(crate) days: Vec<RecordedDay>,
}

impl LastEventLoad {
    /// Returns the days between the first and the last that were never fetched.
    pub(crate) fn missing_days(&self) -> Vec<Date> {
        let known: BTreeSet<Date> = self.days.iter().map(|day| day.day).collect();
        let Some((first, last)) = known.first().zip(known.last()) else { return Vec::new() };
        let days = first.series(1.day()).take_while(|day| day < last);
        days.filter(|day| !known.contains(day)).collect()
    }
}

/// Returns the last load of events into a table. `None` if there is none, or its record cannot be read.
///
/// # Errors
/// `DatabaseLocked`, `DatabaseUnusable`, `Storage`; a missing database is not an error.
pub(crate) fn last_event_load(database: &Path, table: &TableName) -> Result<Option<LastEventLoad>> {
    let database = match Database::open(database, Access::ReadOnly) {
        Err(error) if error.kind() == ErrorKind::DatabaseNotFound => return Ok(None),
        opened => opened?,
    };
    last_event_load_in(database.connection(), table)
}

/// Does the same in an open database.
pub(in crate::load::duckdb) fn last_event_load_in(
    connection: &Connection,
    table: &TableName,
) -> Result<Option<LastEventLoad>> {
    let Target::Table(table) = find(connection, table)? else { return Ok(None) };
    let Some(label) = label::of_table(connection, &table) else { return Ok(None) };
    let Some(run_id) = label.run_id else { return Ok(None) };
    if !has_days(connection)? {
        return Ok(None);
    }
    let fail = |error| statement("read the table `_fetches`", &error);
    let sql = format!(
        "SELECT filters::VARCHAR, project_id::VARCHAR, region::VARCHAR FROM main._fetches
         WHERE run_id = ? AND {OF_TABLE} ORDER BY rowid DESC LIMIT 1"
    );
    let mut query = connection.prepare(&sql).map_err(fail)?;
    let read = |row: &duckdb::Row<'_>| -> Result<[Option<String>; 3], duckdb::Error> {
        Ok([row.get(0)?, row.get(1)?, row.get(2)?])
    };
    let found = query.query_map([&run_id, table.as_str()], read).map_err(fail)?.next().transpose().map_err(fail)?;
    let Some([Some(filters), Some(project_id), Some(region)]) = found else { return Ok(None) };
    let Ok(query) = serde_json::from_str::<EventQuery>(&filters) else { return Ok(None) };
    let mut days = read_days(connection, &table)?;
    let counts = count_days(connection, &table, &query.timezone, days.iter().map(|day| day.day))?;
    for day in &mut days {
        day.rows_now = counts.get(&day.day).copied().unwrap_or(0);
    }
    let queries = recorded_queries(connection, &table)?;
    Ok(Some(LastEventLoad { run_id, query, queries, project_id, region, partial: label.partial, days }))
}

/// Returns the days that were fetched into a table, with the rows that it had after their loads.
///
/// # Errors
/// Same as [`last_event_load`].
pub(crate) fn fetched_days(database: &Path, table: &TableName) -> Result<Vec<RecordedDay>> {
    let database = match Database::open(database, Access::ReadOnly) {
        Err(error) if error.kind() == ErrorKind::DatabaseNotFound => return Ok(Vec::new()),
        opened => opened?,
    };
    if has_days(database.connection())? { read_days(database.connection(), table) } else { Ok(Vec::new()) }
}

/// Returns what the loads of a table selected since the one that created it. Queries that differ only in their days are
/// returned once.
pub(in crate::load::duckdb) fn recorded_queries(connection: &Connection, table: &TableName) -> Result<Vec<EventQuery>> {
    if !matches!(find(connection, &TableName::listed("_fetches"))?, Target::Table(_)) {
        return Ok(Vec::new());
    }
    let fail = |error| statement("read the table `_fetches`", &error);
    let created =
        format!("SELECT max(rowid) FROM main._fetches WHERE {OF_TABLE} AND on_existing IN ('fail', 'replace')");
    let created: Option<i64> = connection.query_row(&created, [table.as_str()], |row| row.get(0)).map_err(fail)?;
    let sql = format!("SELECT filters::VARCHAR FROM main._fetches WHERE {OF_TABLE} AND rowid >= ? ORDER BY rowid");
    let mut query = connection.prepare(&sql).map_err(fail)?;
    let rows = query.query_map(params![table.as_str(), created.unwrap_or(0)], |row| row.get::<_, Option<String>>(0));
    let mut queries: Vec<EventQuery> = Vec::new();
    for filters in rows.map_err(fail)? {
        let recorded = filters.map_err(fail)?.and_then(|filters| serde_json::from_str::<EventQuery>(&filters).ok());
        queries.extend(recorded.filter(|recorded| queries.iter().all(|query| query.difference(recorded).is_some())));
    }
    Ok(queries)
}

fn has_days(connection: &Connection) -> Result<bool> {
    Ok(matches!(find(connection, &TableName::listed("_days"))?, Target::Table(_)))
}

fn read_days(connection: &Connection, table: &TableName) -> Result<Vec<RecordedDay>> {
    let fail = |error| statement("read the table `_days`", &error);
    let sql = format!(
        "SELECT day::VARCHAR, rows::UBIGINT, coalesce(received, 0)::UBIGINT, coalesce(bytes, 0)::UBIGINT,
             system.main.epoch_us(fetched_at), state = 'settled', time_zone, run_id
         FROM main._days WHERE {OF_TABLE} ORDER BY day"
    );
    let mut query = connection.prepare(&sql).map_err(fail)?;
    let rows = query.query_map([table.as_str()], |row| {
        let (day, micros): (String, i64) = (row.get(0)?, row.get(4)?);
        let (rows, received, bytes, time_zone) = (row.get(1)?, row.get(2)?, row.get(3)?, row.get(6)?);
        let run_id = row.get(7)?;
        let state = if row.get::<_, bool>(5)? { DayState::Settled } else { DayState::Open };
        let (day, fetched_at) = (day.parse::<Date>().ok(), Timestamp::from_microsecond(micros).ok());
        Ok(day.zip(fetched_at).map(|(day, fetched_at)| RecordedDay {
            day,
            rows,
            rows_now: rows,
            received,
            bytes,
            fetched_at,
            run_id,
            state,
            time_zone,
        }))
    });
    let days: Vec<Option<RecordedDay>> = rows.and_then(Iterator::collect).map_err(fail)?;
    // Another program may have written a date that cannot be read.
    Ok(days.into_iter().flatten().collect())
}

/// The earlier records of the table's days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::load::duckdb) enum EarlierDays {
    Keep,
    /// The table was created anew.
    Remove,
}

/// Records the days that a load touched. Returns those that may still change.
pub(in crate::load::duckdb) fn record(
    connection: &Connection,
    table: &TableName,
    run: &RunRecord,
    slices: &[StagedSlice],
    earlier: EarlierDays,
) -> Result<Vec<Date>> {
    let Some(load) = run.events() else { return Ok(Vec::new()) };
    let fail = |error| statement("record the days in `_days`", &error);
    connection.execute_batch(CREATE).map_err(fail)?;
    if earlier == EarlierDays::Remove {
        label::forget_days(connection, table)?;
    }
    let requested = requested_days(slices);
    let known: BTreeSet<Date> = read_days(connection, table)?.into_iter().map(|day| day.day).collect();
    let mut touched: BTreeMap<Date, (u64, u64)> = requested.iter().map(|day| (*day, (0, 0))).collect();
    for day in slices.iter().flat_map(|slice| &slice.days) {
        // Days that no slice asked for are only counted again.
        if requested.contains(&day.day) || known.contains(&day.day) {
            let (received, bytes) = touched.entry(day.day).or_default();
            (*received, *bytes) = (*received + day.rows, *bytes + day.bytes);
        }
    }
    let counts = count_days(connection, table, &load.query.timezone, touched.keys().copied())?;
    let covered = covered_days(slices, load);
    // A fetch of some events says nothing about the others.
    let is_part = load.query.selects_some()
        && recorded_queries(connection, table)?.iter().any(|other| other.difference(&load.query).is_some());
    let mut open = Vec::new();
    for (day, (received, bytes)) in touched {
        let rows = counts.get(&day).copied().unwrap_or(0);
        let key = params![rows, table.as_str(), day.to_string()];
        if !requested.contains(&day) {
            let sql = "UPDATE _days SET rows = ? WHERE system.main.lower(table_name) = system.main.lower(?) AND day = ?::DATE";
            connection.execute(sql, key).map_err(fail)?;
            continue;
        }
        let state = if covered.contains(&day) && !is_part { state(day, run, load) } else { DayState::Open };
        if state == DayState::Open {
            open.push(day);
        }
        let sql = format!("DELETE FROM _days WHERE {OF_TABLE} AND day = ?::DATE");
        connection.execute(&sql, params![table.as_str(), day.to_string()]).map_err(fail)?;
        connection
            .execute(
                "INSERT INTO _days (table_name, day, rows, received, bytes, fetched_at, state, time_zone, run_id)
                 VALUES (?, ?::DATE, ?, ?, ?, ?, ?, ?, ?)",
                params![
                    table.as_str(),
                    day.to_string(),
                    rows,
                    received,
                    bytes,
                    timestamp(run.started_at),
                    state.name(),
                    load.query.timezone.name(),
                    run.run_id
                ],
            )
            .map_err(fail)?;
    }
    Ok(open)
}

/// Returns whether a complete day may still change.
fn state(day: Date, run: &RunRecord, load: &EventLoad) -> DayState {
    let settles = day
        .checked_add(i64::from(load.refresh_days).days())
        .and_then(|day| day.tomorrow())
        .map(|day| load.query.timezone.day_start_utc(day));
    match settles {
        Ok(settles) if run.started_at >= settles && load.query.limit.is_none() => DayState::Settled,
        _ => DayState::Open,
    }
}

/// Counts the rows of the table on each of these days. A day that is not in the result has none.
fn count_days(
    connection: &Connection,
    table: &TableName,
    zone: &ProjectTimeZone,
    days: impl DoubleEndedIterator<Item = Date> + Clone,
) -> Result<BTreeMap<Date, u64>> {
    let fail = |error| statement(&format!("count the rows of table `{table}`"), &error);
    let Some((first, last)) = days.clone().next().zip(days.clone().next_back()) else { return Ok(BTreeMap::new()) };
    let mut counts = BTreeMap::new();
    if zone.is_utc() {
        let sql = format!(
            "SELECT day::VARCHAR, count FROM (
                 SELECT r.event_time::DATE AS day, count(*) AS count FROM {} AS r WHERE {} GROUP BY day
             )",
            table.quoted(),
            is_between(zone, "r", (first, last))
        );
        let mut query = connection.prepare(&sql).map_err(fail)?;
        let rows = query.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?))).map_err(fail)?;
        for row in rows {
            let (day, count) = row.map_err(fail)?;
            counts.extend(day.parse().ok().map(|day: Date| (day, count)));
        }
        return Ok(counts);
    }
    for day in days {
        let sql = format!("SELECT count(*) FROM {} AS r WHERE {}", table.quoted(), is_between(zone, "r", (day, day)));
        counts.insert(day, connection.query_row(&sql, [], |row| row.get(0)).map_err(fail)?);
    }
    Ok(counts)
}

/// Returns what an earlier process reported for this load of the run, from the records in the database.
pub(in crate::load::duckdb) fn change_of(
    connection: &Connection,
    table: &TableName,
    run: &RunRecord,
    slices: &[StagedSlice],
) -> Result<Option<DayChange>> {
    if run.events().is_none() || !has_days(connection)? {
        return Ok(None);
    }
    let fail = |error| statement("read the table `_fetches`", &error);
    let sql = "SELECT coalesce(conflicting_duplicates, 0)::UBIGINT, coalesce(replaced_rows, 0)::UBIGINT
               FROM main._fetches WHERE load_id = ? LIMIT 1";
    let mut query = connection.prepare(sql).map_err(fail)?;
    let counts = query.query_map([&run.load_id], |row| Ok((row.get(0)?, row.get(1)?))).map_err(fail)?;
    let Some((conflicting_duplicates, replaced_rows)) = { counts }.next().transpose().map_err(fail)? else {
        return Ok(None);
    };
    let requested = requested_days(slices);
    let open = read_days(connection, table)?.into_iter().filter(|day| day.state == DayState::Open);
    let open_days = open.map(|day| day.day).filter(|day| requested.contains(day)).collect();
    Ok(Some(DayChange { conflicting_duplicates, replaced_rows, open_days, ..change_of_slices(slices) }))
}

/// Rehearses [`record`] with a dummy day.
pub(in crate::load::duckdb) fn check_file_system(connection: &Connection, table: &TableName) -> Result<()> {
    let attempt = || {
        connection.execute_batch(CREATE)?;
        connection.execute(
            "INSERT INTO _days (table_name, day, rows, received, bytes, fetched_at, state, time_zone, run_id)
             VALUES (?, DATE '2000-01-01', 0, 0, 0, TIMESTAMP '2000-01-01 00:00:00', 'open', 'UTC', 'rehearsal')",
            [table.as_str()],
        )?;
        connection.execute("DELETE FROM _days WHERE run_id = 'rehearsal'", [])
    };
    attempt().map(drop).map_err(|error| statement("record the days in `_days`", &error))
}
