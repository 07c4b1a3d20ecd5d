//! Converts the events of a fetch to JSON.

use mixpanel_data::FetchEvent;
use serde::Serialize;
use serde_json::{Value, json};

/// Returns an event as a JSON object whose `event` names it; `None` for one that has no counterpart in Python.
pub(crate) fn message(event: &FetchEvent) -> Option<Value> {
    Some(match event {
        FetchEvent::Planned { total_pages, expected_rows, workers, staged_pages } => json!({
            "event": "planned", "total_pages": total_pages, "expected_rows": expected_rows, "workers": workers,
            "staged_pages": staged_pages,
        }),
        FetchEvent::Page(progress) => with_event("page", progress),
        FetchEvent::BatchesPlanned { from_date, to_date, total_batches, staged_batches, workers } => json!({
            "event": "batches_planned", "from_date": from_date, "to_date": to_date, "total_batches": total_batches,
            "staged_batches": staged_batches, "workers": workers,
        }),
        FetchEvent::Batch(progress) => with_event("batch", progress),
        FetchEvent::BatchRetry { from_date, to_date, attempt, reason, pause } => json!({
            "event": "retry", "from_date": from_date, "to_date": to_date, "attempt": attempt, "reason": reason,
            "pause": pause.as_secs_f64(),
        }),
        FetchEvent::BatchSplit { from_date, to_date, into, reason } => json!({
            "event": "split", "from_date": from_date, "to_date": to_date, "into": into, "reason": reason,
        }),
        FetchEvent::Retry { page_index, attempt, reason, pause } => json!({
            "event": "retry", "page_index": page_index, "attempt": attempt, "reason": reason,
            "pause": pause.as_secs_f64(),
        }),
        FetchEvent::Waiting { reason, pause } => {
            json!({ "event": "waiting", "reason": reason, "pause": pause.as_secs_f64() })
        }
        FetchEvent::Resumed => json!({ "event": "resumed" }),
        FetchEvent::Restarted { restart, reason } => {
            json!({ "event": "restarted", "restart": restart, "reason": reason })
        }
        FetchEvent::DatabaseBusy { reason, at_most } => {
            json!({ "event": "database_busy", "reason": reason, "at_most": at_most.as_secs_f64() })
        }
        FetchEvent::Warning(warning) => json!({ "event": "warning", "message": warning.to_string() }),
        FetchEvent::Note(note) => json!({ "event": "note", "message": note.to_string() }),
        FetchEvent::Loading { rows } => json!({ "event": "loading", "rows": rows }),
        _ => return None,
    })
}

fn with_event(name: &str, progress: &impl Serialize) -> Value {
    let mut fields = serde_json::to_value(progress).unwrap_or_default();
    fields["event"] = name.into();
    fields
}
