//! The unfinished runs, as they are shown.

use std::path::Path;

use crate::clock::wall_clock;
use crate::error::Result;
use crate::profile_query::OnExisting;
use crate::stage::{self, Listed, Manifest, Progress};
use crate::types::{ONLY_PLANNED, UnfinishedRun};

use super::plan::Plan;

/// Lists the unfinished runs of a database, the newest first.
pub(crate) fn unfinished_runs(database: &Path) -> Result<Vec<UnfinishedRun>> {
    Ok(stage::list(database)?.into_iter().map(describe).collect())
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
    let Ok(manifest) = manifest else { return run };
    let age = wall_clock().duration_since(manifest.started_at);
    UnfinishedRun {
        pages_total: pages_total(&manifest),
        started_at: manifest.started_at.to_string(),
        age_seconds: u64::try_from(age.as_secs()).unwrap_or(0),
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
        Err(error) => error.to_string(),
        Ok(_) if listed.held_by.is_some() => "a process is working on it".to_owned(),
        Ok(Manifest { progress: Progress::Planned, .. }) => ONLY_PLANNED.to_owned(),
        Ok(Manifest { progress: Progress::Complete { .. }, .. }) => {
            "all pages are here; only the load is left".to_owned()
        }
        Ok(Manifest { progress: Progress::Fetching { reason }, .. }) if reason.is_empty() => {
            "its process ended without a word".to_owned()
        }
        Ok(Manifest { progress: Progress::Fetching { reason }, .. }) => reason.clone(),
    }
}

fn pages_total(manifest: &Manifest) -> Option<u32> {
    if let Progress::Complete { pages } = manifest.progress {
        return Some(pages);
    }
    let facts = manifest.session.as_ref()?;
    facts.total?;
    Plan::new(facts.total, facts.declared_page_size, facts.first_page_records).ok().map(|plan| plan.pages())
}
