//! Reports differences between what the server announced and what it sent.

use crate::drift::allowed_drift;
use crate::error::{Error, ErrorKind};
use crate::stage::Manifest;
use crate::store::TableName;
use crate::text::counted;
use crate::warning::Warning;

use super::callbacks::Callbacks;
use super::core::Outcome;
use super::events::date_ranges;
use super::progress::FetchEvent;
use super::record::failed_slices;

/// Maximum number of missing pages that an error lists.
const PAGES_NAMED_MAX: usize = 30;

/// Maximum number of missing date ranges that an error lists.
const RANGES_NAMED_MAX: usize = 5;

/// Returns the error for an incomplete fetch that left its table unchanged.
pub(super) fn incomplete(outcome: &Outcome, table: &TableName, manifest: &Manifest) -> Error {
    if let Some(text) = outcome.shortfall_text() {
        let message = format!("{text}, so table `{}` was left unchanged", table.as_str());
        return Error::new(ErrorKind::Incomplete, message).with_detail("shortfall", outcome.counts.shortfall);
    }
    let cause = outcome.failed.values().next().map(ToString::to_string).unwrap_or_default();
    if manifest.events.is_some() {
        return incomplete_events(outcome, table, manifest, &cause);
    }
    let message = format!("{}, so table `{}` was left unchanged; {cause}", missing_pages(outcome), table.as_str());
    Error::new(ErrorKind::Incomplete, message)
        .with_detail("failed_page_indices", outcome.failed.keys().copied().collect::<Vec<_>>())
}

/// Returns the error for an incomplete fetch of events that left its table unchanged.
fn incomplete_events(outcome: &Outcome, table: &TableName, manifest: &Manifest, cause: &str) -> Error {
    let ranges = date_ranges(&failed_slices(manifest, outcome));
    let name = |(from, to): &(String, String)| if from == to { from.clone() } else { format!("{from} to {to}") };
    let named: Vec<String> = ranges.iter().take(RANGES_NAMED_MAX).map(name).collect();
    let more = ranges.len() - named.len();
    let message = format!(
        "the events of {}{} are missing, so table `{}` was left unchanged; {cause}",
        named.join(", "),
        if more > 0 { format!(" and {}", counted(more as u64, "other range")) } else { String::new() },
        table.as_str(),
    );
    let ranges: Vec<Vec<String>> = ranges.into_iter().map(|(from, to)| vec![from, to]).collect();
    Error::new(ErrorKind::Incomplete, message).with_detail("failed_date_ranges", ranges)
}

/// Describes the failed pages. A page that may not exist does not count.
fn missing_pages(outcome: &Outcome) -> String {
    let unknown = outcome.unchecked_page.map(|page| format!("it could not be checked whether page {page} exists"));
    let missing: Vec<u32> =
        outcome.failed.keys().copied().filter(|page| outcome.unchecked_page != Some(*page)).collect();
    if missing.is_empty() {
        return unknown.unwrap_or_default();
    }
    let named: Vec<String> = missing.iter().take(PAGES_NAMED_MAX).map(u32::to_string).collect();
    let more = missing.len() - named.len();
    let text = format!(
        "{} of {} {} missing (page {}{})",
        missing.len(),
        counted((missing.len() + outcome.staged.len()) as u64, "page"),
        if missing.len() == 1 { "is" } else { "are" },
        named.join(", "),
        if more > 0 { format!(" and {more} more") } else { String::new() },
    );
    match unknown {
        Some(unknown) => format!("{text}, and {unknown}"),
        None => text,
    }
}

/// Warns if the server sent short pages or a different number of profiles than it announced. `repeated` is the number
/// of profiles that were sent more than once. Rejected records are part of the result and cause no warning.
pub(super) fn warn_of_differences(outcome: &Outcome, repeated: u64, callbacks: &mut Callbacks) {
    let complete = outcome.failed.is_empty() && outcome.ending.is_none();
    let counts = &outcome.counts;
    if let Some(summary) = outcome.shortfall_text() {
        callbacks.tell(&FetchEvent::Warning(Warning::ProfilesMissing { summary }));
    } else if let Some(announced) = counts.expected_rows.filter(|expected| complete && *expected != counts.received) {
        let (received, drift) = (counts.received, counts.drift);
        callbacks.tell(&FetchEvent::Warning(Warning::TotalDiffers { announced, received, drift, repeated }));
    }
    if !counts.short_pages.is_empty() && complete {
        let pages = counts.short_pages.len() as u64;
        callbacks.tell(&FetchEvent::Warning(Warning::ShortPages { pages }));
    }
}

/// Warns if the number of profiles is right only because some were sent twice, so that others may be missing.
pub(super) fn warn_of_duplicates(outcome: &Outcome, repeated: u64, allow_drift: f64, callbacks: &mut Callbacks) {
    let Some(total) = outcome.counts.expected_rows.filter(|_| outcome.is_whole()) else { return };
    let different = outcome.counts.received.saturating_sub(repeated);
    if total.saturating_sub(different) > allowed_drift(total, allow_drift) {
        callbacks.tell(&FetchEvent::Warning(Warning::Repeated { repeated, announced: total, different }));
    }
}
