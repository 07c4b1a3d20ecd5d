//! `mp fetch events --plan`: estimates the fetch.

use std::time::Duration;

use mixpanel_data::{EventEstimate, EventFetch};

use super::project::{Project, shown};
use crate::cli::FetchEventsArgs;
use crate::failure::{Exit, Failure};
use crate::progress::Progress;
use crate::text::{about, counted, day_range, thousands};

/// Prints the estimate.
pub(super) async fn run(
    project: &Project<'_>,
    arguments: &FetchEventsArgs,
    fetch: EventFetch,
) -> Result<Exit, Failure> {
    let context = project.context;
    let shown = shown(arguments.report.no_progress);
    let progress = Progress::begin(&context.output, "an estimate", shown).of_events().of_estimate();
    let plan = progress.watch(project.workspace.plan_events(fetch.on_event(progress.listener()))).await;
    let plan = plan.map_err(|error| context.failed("could not estimate the fetch", &error))?;
    let words = in_words(&plan);
    context.report(serde_json::to_value(&plan).expect("a plan is plain data"), &words)?;
    if !context.is_for_people() {
        context.output.note(&words);
    }
    for advice in &plan.advice {
        context.output.hint(advice);
    }
    Ok(Exit::Success)
}

/// Describes an estimate in words.
fn in_words(plan: &EventEstimate) -> String {
    let mut days = day_range(&plan.from_date, &plan.to_date);
    if plan.from_date != plan.to_date {
        days.push_str(&format!(", {}", counted(plan.days.into(), "day")));
    }
    let at_once = match plan.workers.min(plan.requests) {
        0 | 1 => String::new(),
        workers => format!(", up to {workers} at a time"),
    };
    let mut text = format!(
        "{days}\n{} to send{at_once}; the quota allows {}, and {} {} used",
        counted(plan.requests.into(), "request"),
        thousands(plan.quota_limit.into()),
        thousands(plan.quota_used.into()),
        if plan.quota_used == 1 { "is" } else { "are" },
    );
    match Duration::try_from_secs_f64(plan.wait_seconds) {
        Ok(wait) if wait >= Duration::from_secs(1) => {
            text.push_str(&format!("\nwaits about {} for the quota, plus the transfer", about(wait)));
        }
        _ => text.push_str("\nno wait for the quota"),
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_estimate_is_printed_as_text() {
        let plan = json!({
            "table": "events", "from_date": "2025-01-01", "to_date": "2025-03-31", "days": 90, "batches": [],
            "requests": 45, "workers": 10, "wait_seconds": 0.0, "quota_used": 1, "quota_limit": 60, "advice": [],
        });
        let plan: EventEstimate = serde_json::from_value(plan).expect("these are its fields");
        assert_eq!(
            in_words(&plan),
            "2025-01-01 to 2025-03-31, 90 days\n\
             45 requests to send, up to 10 at a time; the quota allows 60, and 1 is used\n\
             no wait for the quota"
        );
        let mut plan = plan;
        (plan.requests, plan.quota_used, plan.wait_seconds, plan.workers) = (1, 60, 3_600.0, 1);
        plan.to_date = plan.from_date.clone();
        assert_eq!(
            in_words(&plan),
            "2025-01-01\n\
             1 request to send; the quota allows 60, and 60 are used\n\
             waits about 60m for the quota, plus the transfer"
        );
    }
}
