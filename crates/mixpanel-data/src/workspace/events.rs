//! The operations of a workspace that fetch events.

use std::ops::ControlFlow;

use arrow::array::RecordBatch;

use super::Workspace;
use super::event_fetch::{EventFetch, Replaces, Start};
use crate::api::ApiClient;
use crate::blocking::blocking;
use crate::clock::wall_clock;
use crate::error::{Error, Result};
use crate::event_query::{Dedupe, EventQuery};
use crate::fetch::{
    Control, EventsReport, EventsRequest, FetchEvent, RecordSink, ResumeFetch, fetch_events_into_table, plan_events,
    resume_events_into_table, run_to_resume, stream_events, waiting_for_database,
};
use crate::load::{self, DayState, LastEventLoad, RecordedDay};
use crate::note::Note;
use crate::parse::RecordForm;
use crate::profile_query::{FetchMode, IfExists};
use crate::project_time_zone::ProjectTimeZone;
use crate::store::TableName;
use crate::types::{EventEstimate, EventFetchResult, EventStreamResult, FetchResult, ParallelFetchResult};
use crate::warning::Warning;

impl Workspace {
    /// Fetches the events of a range of days into a table. The range is requested in parts of one or more days; each is
    /// staged next to the database as it arrives, and a single load inserts them all, ordered by day and time and
    /// without duplicates.
    ///
    /// Arguments, the database and the table are checked before the first request. Date ranges that fail for good are
    /// listed in the result, and the others are loaded. The exception is `replace`: if any are missing, the old table is
    /// kept unchanged.
    ///
    /// # Errors
    /// An error means that nothing was loaded; [`Error::run_id`] is set when fetched date ranges remain staged. Same as
    /// [`fetch_profiles`](Self::fetch_profiles), plus `DateRangeTooLarge` for a sequential fetch of more than
    /// [`SEQUENTIAL_DAYS_MAX`](crate::limits::SEQUENTIAL_DAYS_MAX) days.
    ///
    /// # Cancellation
    /// Cancel the token of [`EventFetch::cancel_with`]. Dropping the future abandons the fetch; staged date ranges are
    /// kept, and a load that has begun still finishes.
    pub async fn fetch_events(&self, fetch: EventFetch) -> Result<EventFetchResult> {
        let client = self.connected().await?;
        let (request, control) = self.request(fetch).await?;
        self.fetch_into_table(&client, request, control).await
    }

    async fn fetch_into_table(
        &self,
        client: &ApiClient,
        request: EventsRequest,
        control: Control,
    ) -> Result<EventFetchResult> {
        let mode = request.mode;
        let report = fetch_events_into_table(client, &self.database, request, control).await?;
        Ok(result(mode, report))
    }

    /// Brings a table of events up to date with a single call, such as from a timer: resumes the newest unfinished run
    /// that has the same filters; otherwise fetches the days that may still change and those that came after, as
    /// [`EventFetch::since_last_load`] does; otherwise, if the table does not exist, fetches all days since
    /// [`EventFetch::from_day`]. Nothing new is a success.
    ///
    /// # Errors
    /// Same as [`fetch_events`](Self::fetch_events) and [`resume_events`](Self::resume_events). `InvalidInput` if there
    /// is neither a table nor a first day, or the filters are not those of the table's last load; `RunBusy`, with the
    /// process in [`Error::holding_pid`], while another process fetches into the table.
    ///
    /// # Cancellation
    /// Same as [`fetch_events`](Self::fetch_events).
    pub async fn refresh_events(&self, mut fetch: EventFetch) -> Result<EventFetchResult> {
        if fetch.start != Start::Given || fetch.arguments.to.is_some() || fetch.if_exists != IfExists::Fail {
            return Err(Error::invalid(
                "a refresh determines the days and replaces them; set at most the first day, for a new table",
            ));
        }
        if fetch.arguments.limit.is_some() {
            return Err(Error::invalid("a sample cannot bring a table up to date; leave out the limit"));
        }
        fetch.check()?;
        let client = self.connected().await?;
        let table = TableName::parse(&fetch.table)?;
        let last = self.last_load(&table, &mut fetch.control).await?;
        let zone = time_zone(&fetch, last.as_ref())?;
        let mut wanted = fetch.arguments.clone();
        (wanted.from, wanted.to) = (Some(crate::Day::Ago(0)), Some(crate::Day::Ago(0)));
        let wanted = wanted.query(zone.clone(), zone.today(wall_clock()))?;
        let wanted = (&wanted, &fetch.rules);
        if let Some(run) = run_to_resume(&client, &self.database, &table, wanted, last.as_ref()).await? {
            let note = Note::ResumingEvents { run_id: run.run_id.clone(), batches_done: run.batches_done };
            fetch.control.callbacks.tell(&FetchEvent::Note(note));
            let mut resume = ResumeFetch::new(fetch.table).run(run.run_id);
            // A run that was started in parallel stays parallel.
            resume.mode = (fetch.arguments.mode != FetchMode::Sequential).then_some(fetch.arguments.mode);
            resume.hash_key = fetch.rules.key;
            resume.control = fetch.control;
            return self.resume_events(resume).await;
        }
        match (&last, fetch.arguments.from) {
            (Some(_), _) => fetch = fetch.since_last_load(),
            (None, Some(from)) => fetch.until_today(from),
            (None, None) => return Err(nothing_to_continue(&table)),
        }
        let (request, control) = self.request_after(fetch, &table, last)?;
        self.fetch_into_table(&client, request, control).await
    }

    /// Resumes an unfinished run of events: requests the date ranges that are not on disk, then loads. If the other
    /// ranges of the run are already in the table, its failed ones are fetched and added.
    ///
    /// # Errors
    /// Same as [`fetch_events`](Self::fetch_events) and [`resume_fetch`](Self::resume_fetch); `InvalidInput` for a run
    /// of profiles.
    ///
    /// # Cancellation
    /// Same as [`fetch_events`](Self::fetch_events).
    pub async fn resume_events(&self, resume: ResumeFetch) -> Result<EventFetchResult> {
        let client = self.connected().await?;
        let (mode, report) = resume_events_into_table(&client, &self.database, resume).await?;
        Ok(result(mode, report))
    }

    /// Estimates a fetch of events. Sends no request and changes nothing.
    ///
    /// # Errors
    /// Same as [`fetch_events`](Self::fetch_events), except `TableExists`.
    ///
    /// # Cancellation
    /// Same as [`fetch_events`](Self::fetch_events).
    pub async fn plan_events(&self, fetch: EventFetch) -> Result<EventEstimate> {
        let client = self.connected().await?;
        let (request, control) = self.request(fetch).await?;
        plan_events(&client, &self.database, request, control).await
    }

    /// Fetches events and passes them to `sink`, one JSON text at a time, instead of loading them into a table. The date
    /// ranges are passed on in order, each when it is complete; within one, the order is the server's. If the sink
    /// returns `Break`, the fetch ends without an error. The fetch's table and `if_exists` are ignored.
    ///
    /// Duplicates are not removed.
    ///
    /// # Errors
    /// Same as [`fetch_events`](Self::fetch_events), except those about tables. Some events may already have been passed
    /// to the sink.
    ///
    /// # Cancellation
    /// Same as [`fetch_events`](Self::fetch_events); date ranges waiting for an earlier one are deleted.
    pub async fn stream_events(
        &self,
        fetch: EventFetch,
        form: RecordForm,
        sink: impl FnMut(&str) -> ControlFlow<()> + Send + 'static,
    ) -> Result<EventStreamResult> {
        self.stream_events_into(fetch, form, RecordSink::Lines(Box::new(sink))).await
    }

    /// Like [`stream_events`](Self::stream_events), but passes on record batches with the columns of a table:
    /// `event_name`, `event_time`, `distinct_id`, `insert_id`, and `properties` as JSON text.
    ///
    /// # Errors
    /// Same as [`stream_events`](Self::stream_events).
    ///
    /// # Cancellation
    /// Same as [`stream_events`](Self::stream_events).
    pub async fn stream_events_arrow(
        &self,
        fetch: EventFetch,
        sink: impl FnMut(RecordBatch) -> ControlFlow<()> + Send + 'static,
    ) -> Result<EventStreamResult> {
        self.stream_events_into(fetch, RecordForm::Row, RecordSink::Batches(Box::new(sink))).await
    }

    async fn stream_events_into(
        &self,
        mut fetch: EventFetch,
        form: RecordForm,
        sink: RecordSink,
    ) -> Result<EventStreamResult> {
        fetch.check()?;
        match fetch.start {
            Start::Given | Start::Again => {}
            Start::Day(day) => fetch.until_today(day),
            Start::LastLoad => {
                return Err(Error::invalid("`--since last` requires a table; for a stream, name the first day"));
            }
        }
        let client = self.connected().await?;
        let zone = time_zone(&fetch, None)?;
        let (request, control) = fetch.into_request(zone, wall_clock(), Replaces::Nothing)?;
        stream_events(&client, &self.database, request, control, form, sink).await
    }

    /// Checks the arguments of a fetch into a table and determines its days.
    async fn request(&self, mut fetch: EventFetch) -> Result<(EventsRequest, Control)> {
        fetch.check()?;
        let table = TableName::parse(&fetch.table)?;
        let last = self.last_load(&table, &mut fetch.control).await?;
        self.request_after(fetch, &table, last)
    }

    /// Determines the days of a fetch into a table with this last load.
    fn request_after(
        &self,
        mut fetch: EventFetch,
        table: &TableName,
        last: Option<LastEventLoad>,
    ) -> Result<(EventsRequest, Control)> {
        let zone = time_zone(&fetch, last.as_ref())?;
        let now = wall_clock();
        let replaces = match (fetch.start, &last) {
            (Start::Given, _) => Replaces::Nothing,
            (Start::Again, _) => Replaces::Days,
            (Start::Day(day), None) => {
                fetch.until_today(day);
                Replaces::Nothing
            }
            (Start::Day(day), Some(_)) => {
                fetch.until_today(day);
                Replaces::Days
            }
            (Start::LastLoad, None) => return Err(nothing_to_continue(table)),
            (Start::LastLoad, Some(last)) => {
                // A machine whose clock was ahead may have recorded days that have not begun.
                let first = first_day(last).map_or(zone.today(now), |day| day.min(zone.today(now)));
                warnings(table, last)
                    .into_iter()
                    .for_each(|warning| fetch.control.callbacks.tell(&FetchEvent::Warning(warning)));
                fetch.until_today(first);
                Replaces::Days
            }
        };
        let (request, control) = fetch.into_request(zone, now, replaces)?;
        match last {
            Some(last) if replaces == Replaces::Days => self.check_same_events(table, &last, &request.query)?,
            Some(last) if request.if_exists == IfExists::Append => check_dedupe(table, &last, &request.query)?,
            _ => {}
        }
        Ok((request, control))
    }

    /// Returns what is recorded about the last load of events into a table, if any.
    async fn last_load(&self, table: &TableName, control: &mut Control) -> Result<Option<LastEventLoad>> {
        let (database, name) = (self.database.clone(), table.clone());
        let repaired = self.clone();
        blocking(move || Ok(repaired.repair_database().unwrap_or_default())).await?;
        waiting_for_database(control, move |()| ((), load::last_event_load(&database, &name))).await
    }

    /// Checks that the last load of a table is one of the workspace's project.
    pub(super) fn check_project(&self, table: &TableName, last: &LastEventLoad) -> Result<()> {
        match &self.credentials {
            Some(own) if (own.project_id.as_str(), own.region.as_str()) != (&*last.project_id, &*last.region) => {
                Err(Error::invalid(format!(
                    "table `{table}` belongs to project {} in region {}; use that project, or another table",
                    last.project_id, last.region
                )))
            }
            _ => Ok(()),
        }
    }

    /// Checks that a fetch which replaces days selects the same events as the table's last load.
    fn check_same_events(&self, table: &TableName, last: &LastEventLoad, query: &EventQuery) -> Result<()> {
        self.check_project(table, last)?;
        // All events of a day may replace those that narrower loads brought, but not the other way around.
        let is_whole = |recorded: &&EventQuery| !recorded.selects_some() && recorded.difference(query).is_none();
        let differs = match query.selects_some() {
            true => last.queries.iter().find_map(|recorded| recorded.difference(query).map(|part| (part, recorded))),
            false if last.queries.iter().any(|recorded| is_whole(&recorded)) => None,
            false => last.query.difference(query).map(|part| (part, &last.query)),
        };
        let Some((part, recorded)) = differs else { return check_rule(table, last, query) };
        if part == "deduplication" {
            return Err(other_rule(table, recorded, query));
        }
        Err(Error::invalid(format!(
            "table `{table}` was loaded with {}, and this fetch has {}; its days would not be replaced by the same events",
            recorded.in_words(part),
            query.in_words(part)
        )))
    }
}

/// Checks that a fetch removes the same duplicates as the table's last load.
fn check_rule(table: &TableName, last: &LastEventLoad, query: &EventQuery) -> Result<()> {
    if last.query.dedupe == query.dedupe { Ok(()) } else { Err(other_rule(table, &last.query, query)) }
}

fn other_rule(table: &TableName, recorded: &EventQuery, query: &EventQuery) -> Error {
    let (of_table, given) = (recorded.in_words("deduplication"), query.in_words("deduplication"));
    Error::invalid(format!(
        "table `{table}` was loaded with {of_table}, and this fetch has {given}; use the table's rule, or replace the table"
    ))
        .with_detail("dedupe", recorded.dedupe.to_string())
}

/// Checks that an append has the rule of the table, and that one with `Dedupe::None` meets no day that the table already
/// has: which of its events are already there cannot be told.
fn check_dedupe(table: &TableName, last: &LastEventLoad, query: &EventQuery) -> Result<()> {
    check_rule(table, last, query)?;
    let known = last.days.iter().find(|day| (query.from..=query.to).contains(&day.day));
    match known.filter(|_| query.dedupe == Dedupe::None) {
        None => Ok(()),
        Some(day) => Err(Error::invalid(format!(
            "table `{table}` already has events of {}, and without removing duplicates it cannot be told which events are \
             new; `--since` replaces whole days",
            day.day
        ))),
    }
}

/// Returns the warnings about days that a table should have.
fn warnings(table: &TableName, last: &LastEventLoad) -> Vec<Warning> {
    let removed: Vec<&RecordedDay> = last.days.iter().filter(|day| day.rows_now < day.rows).collect();
    let removed = removed.first().map(|first| Warning::EventsRemoved {
        table: table.to_string(),
        days: removed.len() as u64,
        first: first.day.to_string(),
    });
    let gaps = last.missing_days();
    let missing = gaps.first().map(|first| Warning::DaysMissing {
        table: table.to_string(),
        days: gaps.len() as u64,
        first: first.to_string(),
    });
    removed.into_iter().chain(missing).collect()
}

/// Returns the first day that may still change or lacks rows, else the one after the last.
fn first_day(last: &LastEventLoad) -> Option<jiff::civil::Date> {
    let is_to_fetch = |day: &&RecordedDay| day.state == DayState::Open || day.rows_now < day.rows;
    let open = last.days.iter().find(is_to_fetch).map(|day| day.day);
    open.or_else(|| last.days.last().and_then(|day| day.day.tomorrow().ok()))
}

/// Returns the time zone of a fetch: the one it names, else that of the table's last load, else UTC.
///
/// # Errors
/// `InvalidInput` for an unknown zone, and for one in which the days of an existing table are not counted.
fn time_zone(fetch: &EventFetch, last: Option<&LastEventLoad>) -> Result<ProjectTimeZone> {
    let of_table = last.map(|last| &last.query.timezone);
    let Some(name) = &fetch.time_zone else { return Ok(of_table.cloned().unwrap_or_default()) };
    let zone = ProjectTimeZone::parse(name)?;
    match of_table.filter(|of_table| **of_table != zone && fetch.if_exists != IfExists::Replace) {
        None => Ok(zone),
        Some(of_table) => Err(Error::invalid(format!(
            "the days of table `{}` are those of {}, not of {}; replace the table, or use another one",
            fetch.table,
            of_table.name(),
            zone.name()
        ))),
    }
}

fn nothing_to_continue(table: &TableName) -> Error {
    Error::invalid(format!("table `{table}` has no load of events to continue from; name the first day"))
}

fn result(mode: FetchMode, report: EventsReport) -> EventFetchResult {
    let date_range = (report.query.from.to_string(), report.query.to.to_string());
    match mode {
        FetchMode::Sequential => EventFetchResult::Sequential(FetchResult {
            table: report.table,
            rows: report.rows,
            kind: "events",
            duration_seconds: report.duration_seconds,
            date_range: Some(date_range),
            fetched_at: report.fetched_at,
            failed_page_indices: Vec::new(),
            failed_date_ranges: report.failed_date_ranges,
            counts: report.counts,
            events: Some(report.events),
            run_id: report.run_id,
            loaded: report.loaded,
        }),
        FetchMode::Parallel { .. } => EventFetchResult::Parallel(ParallelFetchResult {
            table: report.table,
            total_rows: report.rows,
            successful_batches: report.successful_batches,
            failed_batches: report.failed_batches,
            failed_date_ranges: report.failed_date_ranges,
            date_range,
            duration_seconds: report.duration_seconds,
            fetched_at: report.fetched_at,
            counts: report.counts,
            events: report.events,
            run_id: report.run_id,
            loaded: report.loaded,
        }),
    }
}
