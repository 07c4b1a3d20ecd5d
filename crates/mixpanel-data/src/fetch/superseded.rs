//! Checks whether a table was loaded after a run began, so that the run could bring older records.
//!
//! The order is that of the commits, not that of any clock: a run remembers the table's newest load from when it began.

use std::collections::BTreeSet;
use std::path::Path;

use jiff::ToSpan as _;
use jiff::civil::Date;

use crate::error::{Error, ErrorKind, Result};
use crate::event_query::EventQuery;
use crate::load::{self, Base, LoadsAfter, RecordedDay, RecordedLoad, Seen};
use crate::profile_query::{IfExists, ProfileQuery};
use crate::stage::{EventRun, KnownLoads, Listed, Loaded, Manifest, Progress, SliceRecord, SliceState};
use crate::store::TableName;

impl KnownLoads {
    /// Returns the loads that precede a run that begins with the database in this state.
    pub(super) fn of(seen: &Seen) -> Self {
        Self { newest: seen.last_load().map(str::to_owned), sessions: Vec::new() }
    }

    /// Adds the sessions of unfinished runs. Whatever is loaded from them later is older than the new run. The date
    /// ranges of events have no session: what is missing will be newer.
    pub(super) fn add_sessions(&mut self, table: &str, runs: &[Listed]) {
        let manifests = runs.iter().filter_map(|run| run.manifest.as_ref().ok());
        let of_table = manifests.filter(|run| run.table.eq_ignore_ascii_case(table));
        self.sessions.extend(of_table.filter(|run| run.session.is_some()).map(Manifest::session_prefix));
    }
}

impl Manifest {
    /// Returns the beginning of the ids of all loads from the run's present session.
    fn session_prefix(&self) -> String {
        format!("{}/{}/", self.run_id, self.epoch)
    }
}

/// Returns whether a load after the start of the run changed what the run would change, if it is resumed with
/// `if_exists`.
pub(super) fn is_superseded(manifest: &Manifest, if_exists: IfExists, database: &Path) -> Result<bool> {
    let table = TableName::parse(&manifest.table)?;
    let loads = newer_loads(manifest, database, &table)?;
    // If another run has recreated the table since, nothing of this run is in it.
    let made = loads.iter().rposition(|load| load.made_table && load.run_id != manifest.run_id);
    let is_own = |load: &RecordedLoad| load.run_id == manifest.run_id;
    let has_own = made.is_none_or(|made| loads.iter().skip(made).any(is_own));
    let committed = committed(manifest, &loads).filter(|_| has_own || adds_rows(manifest.if_exists));
    let newer: Vec<RecordedLoad> = loads.into_iter().filter(|load| load.run_id != manifest.run_id).collect();
    if newer.is_empty() || committed.is_some_and(|pages| is_everything(manifest, pages)) {
        return Ok(false);
    }
    // A run that completes its own load adds rows to the table.
    let replaces = if_exists == IfExists::Replace && (committed.is_none() || if_exists != manifest.if_exists);
    match &manifest.events {
        Some(run) if run.replaced_days.is_none() && replaces => Ok(true),
        Some(run) => {
            let days = days_to_load(manifest, run, committed);
            // A run that creates its table cannot be loaded into this one. The question is whether all of it is there.
            if if_exists == IfExists::Fail && committed.is_none() {
                let newer = newer_days(newer.iter().filter(|load| covers(load, &run.query)), database, &table)?;
                return Ok(days.is_subset(&newer));
            }
            let counts = |load: &&RecordedLoad| run.replaced_days.is_some() || overlaps(load, &run.query);
            Ok(!days.is_disjoint(&newer_days(newer.iter().filter(counts), database, &table)?))
        }
        None if replaces || if_exists == IfExists::Upsert => {
            Ok(newer.iter().any(|load| load.has_rows || load.made_table))
        }
        // At most, profiles whose id is not in the table are added.
        None => Ok(newer.iter().any(|load| load.is_whole && (load.made_table || has_same_filters(load, manifest)))),
    }
}

/// Checks that resuming a run with `if_exists` cannot replace newer records by older ones.
///
/// # Errors
/// `TableChanged`, for which [`Error::is_superseded`] is true; `DatabaseLocked`, `DatabaseUnusable`, `Storage`.
pub(super) fn check_not_superseded(manifest: &Manifest, chosen: Option<IfExists>, database: &Path) -> Result<()> {
    if !is_superseded(manifest, chosen.unwrap_or(manifest.if_exists), database)? {
        return Ok(());
    }
    let message = format!("table `{}` was loaded after this run began", manifest.table);
    let error = Error::new(ErrorKind::TableChanged, message).with_detail("superseded", true);
    Err(match chosen.and_then(|chosen| serde_json::to_value(chosen).ok()) {
        Some(chosen) => error.with_detail("resumed_with", chosen),
        None => error,
    })
}

/// Adds to the error of a run that cannot create its table whether adding its records to the table would be refused as
/// well, because they are older.
pub(super) fn note_if_superseded(error: Error, manifest: &Manifest, database: &Path) -> Error {
    let is_superseded =
        error.kind() == ErrorKind::TableExists && is_superseded(manifest, IfExists::Append, database).unwrap_or(false);
    if is_superseded { error.with_detail("superseded", true) } else { error }
}

/// Checks that a run that has only a part of its table does not replace the whole table.
///
/// # Errors
/// `InvalidInput`.
pub(super) fn check_replaces_no_more_than_fetched(manifest: &Manifest, chosen: Option<IfExists>) -> Result<()> {
    if chosen != Some(IfExists::Replace) {
        return Ok(());
    }
    let days = manifest.events.as_ref().and_then(|run| run.replaced_days);
    let what = match days {
        Some((from, to)) => format!("fetched only the days {from} to {to} of table `{}`", manifest.table),
        None if manifest.updates => format!("fetched only what changed in table `{}`", manifest.table),
        None => return Ok(()),
    };
    let message = format!("run `{}` {what}, so it cannot replace the table", manifest.run_id);
    Err(Error::invalid(message).with_detail("suggestion", "resume it without replacing the table"))
}

/// Returns the loads of the table that were committed after the run began, and its own.
fn newer_loads(manifest: &Manifest, database: &Path, table: &TableName) -> Result<Vec<RecordedLoad>> {
    let base = match &manifest.known_loads {
        None => Base::Unknown,
        Some(KnownLoads { newest: None, .. }) => Base::NoLoad,
        Some(KnownLoads { newest: Some(newest), .. }) => Base::Load(newest),
    };
    let loads = match load::loads_after(database, table, base)? {
        LoadsAfter::Known(loads) => loads,
        LoadsAfter::Unknown(mut loads) => {
            loads.retain(|load| load.run_id == manifest.run_id || load.start().is_after(&manifest.start()));
            loads
        }
    };
    let sessions = manifest.known_loads.iter().flat_map(|known| &known.sessions).collect::<Vec<_>>();
    let is_older = |load: &RecordedLoad| sessions.iter().any(|session| load.load_id.starts_with(session.as_str()));
    Ok(loads.into_iter().filter(|load| !is_older(load)).collect())
}

/// Returns whether a load adds rows to an existing table.
fn adds_rows(if_exists: IfExists) -> bool {
    matches!(if_exists, IfExists::Append | IfExists::Upsert)
}

/// Returns the pages of the run that a load has committed, also if a killed process could not record that.
fn committed<'a>(manifest: &'a Manifest, loads: &[RecordedLoad]) -> Option<&'a Loaded> {
    let of_killed = manifest.loading.as_ref().filter(|loading| {
        let load_id = manifest.load_id(loading.epoch, &loading.pages);
        loads.iter().any(|load| load.load_id == load_id)
    });
    of_killed.or(manifest.loaded.as_ref())
}

/// Returns whether these are all pages of the run, so that resuming it only removes its files.
fn is_everything(manifest: &Manifest, committed: &Loaded) -> bool {
    match manifest.progress {
        Progress::Complete { pages } => committed.pages.len() == pages as usize,
        _ => false,
    }
}

/// Returns the days whose rows the load of the run would change.
fn days_to_load(manifest: &Manifest, run: &EventRun, committed: Option<&Loaded>) -> BTreeSet<Date> {
    let days = |from: Date, to: Date| from.series(1.day()).take_while(move |day| *day <= to);
    match (run.replaced_days, committed) {
        (Some((from, to)), _) => days(from, to).collect(),
        (None, None) => days(run.query.from, run.query.to).collect(),
        (None, Some(committed)) => {
            let is_missing = |(part, record): &(u32, &SliceRecord)| {
                record.state == SliceState::Planned && !committed.pages.contains(part)
            };
            let missing = (0..).zip(&manifest.slices).filter(is_missing);
            missing.flat_map(|(_, record)| days(record.slice.from, record.slice.to)).collect()
        }
    }
}

/// Returns the days that these loads fetched, and no later load.
fn newer_days<'a>(
    newer: impl Iterator<Item = &'a RecordedLoad>,
    database: &Path,
    table: &TableName,
) -> Result<BTreeSet<Date>> {
    let newer: BTreeSet<&str> = newer.map(|load| load.run_id.as_str()).collect();
    let is_newer = |day: &RecordedDay| day.run_id.as_deref().is_some_and(|run_id| newer.contains(run_id));
    Ok(load::fetched_days(database, table)?.into_iter().filter(is_newer).map(|day| day.day).collect())
}

/// Returns whether a load selected at least these events of its days.
fn covers(load: &RecordedLoad, query: &EventQuery) -> bool {
    let selected = serde_json::from_str::<EventQuery>(&load.filters);
    selected.is_ok_and(|selected| !selected.selects_some() || selected.difference(query).is_none())
}

/// Returns whether a load may have selected some of these events.
fn overlaps(load: &RecordedLoad, query: &EventQuery) -> bool {
    serde_json::from_str::<EventQuery>(&load.filters).map_or(true, |selected| {
        selected.events.is_empty()
            || query.events.is_empty()
            || selected.events.iter().any(|event| query.events.contains(event))
    })
}

/// Returns whether a load selected the same profiles, whenever they were seen.
fn has_same_filters(load: &RecordedLoad, manifest: &Manifest) -> bool {
    let without_since = |query: &ProfileQuery| ProfileQuery { since: None, ..query.clone() };
    let selected = serde_json::from_str::<ProfileQuery>(&load.filters);
    selected.is_ok_and(|selected| without_since(&selected) == without_since(&manifest.query))
}
