//! What goes into the simulator's core and what comes out, without any I/O.

use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, StatusCode};

/// A request as the simulator sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// The method, `GET` by default.
    pub method: Method,
    /// The path, such as `/api/query/engage`.
    pub path: String,
    /// The query string without its question mark; may be empty.
    pub query: String,
    /// The value of the `Host` header, which 429 replies repeat.
    pub host: Option<String>,
    /// The value of the `Authorization` header.
    pub authorization: Option<String>,
    /// The value of the `Content-Type` header. Recorded only: the body is read by what it looks like.
    pub content_type: Option<String>,
    /// The value of the `Accept-Encoding` header.
    pub accept_encoding: Option<String>,
    /// The whole body; may be empty.
    pub body: Bytes,
}

/// A reply with everything that the transport must know to deliver or to spoil it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers, less `Content-Length` and `Transfer-Encoding`, which belong to the transport.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
    /// The time from the request's arrival to the first byte of the reply.
    pub delay: Duration,
    /// How the delivery goes wrong, if it does.
    pub fault: Option<BodyFault>,
    /// What to hand to [`Simulator::finish`](crate::Simulator::finish) when the delay is over.
    pub ticket: Ticket,
}

/// Identifies a request that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub(crate) u64);

/// A fault in the delivery of a reply's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyFault {
    /// The connection closes after some bytes of the body.
    Cut {
        /// The number of bytes of the body that arrive, fewer than the body has.
        after: usize,
        /// What the client was promised.
        framing: Framing,
    },
    /// The body pauses after some bytes and then goes on.
    Stall {
        /// The number of bytes of the body that arrive before the pause.
        after: usize,
        /// The length of the pause.
        pause: Duration,
    },
    /// The connection closes without any reply.
    Reset,
}

/// How a body that will be cut is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Framing {
    /// `Content-Length` promises the whole body.
    #[default]
    ContentLength,
    /// Chunked, and the terminating chunk never comes.
    Chunked,
}

impl Reply {
    pub(crate) fn new(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        let body = body.into();
        Self { status, headers, body, delay: Duration::ZERO, fault: None, ticket: Ticket(0) }
    }

    pub(crate) fn json(body: impl Into<Bytes>) -> Self {
        Self::new(StatusCode::OK, "application/json", body)
    }

    /// The form of every error of the Query API: `{"error": "..."}`, with a `status` as the ingestion API has it.
    pub(crate) fn error(status: StatusCode, message: &str) -> Self {
        let body = serde_json::json!({"error": message, "status": "error"});
        Self::new(status, "application/json", body.to_string())
    }
}
