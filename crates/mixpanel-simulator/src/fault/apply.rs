//! Applies faults to responses.

use http::{HeaderMap, HeaderValue, StatusCode};

use super::model::FaultKind;
use crate::body_fault::BodyFault;
use crate::compress::gzip;
use crate::message::Reply;

/// The login page of a captive portal.
const PORTAL: &str = "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>Welcome to Hotel Wi-Fi</title></head>\n\
    <body><h1>Please sign in</h1><form method=\"post\" action=\"/login\"><input name=\"room\"><button>Connect</button></form></body>\n</html>\n";

impl FaultKind {
    /// Returns the response of a fault that replaces the API's response.
    pub(crate) fn reply_instead(&self) -> Option<Reply> {
        match self {
            Self::Status { status, body, headers } => Some(status_reply(*status, body.as_deref(), headers)),
            Self::Html => Some(Reply::new(StatusCode::OK, "text/html; charset=utf-8", PORTAL)),
            Self::EmptyBody => Some(Reply::json("")),
            Self::ErrorInSuccess => {
                Some(Reply::json(r#"{"error": "An internal error occurred while running the query"}"#))
            }
            Self::AuthBadRequest => Some(Reply::error(StatusCode::BAD_REQUEST, "Unable to authenticate request")),
            Self::Reset => {
                let mut reply = Reply::json("");
                reply.fault = Some(BodyFault::Reset);
                Some(reply)
            }
            _ => None,
        }
    }

    /// Corrupts the content of a response.
    pub(crate) fn corrupt_content(&self, reply: &mut Reply) {
        match self {
            Self::InvalidJson => reply.body.truncate(reply.body.len() / 2),
            Self::NotUtf8 => {
                let mut body = reply.body.to_vec();
                let at = inside_a_text(&body);
                body.splice(at..at, [0xFF, 0xFE]);
                reply.body = body.into();
            }
            Self::TruncatedGzip => {
                let mut body = gzip(&reply.body);
                body.truncate(body.len() / 2);
                reply.body = body.into();
                reply.headers.insert(http::header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            }
            _ => {}
        }
    }

    /// Sets the delivery fault of a response.
    pub(crate) fn apply_delivery_fault(&self, reply: &mut Reply) {
        match self {
            Self::Cut { after, framing } => {
                let after = (*after).min(reply.body.len().saturating_sub(1));
                reply.fault = Some(BodyFault::Cut { after, framing: *framing });
            }
            Self::Stall { after: 0, pause } => reply.delay += *pause,
            Self::Stall { after, pause } => {
                reply.fault = Some(BodyFault::Stall { after: (*after).min(reply.body.len()), pause: *pause });
            }
            _ => {}
        }
    }
}

/// Returns the start of the first distinct ID, or else of any string.
fn inside_a_text(body: &[u8]) -> usize {
    for key in [&b"\"$distinct_id\":\""[..], b"\"status\":\"", b"\""] {
        if let Some(at) = body.windows(key.len()).position(|window| window == key) {
            return at + key.len();
        }
    }
    body.len()
}

fn status_reply(status: StatusCode, body: Option<&str>, headers: &HeaderMap) -> Reply {
    let mut reply = match body {
        Some(body) if body.trim_start().starts_with('{') => Reply::new(status, "application/json", body.to_owned()),
        Some(body) => Reply::new(status, "text/plain; charset=utf-8", body.to_owned()),
        None => Reply::error(status, usual_text(status)),
    };
    for (name, value) in headers {
        reply.headers.insert(name, value.clone());
    }
    reply
}

/// Returns the default error text for a status.
///
/// The text for 402 is from a report (`docs/mixpanel-api.md#errors-by-status`); the others are assumptions.
fn usual_text(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 => "Bad request",
        401 => "Invalid credentials",
        402 => "Your plan does not allow API calls. Upgrade at mixpanel.com/pricing",
        403 => "You do not have permission to access this project",
        _ => status.canonical_reason().unwrap_or("Unknown error"),
    }
}
