//! The steps before the first request, shared by all fetches: into a table, as a stream, or for an estimate.

use std::path::Path;
use std::time::Duration;

use crate::api::ApiClient;
use crate::blocking::blocking;
use crate::clock::{new_run_id, wall_clock};
use crate::dataset::Dataset;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{PREFLIGHT_LOCK_WAIT, STOP_GRACE};
use crate::load::{self, Found, LoadKind};
use crate::note::Note;
use crate::parse::{Reading, RecordForm};
use crate::profile_query::{IfExists, ProfileQuery};
use crate::property_rules::{ID, PropertyRules};
use crate::stage::{self, KnownLoads, Manifest, STREAM_PREFIX, Stage};
use crate::store::{self, TableName};
use crate::warning::Warning;

use super::callbacks::Callbacks;
use super::driver::{Requests, Run};
use super::identity::{since_last_load, since_text};
use super::progress::FetchEvent;
use super::request::{Control, ProfileFetch, Since};
use super::rules::Rules;
use super::same_rules::check_same_rules;
use super::source::PriorRun;
use super::stage_roots::stage_roots;
use super::validate::{Validated, validate};
use super::waiting::waiting;

/// Minimum interval of full loads; a shorter one is a mistake.
const FULL_EVERY_MIN: Duration = Duration::from_secs(1);

/// Validates the arguments of a new fetch.
///
/// # Errors
/// `InvalidInput` that names the argument and the rule.
pub(super) fn validate_fetch(fetch: &mut ProfileFetch) -> Result<Validated> {
    let rules = fetch.rules.check()?;
    let now = wall_clock();
    if let Since::Time(time) = fetch.since {
        if time > now {
            let time = time.strftime("%Y-%m-%d %H:%M:%S UTC");
            return Err(Error::invalid(format!("the start time {time} is in the future")));
        }
        fetch.query.since = Some(since_text(time));
    }
    check_sample(&fetch.query, fetch.if_exists)?;
    let valid = validate(&fetch.query, fetch.mode, fetch.batch_size, &fetch.control.options, now.as_second())?;
    Ok(Validated { rules, ..valid })
}

/// Checks that a sample does not replace a table.
///
/// # Errors
/// `InvalidInput`.
pub(super) fn check_sample(query: &ProfileQuery, if_exists: IfExists) -> Result<()> {
    match (query.limit, if_exists) {
        (Some(_), IfExists::Replace) => {
            Err(Error::invalid("a sample does not replace a table; fetch it into a new table, or append it"))
        }
        _ => Ok(()),
    }
}

/// Checks the interval of full loads.
///
/// # Errors
/// `InvalidInput` that names the rule.
pub(super) fn check_full_every(fetch: &ProfileFetch) -> Result<()> {
    let Some(period) = fetch.full_every else { return Ok(()) };
    if fetch.since != Since::LastLoad {
        return Err(Error::invalid("a full load at intervals requires a fetch that continues from the last load"));
    }
    if period < FULL_EVERY_MIN {
        return Err(Error::invalid("the interval of full loads must be at least a second"));
    }
    Ok(())
}

/// Validates the arguments of a new fetch into a table. An update is limited to the profiles seen since the table's
/// last load.
///
/// # Errors
/// The errors of [`validate_fetch`], also for the table name, and of [`since_last_load`].
pub(super) async fn validate_for_table(
    client: &ApiClient,
    database: &Path,
    fetch: &mut ProfileFetch,
) -> Result<(TableName, Validated)> {
    let table = TableName::parse(&fetch.table)?;
    check_full_every(fetch)?;
    repair(&mut fetch.control, database).await?;
    if fetch.since == Since::LastLoad {
        if fetch.query.limit.is_some() {
            return Err(Error::invalid("a sample cannot continue from the last load"));
        }
        let last = since_last_load(client, database, &table, &fetch.query, &mut fetch.control).await?;
        if fetch.full_every.is_some_and(|period| last.is_full_load_due(period, wall_clock())) {
            (fetch.since, fetch.if_exists) = (Since::Ever, IfExists::Replace);
            let note = Note::FullLoadDue { table: table.to_string(), last_full_at: last.full_at };
            fetch.control.callbacks.tell(&FetchEvent::Note(note));
        } else {
            fetch.query.since = last.since;
            tell(&mut fetch.control, last.warnings);
        }
    }
    let valid = validate_fetch(fetch)?;
    Ok((table, valid))
}

/// Restores what a process that was stopped had overwritten in the database, and warns the caller.
pub(super) async fn repair(control: &mut Control, database: &Path) -> Result<()> {
    let path = database.to_owned();
    // If that fails, opening the database reports the error.
    let repaired = blocking(move || Ok(store::repair(&path).unwrap_or_default())).await?;
    tell(control, repaired.into_iter().collect());
    Ok(())
}

/// Checks the database before the first request, and warns about missing file system features. Returns the loads that
/// precede the fetch.
pub(super) async fn preflight(
    control: &mut Control,
    database: &Path,
    dataset: &'static Dataset,
    table: &TableName,
    if_exists: IfExists,
    rules: &PropertyRules,
) -> Result<KnownLoads> {
    let at_most = control.options.preflight_wait();
    let (path, name, wait) = (database.to_owned(), table.clone(), at_most.min(PREFLIGHT_LOCK_WAIT));
    let look = move |()| ((), load::preflight(&path, dataset, &name, if_exists, LoadKind::First, wait));
    let ((), checked) = waiting(control, at_most, (), look).await?;
    check_same_rules(control, database, table, if_exists, rules).await?;
    tell(control, checked.warnings);
    if checked.seen.found == Found::Nothing && checked.is_keyword {
        control.callbacks.tell(&FetchEvent::Note(Note::Keyword { table: table.to_string() }));
    }
    Ok(KnownLoads::of(&checked.seen))
}

/// Like [`preflight`], for an estimate, which does not write into the table: only the fetch needs to know what happens
/// to an existing one. Returns the loads that precede the estimate, if they are
/// known, and whether the fetch would fail because the table exists.
pub(super) async fn preflight_estimate(
    control: &mut Control,
    database: &Path,
    dataset: &'static Dataset,
    table: &TableName,
    if_exists: IfExists,
    rules: &PropertyRules,
) -> Result<(Option<KnownLoads>, bool)> {
    match preflight(control, database, dataset, table, if_exists, rules).await {
        Err(error) if error.kind() == ErrorKind::TableExists => {
            let (path, name) = (database.to_owned(), table.clone());
            let wait = control.options.preflight_wait().min(PREFLIGHT_LOCK_WAIT);
            // Only the loads are of interest. A table that could not be replaced is none of this program.
            let look = move || Ok(load::look(&path, dataset, &name, IfExists::Replace, LoadKind::First, wait).ok());
            Ok((blocking(look).await?.as_ref().map(KnownLoads::of), true))
        }
        checked => checked.map(|known| (Some(known), false)),
    }
}

pub(super) fn tell(control: &mut Control, warnings: Vec<Warning>) {
    warnings.into_iter().for_each(|warning| control.callbacks.tell(&FetchEvent::Warning(warning)));
}

/// Checks that raw records are not requested together with rules for properties.
///
/// # Errors
/// `InvalidInput`.
pub(super) fn check_raw(form: RecordForm, has_rules: bool) -> Result<()> {
    if form == RecordForm::Raw && has_rules {
        return Err(Error::invalid("raw records are passed on as received, so no property can be dropped or hashed"));
    }
    Ok(())
}

/// Creates the stage of a stream. It cannot be resumed, because delivered records are not kept.
///
/// # Errors
/// `Storage` or `DiskFull`.
pub(super) fn create_stream_stage(database: &Path, mut manifest: Manifest) -> Result<Stage> {
    manifest.run_id.insert_str(0, STREAM_PREFIX);
    let roots = stage_roots(database);
    stage::sweep(&roots);
    Stage::create(&roots, manifest)
}

/// Creates the manifest of a new run.
pub(super) fn new_manifest(client: &ApiClient, fetch: &ProfileFetch, valid: &Validated) -> Manifest {
    let credentials = client.credentials();
    let (project_id, region) = (credentials.project_id.as_str(), credentials.region.as_str());
    let mut manifest = Manifest::new(new_run_id(), wall_clock(), project_id, region);
    manifest.server = client.server_name();
    manifest.query = valid.query.clone();
    manifest.table.clone_from(&fetch.table);
    manifest.if_exists = fetch.if_exists;
    manifest.updates = fetch.since == Since::LastLoad;
    manifest.mode = fetch.mode;
    manifest.set_rules(valid.recorded_rules());
    manifest
}

impl Validated {
    /// Returns the rules for properties as they are recorded.
    pub(super) fn recorded_rules(&self) -> PropertyRules {
        self.rules.as_ref().map(|rules| rules.recorded().clone()).unwrap_or_default()
    }

    /// Returns the properties with a rule that every fetch of this query should receive: not those that the server is
    /// asked to leave out, and none of an update, which may receive only a few profiles.
    fn expected_properties(&self) -> Vec<String> {
        let is_requested = |name: &&str| match &self.query.output_properties {
            Some(requested) => requested.iter().any(|requested| requested == name),
            None => true,
        };
        let names = self.rules.iter().filter(|_| self.query.since.is_none()).flat_map(|rules| rules.names());
        names.filter(|name| *name != ID).filter(is_requested).map(str::to_owned).collect()
    }

    /// Warns the caller if an argument was adjusted or the quota ledger is not shared.
    pub(super) fn announce(&self, client: &ApiClient, callbacks: &mut Callbacks) {
        let ledger = client.ledger_notice().map(|reason| Warning::LedgerNotShared { reason });
        self.warning.iter().chain(&ledger).for_each(|warning| callbacks.tell(&FetchEvent::Warning(warning.clone())));
    }

    /// Creates a run that fetches all pages, or those that an earlier process has not staged.
    pub(super) fn into_run(self, client: &ApiClient, control: &Control, earlier: Option<PriorRun>) -> Run {
        // Only a process that receives every page knows which properties occur.
        let has_earlier_pages = earlier.as_ref().is_some_and(|earlier| !earlier.staged.is_empty());
        let expected_properties = if has_earlier_pages { Vec::new() } else { self.expected_properties() };
        Run {
            client: client.clone(),
            requests: Requests::Profiles {
                form: self.request,
                reading: Reading { form: RecordForm::Row, rules: self.rules },
                expected_properties,
            },
            rules: Rules { limit: self.query.limit, ..control.options.rules(self.workers) },
            earlier,
            cancel: control.cancel.clone(),
            stop_grace: STOP_GRACE,
        }
    }
}
