//! Reports differences between what the server announced and what it sent.

use crate::counted::counted;
use crate::drift::allowed_drift;
use crate::error::{Error, ErrorKind};
use crate::store::TableName;

use super::callbacks::Callbacks;
use super::outcome::Outcome;
use super::progress::FetchEvent;

/// Maximum number of missing pages that an error names one by one.
const PAGES_NAMED_MAX: usize = 30;

/// Makes the error for a fetch whose table stays as it was.
pub(super) fn incomplete(outcome: &Outcome, table: &TableName) -> Error {
    if let Some(text) = outcome.shortfall_text() {
        let message = format!("{text}, so `{}` was left as it was", table.as_str());
        return Error::new(ErrorKind::Incomplete, message).with_detail("shortfall", outcome.counts.shortfall);
    }
    let pages: Vec<String> = outcome.failed.keys().take(PAGES_NAMED_MAX).map(u32::to_string).collect();
    let more = outcome.failed.len() - pages.len();
    let cause = outcome.failed.values().next().map(ToString::to_string).unwrap_or_default();
    let message = format!(
        "{} of {} {} missing (page {}{}), so `{}` was left as it was; {cause}",
        outcome.failed.len(),
        counted((outcome.failed.len() + outcome.staged.len()) as u64, "page"),
        if outcome.failed.len() == 1 { "is" } else { "are" },
        pages.join(", "),
        if more > 0 { format!(" and {more} more") } else { String::new() },
        table.as_str(),
    );
    Error::new(ErrorKind::Incomplete, message)
        .with_detail("failed_page_indices", outcome.failed.keys().copied().collect::<Vec<_>>())
}

/// Warns if the server announced one number of profiles and sent another. `repeated` is the number of profiles that had
/// already come before. Rejected records are in the result, not in a warning.
pub(super) fn warn_of_differences(outcome: &Outcome, repeated: u64, callbacks: &mut Callbacks) {
    let complete = outcome.failed.is_empty() && outcome.ending.is_none();
    if let Some(text) = outcome.shortfall_text() {
        callbacks.tell(&FetchEvent::Warning(text));
    } else if let Some(expected) =
        outcome.counts.expected_rows.filter(|expected| complete && *expected != outcome.counts.received)
    {
        let difference = match (outcome.counts.drift, repeated) {
            (0, 0) => "more: the project may have changed during the fetch",
            (0, _) => "more: some came more than once",
            _ => "fewer: the project may have changed during the fetch",
        };
        callbacks.tell(&FetchEvent::Warning(format!(
            "the server announced {} and sent {}, {} {difference}",
            counted(expected, "profile"),
            outcome.counts.received,
            expected.abs_diff(outcome.counts.received)
        )));
    }
    if !outcome.counts.short_pages.is_empty() && complete {
        callbacks.tell(&FetchEvent::Warning(format!(
            "{} brought fewer profiles than expected (`short_pages` in the result)",
            counted(outcome.counts.short_pages.len() as u64, "page")
        )));
    }
}

/// Warns if profiles that came twice make the figures add up although others may be missing.
pub(super) fn warn_of_duplicates(outcome: &Outcome, repeated: u64, allow_drift: f64, callbacks: &mut Callbacks) {
    let Some(total) = outcome.counts.expected_rows.filter(|_| outcome.is_whole()) else { return };
    let different = outcome.counts.received.saturating_sub(repeated);
    if total.saturating_sub(different) > allowed_drift(total, allow_drift) {
        callbacks.tell(&FetchEvent::Warning(format!(
            "{} came more than once: the server announced {total} and sent {different} different ones, so others may be missing",
            counted(repeated, "profile")
        )));
    }
}
