//! A validated fetch of events: its slices, its rules and its quota.

use std::sync::Arc;

use crate::api::ApiClient;
use crate::blocking::blocking;
use crate::clock::{new_run_id, wall_clock};
use crate::error::Result;
use crate::limits::{EVENT_WORKERS_DEFAULT, PLANNED_QUOTA_PERCENT, STOP_GRACE};
use crate::memory::slices_in_flight;
use crate::parse::{EventReading, RecordForm};
use crate::profile_query::FetchMode;
use crate::property_rules::{ActiveRules, PropertyRules};
use crate::quota::{RateLimiter, Usage};
use crate::slice::Slice;
use crate::stage::{EventRun, Manifest, SliceDirectory, SliceRecord, SliceState};
use crate::warning::Warning;

use super::super::callbacks::Callbacks;
use super::super::driver::{Requests, Run};
use super::super::progress::FetchEvent;
use super::super::request::Control;
use super::super::source::PriorRun;
use super::super::start::check_raw;
use super::planner::{days_of_slice, divide};
use super::request::EventsRequest;

/// A validated fetch of events.
#[derive(Debug)]
pub(in crate::fetch) struct ValidEvents {
    pub(in crate::fetch) run: EventRun,
    /// Maximum number of requests in flight, for which there is memory.
    pub(in crate::fetch) workers: u32,
    /// Which properties to drop or hash.
    pub(in crate::fetch) rules: Option<Arc<ActiveRules>>,
    limiter: RateLimiter,
    form: RecordForm,
}

impl ValidEvents {
    /// Validates the options and the property rules, and opens the quota ledger.
    ///
    /// # Errors
    /// `InvalidInput` that names the option and the rule; `Tls` and the errors of a proxy.
    pub(in crate::fetch) async fn of_request(
        client: &ApiClient,
        request: &EventsRequest,
        control: &Control,
        form: RecordForm,
    ) -> Result<Self> {
        control.options.check()?;
        let rules = request.rules.check_for_events()?;
        check_raw(form, rules.is_some())?;
        let limiter = open_limiter(client).await?;
        let run = EventRun {
            query: request.query.clone(),
            chunk_days: request.chunk_days,
            requests: planned_requests(client),
            refresh_days: request.refresh_days,
            replaced_days: request.replaced_days,
        };
        let workers = workers(request.mode, control);
        Ok(Self { run, workers, rules, limiter, form })
    }

    /// Returns what a resumed run fetches. `rules` are those that its manifest records.
    ///
    /// # Errors
    /// `InvalidInput` that names the option and the rule; `Tls` and the errors of a proxy.
    pub(in crate::fetch) async fn of_run(
        client: &ApiClient,
        run: EventRun,
        mode: FetchMode,
        control: &Control,
        rules: Option<Arc<ActiveRules>>,
    ) -> Result<Self> {
        control.options.check()?;
        let workers = workers(mode, control);
        let limiter = open_limiter(client).await?;
        Ok(Self { run, workers, rules, limiter, form: RecordForm::Row })
    }

    /// Returns the slices of a new run.
    pub(in crate::fetch) fn slices(&self) -> Vec<Slice> {
        let EventRun { query, chunk_days, requests, .. } = &self.run;
        let days = match (query.limit, chunk_days) {
            // The limit applies to each request.
            (Some(_), _) => query.days(),
            (None, Some(days)) => *days,
            (None, None) => days_of_slice(query.days(), *requests),
        };
        divide(query.from, query.to, &query.events, days)
    }

    /// Creates the manifest of a new run.
    pub(in crate::fetch) fn manifest(&self, client: &ApiClient, request: &EventsRequest) -> Manifest {
        let credentials = client.credentials();
        let (project_id, region) = (credentials.project_id.as_str(), credentials.region.as_str());
        let mut manifest = Manifest::new(new_run_id(), wall_clock(), project_id, region);
        manifest.server = client.server_name();
        manifest.table.clone_from(&request.table);
        manifest.if_exists = request.if_exists;
        manifest.mode = request.mode;
        manifest.set_rules(self.recorded_rules());
        let planned = |slice| SliceRecord { slice, state: SliceState::Planned };
        manifest.set_events(self.run.clone(), self.slices().into_iter().map(planned).collect());
        manifest
    }

    /// Returns the rules for properties as they are recorded.
    pub(in crate::fetch) fn recorded_rules(&self) -> PropertyRules {
        self.rules.as_ref().map(|rules| rules.recorded().clone()).unwrap_or_default()
    }

    /// Returns the current usage of the quota for exports.
    ///
    /// # Errors
    /// `Storage` or `DiskFull` if the ledger cannot be read or written.
    pub(in crate::fetch) async fn usage(&self) -> Result<Usage> {
        let limiter = self.limiter.clone();
        blocking(move || limiter.usage(wall_clock())).await
    }

    /// Warns the caller if the quota ledger is not shared.
    pub(in crate::fetch) fn announce(&self, client: &ApiClient, callbacks: &mut Callbacks) {
        let ledger = client.export_ledger_notice().map(|reason| Warning::LedgerNotShared { reason });
        ledger.iter().for_each(|warning| callbacks.tell(&FetchEvent::Warning(warning.clone())));
    }

    /// Creates a run that fetches the slices that an earlier process has not staged.
    pub(in crate::fetch) fn into_run(
        self,
        client: &ApiClient,
        control: &Control,
        earlier: PriorRun,
        directory: SliceDirectory,
    ) -> Run {
        let timezone = self.run.query.timezone.clone();
        Run {
            client: client.clone(),
            requests: Requests::Events {
                query: self.run.query,
                reading: EventReading { form: self.form, rules: self.rules, timezone },
                directory,
                limiter: self.limiter,
            },
            rules: control.options.rules(self.workers),
            earlier: Some(earlier),
            cancel: control.cancel.clone(),
            stop_grace: STOP_GRACE,
        }
    }
}

/// Returns the maximum number of requests in flight, for which there is memory.
fn workers(mode: FetchMode, control: &Control) -> u32 {
    let workers = match mode {
        FetchMode::Sequential => 1,
        FetchMode::Parallel { max_workers } => max_workers.unwrap_or(EVENT_WORKERS_DEFAULT).max(1),
    };
    workers.min(slices_in_flight(control.options.memory))
}

/// Opens the quota ledger for exports, and checks that the server can be connected to.
async fn open_limiter(client: &ApiClient) -> Result<RateLimiter> {
    client.prepare_export()?;
    let client = client.clone();
    blocking(move || client.export_limiter()).await
}

/// Returns how many requests a plan may need, so that there is room in the quota for slices that fail.
fn planned_requests(client: &ApiClient) -> u32 {
    (client.quota().usable() * PLANNED_QUOTA_PERCENT / 100).max(1)
}
