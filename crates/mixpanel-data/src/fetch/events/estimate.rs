//! Estimates the requests of a fetch of events, and how long they wait for the quota. Sends nothing.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

use crate::api::ApiClient;
use crate::clock::wall_clock;
use crate::dataset::EVENTS;
use crate::error::{ErrorKind, Result};
use crate::limits::{EXPORT_STARTS_MARGIN, EXPORT_STARTS_MAX, EXPORT_STARTS_WINDOW};
use crate::parse::RecordForm;
use crate::profile_query::FetchMode;
use crate::quota::Usage;
use crate::store::TableName;
use crate::types::EventEstimate;

use super::super::request::Control;
use super::super::start::{preflight, repair};
use super::request::EventsRequest;
use super::valid::ValidEvents;

/// Returns the plan of a fetch of events.
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
    // An estimate does not write into the table; only the fetch needs to know what happens to an existing one.
    let table_exists = match preflight(&mut control, database, &EVENTS, &table, request.if_exists, &rules).await {
        Err(error) if error.kind() == ErrorKind::TableExists => true,
        checked => checked.map(|()| false)?,
    };
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
        wait_seconds: wait(requests, &usage, wall_clock()).as_secs_f64(),
        quota_used: usage.used,
        quota_limit: usage.limit,
        advice: advice(&request, requests, &usage, table_exists),
    })
}

/// Returns how long `requests` requests wait for the quota, if each takes no time itself. When the requests that are
/// now in the window leave it is known only for the first of them; the others are assumed to leave with it.
fn wait(requests: u32, usage: &Usage, now: Timestamp) -> Duration {
    let free = usage.limit.saturating_sub(usage.used);
    let first =
        usage.next_free_at.map_or(Duration::ZERO, |at| Duration::try_from(at.duration_since(now)).unwrap_or_default());
    let windows = requests.saturating_sub(free).div_ceil(usage.limit.max(1));
    let starts = usize::try_from(requests.min(usage.limit)).unwrap_or(usize::MAX) / EXPORT_STARTS_MAX;
    let starts = (EXPORT_STARTS_WINDOW + EXPORT_STARTS_MARGIN) * u32::try_from(starts).unwrap_or(u32::MAX);
    match windows {
        0 => starts,
        // The first of them begins when the oldest request leaves the window.
        _ if !first.is_zero() => first + usage.window * (windows - 1),
        windows => usage.window * windows,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_beyond_the_quota_wait_for_whole_windows() {
        let now: Timestamp = "2026-11-26T12:00:00Z".parse().unwrap();
        let hour = Duration::from_secs(3_600);
        let usage = |used, next_free_at| Usage {
            used,
            limit: 60,
            reserve: 0,
            window: hour,
            session_pages_count: false,
            next_free_at,
        };
        for (requests, used, expected) in [(1, 0, 0), (60, 0, 25), (61, 0, 3_600), (120, 0, 3_600), (121, 0, 7_200)] {
            assert_eq!(wait(requests, &usage(used, None), now), Duration::from_secs(expected), "{requests}");
        }
        let soon = now + jiff::SignedDuration::from_secs(600);
        assert_eq!(wait(1, &usage(60, Some(soon)), now), Duration::from_secs(600));
        assert_eq!(wait(61, &usage(60, Some(soon)), now), Duration::from_secs(4_200));
    }
}
