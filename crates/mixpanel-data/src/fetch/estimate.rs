//! Estimates the cost of a fetch from page 0, which the fetch itself then reuses.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

use crate::api::ApiClient;
use crate::blocking::blocking;
use crate::clock::{Stopwatch, wall_clock};
use crate::dataset::PROFILES;
use crate::error::{Error, Result};
use crate::limits::{LOAD_ROWS_PER_SECOND, PAGE_SIZE_MAX};
use crate::profile_query::{FetchMode, ProfileQuery};
use crate::quota::{Pace, Usage};
use crate::stage::{self, Progress, Stage, StageRoots};
use crate::types::FetchEstimate;

use super::driver::{Finished, Run};
use super::ending::{ending_error, note};
use super::profiles::PageLayout;
use super::request::ProfileFetch;
use super::rules::{Extent, Rules};
use super::stage_roots::stage_roots;
use super::start::{new_manifest, preflight_estimate, validate_for_table};
use super::writer::into_stage;

/// Estimated disk use per staged byte: the stage itself, and two copies of the table while one replaces the other.
const BYTES_PER_STAGED_BYTE: u64 = 4;

/// Fetches page 0 and estimates the rest.
pub(crate) async fn plan_fetch(client: &ApiClient, database: &Path, mut fetch: ProfileFetch) -> Result<FetchEstimate> {
    let (table, valid) = validate_for_table(client, database, &mut fetch).await?;
    if valid.request.is_empty {
        return Err(Error::invalid("an empty list of ids selects no profiles, so there is nothing to estimate"));
    }
    let if_exists = fetch.if_exists;
    let rules = valid.recorded_rules();
    let (known_loads, table_exists) =
        preflight_estimate(&mut fetch.control, database, &PROFILES, &table, if_exists, &rules).await?;
    let mut callbacks = std::mem::take(&mut fetch.control.callbacks);
    valid.announce(client, &mut callbacks);
    let mut manifest = new_manifest(client, &fetch, &valid);
    (manifest.progress, manifest.known_loads) = (Progress::Planned, known_loads);
    let path = database.to_owned();
    let stage = blocking(move || {
        let roots = stage_roots(&path);
        let _turn = stage::lock_for_start(&roots)?;
        stage::sweep(&roots);
        drop_older_plans(&roots, &manifest)?;
        Stage::create(&roots, manifest)
    })
    .await?;
    let workers = valid.workers;
    let run = valid.into_run(client, &fetch.control, None);
    let rules = Rules { extent: Extent::FirstPage, workers: 1, ..run.rules };
    // A property that is not in page 0 may be in another one.
    let run = Run { rules, ..run.without_expectations() };
    let watch = Stopwatch::start();
    let Finished { outcome, target: mut stage, writer_error } = run.drive(stage, into_stage, &mut callbacks).await?;
    let page_seconds = (watch.elapsed().as_secs_f64() - outcome.counts.waited_seconds).max(0.0);
    let limiter = client.limiter().clone();
    blocking(move || {
        if let Some(error) = writer_error.or_else(|| ending_error(&outcome)) {
            let _ = stage.remove();
            return Err(error);
        }
        stage.update(|manifest| note(manifest, &outcome, Progress::Planned))?;
        let facts = stage.manifest().session.clone().unwrap_or_default();
        let mut pages =
            PageLayout::of(&facts).map_err(|_| Error::internal("a total that was refused came into a manifest"))?;
        pages.end_at(fetch.query.limit);
        let usage = limiter.usage(wall_clock())?;
        let estimate = Estimate { stage: &stage, layout: &pages, page_seconds, usage, workers, table_exists };
        Ok(estimate.report(&fetch))
    })
    .await
}

/// Removes older estimates of the same fetch; only the newest is kept.
fn drop_older_plans(roots: &StageRoots, manifest: &stage::Manifest) -> Result<()> {
    for listed in stage::list(roots)? {
        let is_plan = |older: &stage::Manifest| older.progress == Progress::Planned && older.is_same_fetch(manifest);
        if listed.held_by.is_none() && listed.manifest.as_ref().is_ok_and(is_plan) {
            stage::discard(roots, &listed.run_id)?;
        }
    }
    Ok(())
}

/// Estimates the seconds until `requests` requests are answered, of which `counted` count towards the quota: rounds of
/// parallel requests, and waits for the quota.
fn request_seconds(requests: u32, counted: u32, workers: u32, page_seconds: f64, usage: &Usage, now: Timestamp) -> f64 {
    let workers = workers.max(1);
    let within = Duration::try_from_secs_f64(page_seconds).unwrap_or_default();
    let pace = Pace { starts: usize::try_from(workers).unwrap_or(usize::MAX), within };
    f64::from(requests.div_ceil(workers)) * page_seconds + usage.wait(counted, pace, now).as_secs_f64()
}

/// The inputs of an estimate.
struct Estimate<'a> {
    stage: &'a Stage,
    layout: &'a PageLayout,
    page_seconds: f64,
    usage: Usage,
    workers: u32,
    /// Whether the table exists and the fetch does not say what happens to it.
    table_exists: bool,
}

impl Estimate<'_> {
    fn report(&self, fetch: &ProfileFetch) -> FetchEstimate {
        let layout = self.layout;
        let is_known = layout.total().is_some() || layout.tail_page().is_none();
        let pages = is_known.then(|| layout.pages());
        let requests = pages.map(|pages| pages - 1 + u32::from(layout.tail_page().is_some()));
        let counted = requests.map(|requests| if self.usage.session_pages_count { requests } else { 0 });
        let page_bytes = std::fs::metadata(self.stage.page_path(0)).map_or(0, |page| page.len());
        FetchEstimate {
            table: fetch.table.clone(),
            run_id: self.stage.manifest().run_id.clone(),
            expected_rows: layout.total(),
            page_size: layout.page_size(),
            pages,
            requests,
            counted_requests: counted,
            expected_seconds: requests.zip(counted).map(|(requests, counted)| self.seconds(layout, requests, counted)),
            expected_bytes: pages.map(|pages| page_bytes * u64::from(pages) * BYTES_PER_STAGED_BYTE),
            quota_used: self.usage.used,
            quota_limit: self.usage.limit,
            advice: self.advice(fetch, requests.unwrap_or(0)),
        }
    }

    /// Estimates the duration in seconds: the requests and the load.
    fn seconds(&self, layout: &PageLayout, requests: u32, counted: u32) -> f64 {
        let load = layout.total().unwrap_or(0) as f64 / LOAD_ROWS_PER_SECOND;
        let seconds =
            request_seconds(requests, counted, self.workers, self.page_seconds, &self.usage, wall_clock()) + load;
        (seconds * 10.0).round() / 10.0
    }

    fn advice(&self, fetch: &ProfileFetch, requests: u32) -> Vec<String> {
        let query: &ProfileQuery = &fetch.query;
        let page_size = self.layout.page_size();
        let mut advice = Vec::new();
        if self.table_exists {
            advice.push(format!(
                "table `{}` exists: the fetch needs `--replace`, `--append` or `--upsert`, or another table name",
                fetch.table
            ));
        }
        if requests > 0 && page_size < u64::from(PAGE_SIZE_MAX) {
            advice.push(format!(
                "a larger page size needs fewer requests: up to {PAGE_SIZE_MAX}, if the server allows it (currently \
                 {page_size})"
            ));
        }
        if requests > 1 && fetch.mode == FetchMode::Sequential {
            advice.push("parallel mode requests up to five pages at a time".to_owned());
        }
        if query.output_properties.is_none() {
            advice.push("requesting only the properties you need makes pages smaller and the server faster".to_owned());
        }
        if requests > 0 && query.where_.is_none() && query.since.is_none() && query.limit.is_none() {
            advice.push(
                "a filter reduces the number of profiles; `--since last` fetches only those seen since the last load"
                    .to_owned(),
            );
        }
        advice
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn each_counted_request_waits_for_the_next_departure() {
        let now: Timestamp = "2026-11-26T12:00:00Z".parse().unwrap();
        let at = |seconds| now + SignedDuration::from_secs(seconds);
        let usage = |departures: Vec<Timestamp>| Usage {
            used: departures.len().try_into().unwrap(),
            limit: 3,
            reserve: 0,
            window: Duration::from_secs(3_600),
            counted_for: Duration::from_secs(3_606),
            next_free_at: departures.first().filter(|_| departures.len() == 3).copied(),
            departures,
            session_pages_count: true,
        };
        let used = || usage(vec![at(10), at(500), at(900)]);
        let free = || usage(Vec::new());
        #[rustfmt::skip]
        let cases = [
            // usage, requests, counted, workers, seconds with 2 s per page
            (used(), 7, 0, 1, 14.0),
            (used(), 1, 1, 1, 12.0),
            (used(), 3, 3, 1, 900.0 + 2.0),
            (free(), 3, 3, 1, 6.0),
            (free(), 3, 3, 3, 2.0),
            (free(), 4, 4, 1, 3_606.0 + 2.0),
            (free(), 6, 6, 3, 3_606.0 + 2.0),
        ];
        for (usage, requests, counted, workers, expected) in cases {
            let seconds = request_seconds(requests, counted, workers, 2.0, &usage, now);
            // A request that waits may overlap with the round of the one before.
            let slack = 2.0 * f64::from(requests.div_ceil(workers) - 1);
            assert!((expected..=expected + slack).contains(&seconds), "{requests} by {workers}: {seconds}");
        }
    }
}
