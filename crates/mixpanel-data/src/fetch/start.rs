//! The steps before the first request, shared by all fetches: into a table, as a stream, or for an estimate.

use std::path::Path;

use crate::api::ApiClient;
use crate::clock::{new_run_id, wall_clock};
use crate::dataset::PROFILES;
use crate::error::Result;
use crate::limits::{PREFLIGHT_LOCK_WAIT, STOP_GRACE};
use crate::load::{self, LoadKind};
use crate::parse::{Reading, RecordForm};
use crate::profile_query::IfExists;
use crate::property_rules::{ID, PropertyRules};
use crate::stage::Manifest;
use crate::store::TableName;
use crate::warning::Warning;

use super::callbacks::Callbacks;
use super::driver::Run;
use super::identity::since_last_load;
use super::progress::FetchEvent;
use super::request::{Control, ProfileFetch, Since};
use super::same_rules::check_same_rules;
use super::source::PriorRun;
use super::validate::{Validated, validate};
use super::waiting::waiting;

/// Validates the arguments of a new fetch.
///
/// # Errors
/// `InvalidInput` that names the argument and the rule.
pub(super) fn validate_fetch(fetch: &ProfileFetch) -> Result<Validated> {
    let rules = fetch.rules.check()?;
    let now = wall_clock().as_second();
    let valid = validate(&fetch.query, fetch.mode, fetch.batch_size, &fetch.control.options, now)?;
    Ok(Validated { rules, ..valid })
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
    if fetch.since == Since::LastLoad {
        let last = since_last_load(client, database, &table, &fetch.query, &mut fetch.control).await?;
        fetch.query.since = last.since;
        tell(&mut fetch.control, last.warnings);
    }
    let valid = validate_fetch(fetch)?;
    Ok((table, valid))
}

/// Checks the database before the first request, and warns about missing file system features.
pub(super) async fn preflight(
    control: &mut Control,
    database: &Path,
    table: &TableName,
    if_exists: IfExists,
    rules: &PropertyRules,
) -> Result<()> {
    let at_most = control.options.preflight_wait();
    let (path, name, wait) = (database.to_owned(), table.clone(), at_most.min(PREFLIGHT_LOCK_WAIT));
    let look = move |()| ((), load::preflight(&path, &PROFILES, &name, if_exists, LoadKind::First, wait));
    let ((), checked) = waiting(control, at_most, (), look).await?;
    check_same_rules(control, database, table, if_exists, rules).await?;
    tell(control, checked.warnings);
    Ok(())
}

pub(super) fn tell(control: &mut Control, warnings: Vec<Warning>) {
    warnings.into_iter().for_each(|warning| control.callbacks.tell(&FetchEvent::Warning(warning)));
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
            request: self.request,
            rules: control.options.rules(self.workers),
            earlier,
            reading: Reading { form: RecordForm::Row, rules: self.rules },
            expected_properties,
            cancel: control.cancel.clone(),
            stop_grace: STOP_GRACE,
        }
    }
}
