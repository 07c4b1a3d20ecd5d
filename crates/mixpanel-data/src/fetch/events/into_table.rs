//! Fetches events into a table.

use std::path::Path;

use crate::api::ApiClient;
use crate::clock::Stopwatch;
use crate::dataset::EVENTS;
use crate::error::Result;
use crate::event_query::check_no_upsert;
use crate::parse::RecordForm;
use crate::profile_query::FetchMode;
use crate::store::TableName;

use super::super::into_table::{NewRun, resume_into_table};
use super::super::request::{Control, ResumeFetch};
use super::super::selection::Selection;
use super::super::start::{preflight, repair};
use super::request::{EventsReport, EventsRequest};
use super::valid::ValidEvents;

/// Fetches events into a table of `database`.
///
/// # Errors
/// Same as [`Workspace::fetch_profiles`](crate::Workspace::fetch_profiles).
pub(crate) async fn fetch_events_into_table(
    client: &ApiClient,
    database: &Path,
    request: EventsRequest,
    mut control: Control,
) -> Result<EventsReport> {
    let watch = Stopwatch::start();
    let table = TableName::parse(&request.table)?;
    repair(&mut control, database).await?;
    let valid = ValidEvents::of_request(client, &request, &control, RecordForm::Row).await?;
    let rules = valid.recorded_rules();
    let known_loads = preflight(&mut control, database, &EVENTS, &table, request.if_exists, &rules).await?;
    let manifest = valid.manifest(client, &request);
    let run = NewRun { client, database, table, if_exists: request.if_exists, watch, known_loads };
    let report = run.fetch(manifest, Selection::Events(Box::new(valid)), control).await?;
    report.into_events()
}

/// Resumes an unfinished run of events.
///
/// # Errors
/// Same as [`Workspace::resume_fetch`](crate::Workspace::resume_fetch).
pub(crate) async fn resume_events_into_table(
    client: &ApiClient,
    database: &Path,
    resume: ResumeFetch,
) -> Result<(FetchMode, EventsReport)> {
    check_no_upsert(resume.if_exists.unwrap_or_default())?;
    let (mode, report) = resume_into_table(client, database, &EVENTS, resume).await?;
    Ok((mode, report.into_events()?))
}

#[cfg(test)]
mod tests;
