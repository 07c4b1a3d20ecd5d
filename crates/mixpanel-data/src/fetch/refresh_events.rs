//! Finds the unfinished run that a refresh of events resumes.

use std::path::Path;

use crate::api::ApiClient;
use crate::blocking::blocking;
use crate::error::Result;
use crate::event_query::EventQuery;
use crate::load::LastEventLoad;
use crate::profile_query::IfExists;
use crate::property_rules::RequestedRules;
use crate::stage::{self, Manifest, Progress};
use crate::store::TableName;

use super::identity::check_same_run;
use super::request::Control;
use super::stage_roots::stage_roots;
use super::superseded::is_superseded;
use super::unfinished::check_alone;
use super::waiting::waiting;

/// A run that a refresh resumes.
#[derive(Debug)]
pub(crate) struct RunToResume {
    pub(crate) run_id: String,
    /// Number of date ranges on disk.
    pub(crate) batches_done: u32,
}

/// Returns the newest unfinished run that fetches the same events into the table, unless the table was loaded since.
/// `last` is the table's last load.
///
/// # Errors
/// `RunBusy` while another process fetches into the table; `InvalidInput` for rules that contradict each other;
/// `Storage`.
pub(crate) async fn run_to_resume(
    client: &ApiClient,
    database: &Path,
    table: &TableName,
    (query, rules): (&EventQuery, &RequestedRules),
    last: Option<&LastEventLoad>,
) -> Result<Option<RunToResume>> {
    let rules = rules.check_for_events()?.map(|rules| rules.recorded().clone()).unwrap_or_default();
    let (path, name) = (database.to_owned(), table.clone());
    let runs = blocking(move || {
        let roots = stage_roots(&path);
        stage::sweep(&roots);
        let runs = stage::list(&roots)?;
        check_alone(&runs, name.as_str())?;
        Ok(runs)
    })
    .await?;
    let is_usable = |manifest: &Manifest| {
        let Some(run) = &manifest.events else { return false };
        manifest.table.eq_ignore_ascii_case(table.as_str())
            && manifest.progress != Progress::Planned
            && manifest.property_rules == rules
            && check_same_run(manifest, client, None).is_ok()
            && run.query.limit.is_none()
            && run.query.difference(query).is_none()
            && can_load(manifest, last)
    };
    let readable = runs.into_iter().filter_map(|run| Some((run.manifest.ok()?, run.pages_done)));
    let usable: Vec<(Manifest, u32)> = readable.filter(|(manifest, _)| is_usable(manifest)).collect();
    let path = database.to_owned();
    blocking(move || {
        for (manifest, batches_done) in usable {
            if !is_superseded(&manifest, manifest.if_exists, &path)? {
                return Ok(Some(RunToResume { run_id: manifest.run_id, batches_done }));
            }
        }
        Ok(None)
    })
    .await
}

/// Returns whether the run can load its events: the table does not exist if the run creates it. A run that has loaded
/// them already can be completed, which removes its files.
fn can_load(manifest: &Manifest, last: Option<&LastEventLoad>) -> bool {
    let Some(last) = last else { return true };
    // A run that has loaded a part of its events completes that load. The manifest of a process that was killed after the
    // commit does not mention the load.
    manifest.loaded.is_some() || last.run_id == manifest.run_id || manifest.if_exists != IfExists::Fail
}

/// Calls `look`, retrying for as long as the checks before the first request may take while another process has the
/// database open.
pub(crate) async fn waiting_for_database<T: Send + 'static>(
    control: &mut Control,
    look: impl Fn(()) -> ((), Result<T>) + Clone + Send + 'static,
) -> Result<T> {
    let at_most = control.options.preflight_wait();
    waiting(control, at_most, (), look).await.map(|((), found)| found)
}
