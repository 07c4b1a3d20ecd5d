//! Decides how a refresh brings a table up to date: it resumes an unfinished run, continues from the last load, or
//! fetches everything.

use std::path::Path;

use crate::api::ApiClient;
use crate::blocking::blocking;
use crate::error::{Error, ErrorKind, Result};
use crate::load;
use crate::note::Note;
use crate::profile_query::{FetchMode, IfExists, ProfileQuery};
use crate::property_rules::PropertyRules;
use crate::stage::{self, Manifest, Progress};
use crate::store::TableName;

use super::identity::{check_base, check_same_run, difference};
use super::progress::FetchEvent;
use super::request::{ProfileFetch, ResumeFetch, Since};
use super::stage_roots::stage_roots;
use super::start::{check_full_every, repair, validate_fetch};
use super::superseded::is_superseded;
use super::unfinished::check_alone;
use super::waiting::waiting;

/// The next step of a refresh, ready to run.
pub(super) enum RefreshStep {
    /// Start this fetch.
    Fetch(ProfileFetch),
    /// Resume a run.
    Resume(ResumeFetch),
}

/// Chooses the next step: to resume the newest run that can bring the table up to date, else to update the table, else
/// to create it.
///
/// # Errors
/// `InvalidInput` for arguments that a refresh cannot have; `RunBusy`; `DatabaseLocked`, `DatabaseUnusable`, `Storage`.
pub(super) async fn choose_step(client: &ApiClient, database: &Path, mut fetch: ProfileFetch) -> Result<RefreshStep> {
    let table = TableName::parse(&fetch.table)?;
    if fetch.since != Since::Ever || fetch.if_exists != IfExists::Fail {
        return Err(Error::invalid("a refresh determines the start time and what happens to the table by itself"));
    }
    let rules = validate_fetch(&mut fetch)?.recorded_rules();
    let mut fetch = fetch.since_last_load();
    check_full_every(&fetch)?;
    repair(&mut fetch.control, database).await?;
    let (path, name) = (database.to_owned(), table.clone());
    let runs = blocking(move || {
        let roots = stage_roots(&path);
        stage::sweep(&roots);
        let runs = stage::list(&roots)?;
        check_alone(&runs, name.as_str())?;
        Ok(runs)
    })
    .await?;
    let (path, name) = (database.to_owned(), table.clone());
    let look = move |()| ((), load::exists(&path, &name));
    let at_most = fetch.control.options.preflight_wait();
    let ((), table_exists) = waiting(&mut fetch.control, at_most, (), look).await?;
    let readable = runs.into_iter().filter_map(|run| Some((run.manifest.ok()?, run.pages_done)));
    let runs: Vec<(Manifest, u32)> = readable.filter(|(run, _)| is_of_refresh(run, client, &fetch, &rules)).collect();
    let path = database.to_owned();
    let runs = blocking(move || {
        let usable = |run: (Manifest, u32)| Ok(can_load(&run.0, &path, table_exists)?.then_some(run));
        runs.into_iter().map(usable).filter_map(Result::transpose).collect::<Result<Vec<_>>>()
    })
    .await?;
    for (manifest, pages_done) in runs {
        match check_base(&manifest, client, database, &table, &mut fetch.control).await {
            Ok(()) => return Ok(RefreshStep::Resume(resume(fetch, manifest.run_id, pages_done))),
            // The table no longer has the rows that this run updates.
            Err(error) if error.kind() == ErrorKind::TableChanged => {}
            Err(error) => return Err(error),
        }
    }
    if !table_exists {
        (fetch.since, fetch.if_exists, fetch.full_every) = (Since::Ever, IfExists::Fail, None);
    }
    Ok(RefreshStep::Fetch(fetch))
}

/// Returns whether a run fetches what the refresh would fetch, or what has changed since then.
fn is_of_refresh(manifest: &Manifest, client: &ApiClient, fetch: &ProfileFetch, rules: &PropertyRules) -> bool {
    let selects_all = manifest.query.limit.is_none() && (manifest.query.since.is_none() || manifest.updates);
    let query = ProfileQuery { since: None, ..manifest.query.clone() };
    manifest.table.eq_ignore_ascii_case(&fetch.table)
        && manifest.progress != Progress::Planned
        && manifest.events.is_none()
        && selects_all
        && manifest.property_rules == *rules
        && check_same_run(manifest, client, None).is_ok()
        && difference(&query, &fetch.query).is_none()
}

/// Returns whether the run can still load its pages: no newer load covers it, and no other load has created its table.
fn can_load(manifest: &Manifest, database: &Path, table_exists: bool) -> Result<bool> {
    if is_superseded(manifest, manifest.if_exists, database)? {
        return Ok(false);
    }
    if manifest.if_exists != IfExists::Fail || !table_exists {
        return Ok(true);
    }
    let is_loaded = match (&manifest.loaded, &manifest.loading) {
        (Some(_), _) => true,
        // Only the database shows whether the load of a killed process was committed.
        (None, Some(loading)) => load::is_loaded(database, &manifest.load_id(loading.epoch, &loading.pages))?,
        (None, None) => false,
    };
    let maker = load::maker(database, &TableName::parse(&manifest.table)?)?;
    Ok(is_loaded && maker.is_none_or(|maker| maker == manifest.run_id))
}

fn resume(fetch: ProfileFetch, run_id: String, pages_done: u32) -> ResumeFetch {
    let ProfileFetch { table, mode, rules, mut control, .. } = fetch;
    control.callbacks.tell(&FetchEvent::Note(Note::Resuming { run_id: run_id.clone(), pages_done }));
    let mut resume = ResumeFetch::new(table).run(run_id);
    // A run that was started in parallel stays parallel.
    resume.mode = (mode != FetchMode::Sequential).then_some(mode);
    resume.hash_key = rules.key;
    resume.control = control;
    resume
}
