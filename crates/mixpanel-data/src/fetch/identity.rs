//! Checks that a resumed run or an update selects the same profiles as before: same project, same filters.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::api::ApiClient;
use crate::clock::wall_clock;
use crate::dataset::PROFILES;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{CLOCK_TOLERANCE, SINCE_OVERLAP};
use crate::load::{self, LastLoad};
use crate::profile_query::ProfileQuery;
use crate::stage::Manifest;
use crate::store::TableName;
use crate::text::excerpt;
use crate::warning::Warning;

use super::request::Control;
use super::waiting::waiting;

impl Manifest {
    /// Returns whether both runs fetch the same profiles, with identical filters and rules, into the same table.
    pub(super) fn is_same_fetch(&self, other: &Self) -> bool {
        self.table.eq_ignore_ascii_case(&other.table)
            && self.project_id == other.project_id
            && self.region == other.region
            && self.server == other.server
            && self.query == other.query
            && self.events == other.events
            && self.property_rules == other.property_rules
    }
}

/// Checks that a run belongs to this project and has the expected filters.
///
/// # Errors
/// `InvalidInput` that names the first difference.
pub(super) fn check_same_run(manifest: &Manifest, client: &ApiClient, expected: Option<&ProfileQuery>) -> Result<()> {
    let credentials = client.credentials();
    let server = client.server_name();
    let origins = [
        ("project", manifest.project_id.as_str(), credentials.project_id.as_str()),
        ("region", &manifest.region, credentials.region.as_str()),
        ("server", &manifest.server, &server),
    ];
    let refuse = |what: &str, was: String, is: String| {
        Err(Error::invalid(format!("run `{}` was started with {what} {was}, not {is}", manifest.run_id))
            .with_detail("difference", what))
    };
    for (what, was, is) in origins {
        if was != is {
            return refuse(what, format!("`{was}`"), format!("`{is}`"));
        }
    }
    match expected.filter(|_| manifest.events.is_none()).and_then(|expected| difference(&manifest.query, expected)) {
        Some((name, was, is)) => refuse(&name, was, is),
        None => Ok(()),
    }
}

/// Maximum number of characters of a filter in a message; a list of ids may be long.
const FILTER_CHARS_MAX: usize = 200;

/// Returns the first filter in which two queries differ, with both values. Ignores values that `is` leaves unset
/// because the server or the run chooses them.
pub(super) fn difference(was: &ProfileQuery, is: &ProfileQuery) -> Option<(String, String, String)> {
    let fields = |query: &ProfileQuery| match serde_json::to_value(query) {
        Ok(Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    let (was, is) = (fields(was), fields(is));
    let is_unset =
        |name: &str| matches!(name, "page_size" | "as_of_timestamp" | "since" | "limit") && is[name].is_null();
    let name = was.keys().find(|name| was.get(*name) != is.get(*name) && !is_unset(name))?;
    let show = |value: &Value| match value {
        Value::Null => "none".to_owned(),
        value => format!("`{}`", excerpt(&value.to_string(), FILTER_CHARS_MAX)),
    };
    Some((name.trim_end_matches('_').to_owned(), show(&was[name]), show(&is[name])))
}

/// Checks that the table still has the profiles that an update builds on; the run itself fetches only profiles seen
/// since then.
///
/// # Errors
/// `TableChanged`, and the errors of opening a database for reading.
pub(super) async fn check_base(
    manifest: &Manifest,
    client: &ApiClient,
    database: &Path,
    table: &TableName,
    control: &mut Control,
) -> Result<()> {
    let Some(since) = manifest.query.since.as_ref().filter(|_| manifest.updates) else { return Ok(()) };
    let query = ProfileQuery { since: None, ..manifest.query.clone() };
    let source = match since_last_load(client, database, table, &query, control).await {
        Ok(now) if now.since.as_ref().is_some_and(|now| now >= since) => return Ok(()),
        Ok(_) => None,
        Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::DatabaseNotFound) => Some(error),
        Err(error) => return Err(error),
    };
    let message = format!(
        "run `{}` has only profiles seen since {since}, and table `{table}` no longer has the earlier ones",
        manifest.run_id
    );
    let error = Error::new(ErrorKind::TableChanged, message).with_detail("table_name", table.as_str());
    let error = error.with_detail("since", since.as_str());
    Err(match source {
        Some(source) => error.with_source(source),
        None => error,
    })
}

/// The start time of an update, and warnings for the caller.
#[derive(Debug, PartialEq)]
pub(super) struct SinceLast {
    /// `None` fetches all profiles.
    pub(super) since: Option<String>,
    pub(super) warnings: Vec<Warning>,
    /// When the full load that created the table began, if it was one.
    pub(super) full_at: Option<Timestamp>,
    /// The same by the clock of the machine that loaded it, if known.
    pub(super) full_at_locally: Option<Timestamp>,
}

impl SinceLast {
    /// Returns whether the last full load began longer ago than `period`, by the local clock `now`, which may be wrong,
    /// and may have been wrong at that load. The age is exact by the same clock, or by the server's if the local one is
    /// right; the smaller one counts. A load in the future of both counts as too old, because its age is unknown.
    pub(super) fn is_full_load_due(&self, period: Duration, now: Timestamp) -> bool {
        let Some(at) = self.full_at else { return true };
        let latest = now.checked_add(CLOCK_TOLERANCE).unwrap_or(now);
        let known = [Some(at), self.full_at_locally].into_iter().flatten().filter(|at| *at <= latest);
        let age = known.map(|at| Duration::try_from(now.duration_since(at)).unwrap_or_default()).min();
        age.is_none_or(|age| age > period)
    }
}

/// Returns the time from which an update has to fetch profiles, based on the table's last load.
///
/// # Errors
/// `InvalidInput` if there is no such load or it used a different project, region or filter, and the errors of opening
/// a database for reading.
pub(super) async fn since_last_load(
    client: &ApiClient,
    database: &Path,
    table: &TableName,
    query: &ProfileQuery,
    control: &mut Control,
) -> Result<SinceLast> {
    let (path, name) = (database.to_owned(), table.clone());
    let look = move |()| ((), load::last_load(&path, &PROFILES, &name));
    let ((), last) = waiting(control, control.options.preflight_wait(), (), look).await?;
    let last = last.ok_or_else(|| {
        Error::invalid(format!(
            "table `{table}` has no complete load to update from; fetch all profiles once, with `--replace` if the table \
             exists"
        ))
    })?;
    let credentials = client.credentials();
    if last.project_id != credentials.project_id.as_str() || last.region != credentials.region.as_str() {
        return Err(Error::invalid(format!(
            "table `{table}` was loaded from project `{}` in region `{}`, not from this one",
            last.project_id, last.region
        )));
    }
    let before = ProfileQuery { since: None, ..last.query.clone() };
    if let Some((name, was, is)) = difference(&before, query) {
        return Err(Error::invalid(format!(
            "the last load of table `{table}` used {name} {was}, not {is}; an update must use the same filters"
        )));
    }
    Ok(since(table, &last, wall_clock()))
}

/// Returns the start of an update: the recorded start of the last load, but no later than the newest profile in the
/// table or the current time, minus [`SINCE_OVERLAP`]. This way, a clock that was ahead does not make an update skip
/// profiles. All profiles are fetched if rows were removed, whatever their age, and if the newest profile is unknown and
/// the clock is in doubt.
fn since(table: &TableName, last: &LastLoad, now: Timestamp) -> SinceLast {
    let is_ahead = last.started_at > now.checked_add(CLOCK_TOLERANCE).unwrap_or(now);
    let removed = last.recorded_rows.unwrap_or(0).saturating_sub(last.rows);
    let moment = match last.newest_seen {
        _ if removed > 0 => None,
        Some(seen) => Some(last.started_at.min(seen).min(now)),
        None if is_ahead || last.rows == 0 => None,
        None => Some(last.started_at.min(now)),
    };
    let fetches_all = moment.is_none();
    let mut warnings = Vec::new();
    if is_ahead {
        let (table, loaded_at) = (table.to_string(), last.started_at);
        warnings.push(Warning::LoadInFuture { table, loaded_at, fetches_all });
    }
    if removed > 0 {
        let (table, rows, loaded_rows) = (table.to_string(), last.rows, last.rows + removed);
        warnings.push(Warning::RowsRemoved { table, rows, loaded_rows });
    }
    let from = moment.map(|moment| moment.checked_sub(SINCE_OVERLAP).unwrap_or(Timestamp::MIN));
    SinceLast { since: from.map(since_text), warnings, full_at: last.full_at, full_at_locally: last.full_at_locally }
}

/// Writes a start time as the API writes `$last_seen`, rounded down to the second.
pub(super) fn since_text(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_differing_field_and_ignores_unset_ones() {
        let plain = ProfileQuery::default();
        let filtered = ProfileQuery { where_: Some("x".into()), ..plain.clone() };
        assert_eq!(difference(&filtered, &filtered), None);
        assert_eq!(difference(&filtered, &plain), Some(("where".into(), "`\"x\"`".into(), "none".into())));
        let sized = ProfileQuery { page_size: Some(500), as_of_timestamp: Some(7), ..plain.clone() };
        assert_eq!(difference(&sized, &plain), None);
        let other = ProfileQuery { page_size: Some(600), ..plain };
        assert_eq!(difference(&sized, &other).map(|(name, ..)| name).as_deref(), Some("page_size"));
    }

    #[test]
    fn a_full_load_is_due_after_the_period_or_if_its_age_is_unknown() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let (now, day) = (at("2026-11-25T12:00:00Z"), Duration::from_secs(86_400));
        for (full_at, locally, is_due) in [
            (None, None, true),
            (None, Some("2026-11-25T12:00:00Z"), true),
            (Some("2026-11-24T11:59:59Z"), None, true),
            (Some("2026-11-24T12:00:00Z"), None, false),
            (Some("2026-11-25T12:00:00Z"), None, false),
            // A clock that is slightly ahead, and one that was wrong.
            (Some("2026-11-25T12:01:00Z"), None, false),
            (Some("2027-11-25T12:00:00Z"), None, true),
            (Some("2027-11-25T12:00:00Z"), Some("2027-11-25T12:00:00Z"), true),
            // A clock that is behind by a year, and one that is ahead.
            (Some("2027-11-25T11:00:00Z"), Some("2026-11-25T11:00:00Z"), false),
            (Some("2027-11-24T11:00:00Z"), Some("2026-11-24T11:00:00Z"), true),
            (Some("2025-11-25T11:00:00Z"), Some("2026-11-25T11:00:00Z"), false),
            (Some("2025-11-24T11:00:00Z"), Some("2026-11-24T11:00:00Z"), true),
            // A clock that was behind or ahead at the load, and is right now.
            (Some("2026-11-25T11:00:00Z"), Some("2025-11-25T11:00:00Z"), false),
            (Some("2026-11-25T11:00:00Z"), Some("2027-11-25T11:00:00Z"), false),
        ] {
            let (full_at, full_at_locally) = (full_at.map(at), locally.map(at));
            let last = SinceLast { since: None, warnings: Vec::new(), full_at, full_at_locally };
            assert_eq!(last.is_full_load_due(day, now), is_due, "{full_at:?} {locally:?}");
        }
    }

    #[test]
    fn since_last_skips_nothing_with_a_fast_clock() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let (now, day) = (at("2026-11-25T12:00:00Z"), "2026-11-24T12:00:00");
        let table = TableName::parse("t").unwrap();
        for (started, seen, expected, warned) in [
            // The normal case: the load began a moment after the newest profile was seen.
            ("2026-11-25T12:00:00Z", Some("2026-11-25T12:00:00Z"), Some(day), false),
            ("2026-11-20T12:00:00Z", None, Some("2026-11-19T12:00:00"), false),
            // A clock that is slightly ahead causes no warning.
            ("2026-11-25T12:01:00Z", None, Some(day), false),
            ("2027-11-25T12:00:00Z", Some("2026-11-25T12:00:00Z"), Some(day), true),
            ("2027-11-25T12:00:00Z", None, None, true),
            // The clock was ahead, but the recorded time is now in the past.
            ("2026-11-24T00:00:00Z", Some("2026-11-20T12:00:00Z"), Some("2026-11-19T12:00:00"), false),
            // Profiles dated in the future.
            ("2026-11-25T12:00:00Z", Some("2099-01-01T00:00:00Z"), Some(day), false),
            ("2027-11-25T12:00:00Z", Some("2099-01-01T00:00:00Z"), Some(day), true),
        ] {
            let last = LastLoad {
                started_at: at(started),
                full_at: None,
                full_at_locally: None,
                newest_seen: seen.map(at),
                rows: 1,
                recorded_rows: Some(1),
                query: ProfileQuery::default(),
                project_id: "1".into(),
                region: "us".into(),
            };
            let found = since(&table, &last, now);
            assert_eq!(found.since.as_deref(), expected, "{started} {seen:?}");
            assert_eq!(!found.warnings.is_empty(), warned, "{started} {seen:?}");
        }
    }
}
