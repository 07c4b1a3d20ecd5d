//! The second act of `mp demo`: events of the same people, a funnel and a retention table.

use std::time::Duration;

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan as _, tz::TimeZone};
use mixpanel_data::{EventFetch, EventFetchResult, Workspace};

use super::failed::fetch_failed;
use crate::context::Context;
use crate::failure::Failure;
use crate::progress::{Progress, Shown};
use crate::signals::Interrupts;
use crate::text::{counted, duration};

const TABLE: &str = "events";

/// Number of days that are fetched.
const DAYS: i64 = 42;

/// Number of days per request: Mixpanel starts only three exports per second.
const CHUNK_DAYS: u32 = 7;

/// The queries on the events, each with a heading.
pub(super) const QUERIES: [(&str, &str); 2] = [
    (
        "How many people get from opening the app to a purchase within a week",
        "FROM mp_funnel(['App Open', 'View Item', 'Add to Cart', 'Purchase'], INTERVAL 7 DAY)",
    ),
    (
        "How many people come back in the weeks after their first visit, in percent",
        "SELECT cohort, size AS people, max(pct) FILTER (period = 1) AS week_1, \
         max(pct) FILTER (period = 2) AS week_2, max(pct) FILTER (period = 3) AS week_3 \
         FROM mp_retention('App Open', 'App Open', unit := 'week', n := 4) GROUP BY ALL ORDER BY cohort LIMIT 6",
    ),
];

/// Fetches the events of the last days up to the day on which the data ends.
pub(super) async fn fetch(
    context: &Context,
    workspace: &Workspace,
    (last_day, shown): (Option<Date>, Shown),
    interrupts: &Interrupts,
) -> Result<EventFetchResult, Failure> {
    let progress = Progress::begin(&context.output, format!("`{TABLE}`"), shown).of_events();
    let today = Timestamp::now().to_zoned_datetime(TimeZone::UTC).date();
    let last = last_day.map_or(today, |day| day.min(today));
    let first = last.checked_sub((DAYS - 1).days()).unwrap_or(last);
    let fetch = EventFetch::new(TABLE).days(first, last).chunk_days(CHUNK_DAYS).parallel();
    let fetch = fetch.cancel_with(interrupts.token()).on_event(progress.listener());
    let result = progress.watch(workspace.fetch_events(fetch)).await;
    let result = result.map_err(|error| fetch_failed("events", TABLE, &error))?;
    if result.has_failures() {
        return Err(Failure::new("requests to the simulator failed unexpectedly"));
    }
    Ok(result)
}

/// Describes the fetch.
pub(super) fn fetched(result: &EventFetchResult) -> String {
    let time: Duration = result.duration();
    let requests = result.counts().requests;
    format!(
        "The events of the same people in {DAYS} days: {} with {} in {}\n",
        counted(result.rows(), "event"),
        counted(requests, "request"),
        duration(time)
    )
}
