//! Unfinished runs: how they are listed and opened, and when they prevent another fetch.

use std::path::Path;

use jiff::Timestamp;

use crate::clock::{moment_of, wall_clock};
use crate::error::{Error, ErrorKind, Result};
use crate::profile_query::OnExisting;
use crate::stage::{self, Listed, Manifest, Progress, Stage};
use crate::types::{ONLY_PLANNED, UnfinishedRun};

use super::plan::Plan;

/// Lists the unfinished runs of a database, newest first.
pub(crate) fn unfinished_runs(database: &Path) -> Result<Vec<UnfinishedRun>> {
    Ok(stage::list(database)?.into_iter().map(describe).collect())
}

/// Opens the newest unfinished run of a table, or the run with the given id.
pub(super) fn open_run(database: &Path, table: &str, run_id: Option<&str>) -> Result<Stage> {
    let _turn = stage::take_turn(database)?;
    check_alone(&stage::list(database)?, table)?;
    if let Some(run_id) = run_id {
        return Stage::open(database, run_id);
    }
    let is_of_table = |listed: &&stage::Listed| {
        listed.manifest.as_ref().is_ok_and(|manifest| manifest.table.eq_ignore_ascii_case(table))
    };
    let mut runs = stage::list(database)?;
    // A run that was only planned comes last: it is only the beginning of a fetch.
    runs.sort_by_key(|run| run.manifest.as_ref().is_ok_and(|manifest| manifest.progress == Progress::Planned));
    match runs.iter().find(is_of_table) {
        Some(run) => Stage::open(database, &run.run_id),
        None => Err(none_of_table(runs, table)),
    }
}

/// Rejects a second fetch into a table: only one of the two could load its pages.
///
/// # Errors
/// `RunBusy` with the process of the first fetch, also if its table cannot be determined.
pub(super) fn check_alone(runs: &[Listed], table: &str) -> Result<()> {
    for run in runs {
        let Some(pid) = run.held_by else { continue };
        let message = match &run.manifest {
            Ok(manifest) if !manifest.table.eq_ignore_ascii_case(table) => continue,
            Ok(_) => format!("process {pid} is fetching into the table `{table}` already"),
            // A newer version of this program may be fetching into the same table.
            Err(error) => format!(
                "process {pid} is working on run `{}`, which may be of the table `{table}` and cannot be read: {}",
                run.run_id,
                with_causes(error)
            ),
        };
        return Err(Error::new(ErrorKind::RunBusy, message).with_detail("holding_pid", pid));
    }
    Ok(())
}

/// Makes the error for a table without a run to resume. A run that cannot be read may belong to it.
fn none_of_table(runs: Vec<Listed>, table: &str) -> Error {
    let unreadable = runs.into_iter().find_map(|run| Some((run.run_id, run.manifest.err()?)));
    let error = match unreadable {
        None => Error::new(ErrorKind::RunNotFound, format!("there is no unfinished run of the table `{table}`")),
        Some((run_id, error)) => {
            let message =
                format!("no unfinished run of the table `{table}` can be read, and run `{run_id}` cannot be read");
            Error::new(ErrorKind::Storage, message).with_source(error)
        }
    };
    error.with_detail("table_name", table)
}

fn describe(listed: Listed) -> UnfinishedRun {
    let reason = reason(&listed);
    let held_by = listed.held_by;
    let Listed { run_id, manifest, pages_done, bytes, .. } = listed;
    let run = UnfinishedRun {
        run_id,
        table: String::new(),
        project_id: String::new(),
        region: String::new(),
        on_existing: OnExisting::Fail,
        started_at: String::new(),
        age_seconds: 0,
        pages_done,
        pages_total: None,
        bytes,
        reason,
        is_loaded_in_part: false,
        held_by,
    };
    let age_of = |began: Timestamp| u64::try_from(wall_clock().duration_since(began).as_secs()).unwrap_or(0);
    let Ok(manifest) = manifest else {
        let Some(began) = moment_of(&run.run_id) else { return run };
        return UnfinishedRun { started_at: began.to_string(), age_seconds: age_of(began), ..run };
    };
    UnfinishedRun {
        pages_total: pages_total(&manifest),
        started_at: manifest.started_at.to_string(),
        age_seconds: age_of(manifest.started_at),
        is_loaded_in_part: manifest.loaded.is_some(),
        table: manifest.table,
        project_id: manifest.project_id,
        region: manifest.region,
        on_existing: manifest.on_existing,
        ..run
    }
}

fn reason(listed: &Listed) -> String {
    match &listed.manifest {
        Err(error) => with_causes(error),
        Ok(_) if listed.held_by.is_some() => "a process is working on it".to_owned(),
        Ok(Manifest { progress: Progress::Planned, .. }) => ONLY_PLANNED.to_owned(),
        Ok(Manifest { progress: Progress::Complete { .. }, .. }) => {
            "all pages are here; only the load is left".to_owned()
        }
        Ok(Manifest { progress: Progress::Fetching { reason }, .. }) if reason.is_empty() => {
            "the process exited without recording a reason".to_owned()
        }
        Ok(Manifest { progress: Progress::Fetching { reason }, .. }) => reason.clone(),
    }
}

/// Formats an error and its causes in one line.
fn with_causes(error: &Error) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        text.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    text
}

fn pages_total(manifest: &Manifest) -> Option<u32> {
    if let Progress::Complete { pages } = manifest.progress {
        return Some(pages);
    }
    let facts = manifest.session.as_ref()?;
    facts.total?;
    Plan::new(facts.total, facts.declared_page_size, facts.first_page_records).ok().map(|plan| plan.pages())
}
