//! Requests and responses of the simulator's core, without any I/O.

use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use crate::body_fault::BodyFault;
use crate::export::ExportBody;

/// A request to the simulator.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// The method, `GET` by default.
    pub method: Method,
    /// The path, such as `/api/query/engage`.
    pub path: String,
    /// The query string without the question mark; may be empty.
    pub query: String,
    /// The value of the `Host` header, which 429 responses repeat.
    pub host: Option<String>,
    /// The value of the `Authorization` header.
    pub authorization: Option<String>,
    /// The value of the `Content-Type` header. Only recorded: the format of the body is detected from its contents.
    pub content_type: Option<String>,
    /// The value of the `Accept-Encoding` header.
    pub accept_encoding: Option<String>,
    /// The whole body; may be empty.
    pub body: Bytes,
}

/// A response, with the delay and fault that the transport applies when it sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers, except `Content-Length` and `Transfer-Encoding`, which the transport sets.
    pub headers: HeaderMap,
    /// The whole body, unless it is an export.
    pub body: Bytes,
    /// The body of an export, which is written while it is sent.
    pub export: Option<ExportBody>,
    /// The time from the request's arrival to the first byte of the response.
    pub delay: Duration,
    /// The delivery fault, if any.
    pub fault: Option<BodyFault>,
    /// The ticket to pass to [`Simulator::finish`](crate::Simulator::finish) after the delay.
    pub ticket: Ticket,
}

/// Identifies a request in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub(crate) u64);

impl Reply {
    pub(crate) fn new(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        let body = body.into();
        Self { status, headers, body, export: None, delay: Duration::ZERO, fault: None, ticket: Ticket(0) }
    }

    pub(crate) fn json(body: impl Into<Bytes>) -> Self {
        Self::new(StatusCode::OK, "application/json", body)
    }

    /// Returns the whole body, also of an export, as it is sent: compressed, if the headers say so.
    pub fn whole_body(&self) -> Bytes {
        self.export.as_ref().map_or_else(|| self.body.clone(), ExportBody::to_bytes)
    }

    /// Creates an error in the Query API's format, `{"error": "..."}`, plus a `status` as in the ingestion API.
    pub(crate) fn error(status: StatusCode, message: &str) -> Self {
        let body = serde_json::json!({"error": message, "status": "error"});
        Self::new(status, "application/json", body.to_string())
    }
}
