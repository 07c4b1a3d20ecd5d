//! `mp fetch profiles --plan`: estimates the fetch.

use std::time::Duration;

use mixpanel_data::{FetchEstimate, ProfileFetch};

use super::project::{Project, shown};
use crate::cli::FetchProfilesArgs;
use crate::failure::{Exit, Failure};
use crate::progress::Progress;
use crate::text::{about, counted, size, thousands};

/// Requests page 0 and prints the estimate.
pub(super) async fn run(
    project: &Project<'_>,
    arguments: &FetchProfilesArgs,
    fetch: ProfileFetch,
) -> Result<Exit, Failure> {
    let context = project.context;
    let progress = Progress::begin(&context.output, "a plan", shown(arguments.report.no_progress));
    let plan = progress.watch(project.workspace.plan_fetch(fetch.on_event(progress.listener()))).await;
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

/// Describes an estimate in words; unknown numbers are omitted.
fn in_words(plan: &FetchEstimate) -> String {
    let mut profiles = plan.expected_rows.map_or_else(|| "profiles".to_owned(), |rows| counted(rows, "profile"));
    if let Some(pages) = plan.pages {
        profiles.push_str(&format!(" on {}", counted(u64::from(pages), "page")));
    }
    let mut text = format!("{profiles}, {} per page", thousands(plan.page_size));
    if let Some(requests) = plan.requests {
        text.push_str(&format!("\n{} to send", counted(u64::from(requests), "request")));
        if let Some(counted) = plan.counted_requests {
            text.push_str(&format!(
                ", {} counted against the quota ({} of {} used)",
                thousands(u64::from(counted)),
                thousands(u64::from(plan.quota_used)),
                thousands(u64::from(plan.quota_limit)),
            ));
        }
    }
    if let Some(time) = plan.expected_seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) {
        text.push_str(&format!("\nabout {}", about(time)));
    }
    if let Some(bytes) = plan.expected_bytes {
        text.push_str(&format!("\nat most {} on disk", size(bytes)));
    }
    text.push_str("\npage 0 is kept: the same command without `--plan` reuses it");
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn plan() -> FetchEstimate {
        let plan = json!({
            "table": "users", "run_id": "r1", "expected_rows": 80_000, "page_size": 1_000, "pages": 80, "requests": 79,
            "counted_requests": 0, "expected_seconds": 6.5, "expected_bytes": 160_000_000, "quota_used": 1,
            "quota_limit": 60, "advice": [],
        });
        serde_json::from_value(plan).expect("these are its fields")
    }

    #[test]
    fn an_estimate_is_printed_as_text() {
        assert_eq!(
            in_words(&plan()),
            "80,000 profiles on 80 pages, 1,000 per page\n\
             79 requests to send, 0 counted against the quota (1 of 60 used)\n\
             about 7s\n\
             at most 160 MB on disk\n\
             page 0 is kept: the same command without `--plan` reuses it"
        );
    }

    #[test]
    fn unknown_estimate_fields_are_omitted() {
        let mut plan = plan();
        (plan.expected_rows, plan.pages) = (None, None);
        (plan.requests, plan.counted_requests) = (None, None);
        (plan.expected_seconds, plan.expected_bytes) = (None, None);
        assert_eq!(
            in_words(&plan),
            "profiles, 1,000 per page\npage 0 is kept: the same command without `--plan` reuses it"
        );
    }
}
