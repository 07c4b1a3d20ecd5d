//! What a load records about its run.

use crate::load::{DayChange, EventLoad, RunQuery, RunRecord};
use crate::slice::Slice;
use crate::stage::Manifest;

use super::core::Outcome;
use super::report::FetchedEvents;

/// Returns the record of the run. The costs in the manifest include those of this process.
pub(super) fn record(manifest: &Manifest, outcome: &Outcome, finished_at: jiff::Timestamp) -> RunRecord {
    let page_count = u32::try_from(outcome.staged.len()).unwrap_or(u32::MAX);
    RunRecord {
        dataset: manifest.dataset(),
        load_id: manifest.load_id(manifest.epoch, &outcome.staged),
        run_id: manifest.run_id.clone(),
        started_at: manifest.recorded_start(),
        finished_at,
        project_id: manifest.project_id.clone(),
        region: manifest.region.clone(),
        query: run_query(manifest, outcome),
        property_rules: manifest.property_rules.clone(),
        updates: manifest.updates,
        mode: manifest.mode,
        counts: outcome.counts.with_costs_of(&manifest.counts),
        page_count,
        failed_pages: outcome.failed.keys().copied().collect(),
    }
}

/// Returns what the run fetched, as the load records it.
fn run_query(manifest: &Manifest, outcome: &Outcome) -> RunQuery {
    match &manifest.events {
        None => RunQuery::Profiles(manifest.query.clone()),
        Some(events) => RunQuery::Events(EventLoad {
            query: events.query.clone(),
            refresh_days: events.refresh_days,
            replaced_days: events.replaced_days,
            failed_days: failed_slices(manifest, outcome).iter().map(|slice| (slice.from, slice.to)).collect(),
        }),
    }
}

/// Returns the slices that failed for good.
pub(super) fn failed_slices(manifest: &Manifest, outcome: &Outcome) -> Vec<Slice> {
    let slice = |part: &u32| manifest.slices.get(*part as usize).map(|record| record.slice.clone());
    outcome.failed.keys().filter_map(slice).collect()
}

/// Returns what a run of events fetched; `None` for one of profiles.
pub(super) fn fetched_events(
    manifest: &Manifest,
    outcome: &Outcome,
    change: Option<DayChange>,
) -> Option<FetchedEvents> {
    let query = manifest.events.as_ref()?.query.clone();
    Some(FetchedEvents { query, failed: failed_slices(manifest, outcome), change: change.unwrap_or_default() })
}
