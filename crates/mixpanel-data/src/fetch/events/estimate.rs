//! Estimates the requests of a fetch of events, and how long they wait for the quota. Sends nothing.

use std::path::Path;

use crate::api::ApiClient;
use crate::clock::wall_clock;
use crate::dataset::EVENTS;
use crate::error::Result;
use crate::parse::RecordForm;
use crate::profile_query::FetchMode;
use crate::quota::{Pool, Usage};
use crate::store::TableName;
use crate::types::EventEstimate;

use super::super::request::Control;
use super::super::start::{preflight_estimate, repair};
use super::request::EventsRequest;
use super::valid::ValidEvents;

/// Returns the estimate of a fetch of events.
///
/// # Errors
/// Same as [`fetch_events_into_table`](super::fetch_events_into_table), except for those of requests.
pub(crate) async fn plan_events(
    client: &ApiClient,
    database: &Path,
    request: EventsRequest,
    mut control: Control,
) -> Result<EventEstimate> {
    let table = TableName::parse(&request.table)?;
    repair(&mut control, database).await?;
    let valid = ValidEvents::of_request(client, &request, &control, RecordForm::Row).await?;
    let rules = valid.recorded_rules();
    let (_, table_exists) =
        preflight_estimate(&mut control, database, &EVENTS, &table, request.if_exists, &rules).await?;
    valid.announce(client, &mut control.callbacks);
    let slices = valid.slices();
    let usage = valid.usage().await?;
    let requests = u32::try_from(slices.len()).unwrap_or(u32::MAX);
    Ok(EventEstimate {
        table: request.table.clone(),
        from_date: request.query.from.to_string(),
        to_date: request.query.to.to_string(),
        days: request.query.days(),
        batches: slices.iter().map(|slice| (slice.from.to_string(), slice.to.to_string())).collect(),
        requests,
        workers: valid.workers,
        wait_seconds: usage.wait(requests, Pool::EXPORT_PACE, wall_clock()).as_secs_f64(),
        quota_used: usage.used,
        quota_limit: usage.limit,
        advice: advice(&request, requests, &usage, table_exists),
    })
}

fn advice(request: &EventsRequest, requests: u32, usage: &Usage, table_exists: bool) -> Vec<String> {
    let mut advice = Vec::new();
    if table_exists {
        advice.push(format!(
            "table `{}` exists: the fetch needs `--replace` or `--append`, or another table name",
            request.table
        ));
    }
    if requests > 1 && request.mode == FetchMode::Sequential {
        advice.push("parallel mode requests several date ranges at a time".to_owned());
    }
    if requests > usage.limit && request.chunk_days.is_some() {
        advice.push("more days per request need fewer requests, and so shorter waits for the quota".to_owned());
    }
    advice
}
