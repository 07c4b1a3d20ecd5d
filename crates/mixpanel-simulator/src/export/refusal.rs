//! The 429 responses of the export endpoint. No source describes today's, so there are several formats.

use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};
use serde_json::json;

use crate::event_options::ExportLimitStyle;
use crate::message::Reply;

/// Builds a 429 response. `wait` is the time until a request may be admitted.
pub(crate) fn too_many_exports(style: ExportLimitStyle, wait: Duration) -> Reply {
    let json = || json!({"error": "too many export requests in progress for this project"}).to_string();
    let (content_type, body) = match style {
        ExportLimitStyle::Json | ExportLimitStyle::JsonWithRetryAfter => ("application/json", json()),
        ExportLimitStyle::Text | ExportLimitStyle::TextWithRetryAfter => {
            ("text/plain; charset=utf-8", "rate limit reached".to_owned())
        }
    };
    let mut reply = Reply::new(StatusCode::TOO_MANY_REQUESTS, content_type, body);
    if matches!(style, ExportLimitStyle::JsonWithRetryAfter | ExportLimitStyle::TextWithRetryAfter) {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        reply.headers.insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    }
    reply
}
