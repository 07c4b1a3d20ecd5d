//! Requests exports of events (`docs/mixpanel-api.md#event-export`).

use std::fmt;

use bytes::Bytes;
use jiff::civil::Date;
use serde_json::json;

use crate::error::Result;

use super::body::codings;
use super::classify::Head;
use super::client::{ApiClient, web_page};
use super::endpoint::{Endpoint, Host};
use super::failure::{Failure, FailureKind};
use super::transport::{Chunks, Request, Transport};

/// The events that a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExportRequest {
    /// The number of the part, for the log.
    pub(crate) part: Option<u32>,
    /// The first day.
    pub(crate) from: Date,
    /// The last day, which is included.
    pub(crate) to: Date,
    /// The event names; empty for all events.
    pub(crate) events: Vec<String>,
    /// A segmentation expression.
    pub(crate) filter: Option<String>,
    /// The most events that the server sends.
    pub(crate) limit: Option<u32>,
}

impl ExportRequest {
    fn request(&self) -> Request {
        let mut query = vec![("from_date", self.from.to_string()), ("to_date", self.to.to_string())];
        if !self.events.is_empty() {
            query.push(("event", json!(self.events).to_string()));
        }
        query.extend(self.filter.iter().map(|filter| ("where", filter.clone())));
        query.extend(self.limit.map(|limit| ("limit", limit.to_string())));
        // In seconds, events of the same second would lose their order.
        query.push(("time_in_ms", "true".to_owned()));
        Request { endpoint: Endpoint::Export, query, form: None, page: self.part, has_session: false }
    }
}

impl ApiClient {
    /// Sets up the connections for exports, which [`export`](Self::export) does too, so that a fetch can fail early.
    ///
    /// # Errors
    /// `Tls` if the certificates cannot be read; `InvalidInput` for proxy settings that cannot be used.
    pub(crate) fn prepare_export(&self) -> Result<()> {
        self.exports().map(|_| ())
    }

    /// Returns the host of the export API, with its port if it is not the usual one.
    pub(crate) fn export_host(&self) -> String {
        self.transport.server().host(Host::Data)
    }

    /// Makes one attempt to request an export, and returns its body once the first bytes have arrived. The caller must
    /// count the request against the quota.
    ///
    /// # Errors
    /// The failure of the connection, or of a response that is not an export.
    ///
    /// # Cancellation
    /// Dropping the future or the body closes the connection; the server may still count the request.
    pub(crate) async fn export(&self, request: &ExportRequest) -> Result<ExportBody, Failure> {
        let exports = self.exports().map_err(|error| Failure::new(FailureKind::Internal, error.message()))?;
        let chunks = exports.send(&request.request()).await?.into_chunks();
        check_coding(&chunks.head).map_err(|coding| {
            let coding = exports.quote(&coding);
            let message = format!("the response is compressed with `{coding}`, but only gzip was accepted");
            Failure::new(FailureKind::BadReply, message)
        })?;
        Ok(ExportBody(chunks))
    }

    /// Classifies a response constructed by a test.
    #[cfg(test)]
    pub(crate) fn classify_export(&self, status: http::StatusCode, headers: http::HeaderMap, body: Vec<u8>) -> Failure {
        self.transport.classifier.refusal(Endpoint::Export, &Head { status, headers }, body, false)
    }

    /// Returns the head of a successful response, for bodies that come from elsewhere.
    #[cfg(any(test, feature = "benchmarks"))]
    pub(crate) fn export_head(&self) -> ExportHead {
        let head = Head { status: http::StatusCode::OK, headers: http::HeaderMap::new() };
        ExportHead { transport: self.transport.clone(), head }
    }
}

/// Returns the first coding in the headers that cannot be decoded.
fn check_coding(head: &Head) -> Result<(), String> {
    match codings(&head.headers).into_iter().find(|coding| !matches!(coding.as_str(), "gzip" | "x-gzip")) {
        Some(other) => Err(other),
        None => Ok(()),
    }
}

/// The body of an export, compressed or not.
pub(crate) struct ExportBody(Chunks);

impl ExportBody {
    /// Returns the next chunk. `None` after the last one, when the connection has shown that nothing is missing, unless
    /// [`is_delimited`](Self::is_delimited) is false.
    ///
    /// # Errors
    /// `Incomplete` if the connection breaks, `Timeout` if nothing more arrives.
    pub(crate) async fn next_chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        self.0.next().await.map_err(|failure| match failure.kind {
            FailureKind::Connection | FailureKind::Unreachable => Failure { kind: FailureKind::Incomplete, ..failure },
            _ => failure,
        })
    }

    /// Returns whether the connection shows where the body ends. If it does not, the text itself must.
    pub(crate) fn is_delimited(&self) -> bool {
        self.0.is_delimited()
    }

    /// Returns what is needed to explain faults of the body.
    pub(crate) fn head(&self) -> ExportHead {
        ExportHead { transport: self.0.transport.clone(), head: self.0.head.clone() }
    }
}

impl fmt::Debug for ExportBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExportBody").finish_non_exhaustive()
    }
}

/// The head of a successful response, with which faults of its body are explained.
#[derive(Clone)]
pub(crate) struct ExportHead {
    transport: Transport,
    head: Head,
}

impl ExportHead {
    /// Returns the failure of a body that contains this error text instead of the remaining events.
    pub(crate) fn error(&self, said: &str) -> Failure {
        self.transport.classifier.error_in_export(&self.head, said)
    }

    /// Returns the failure of a body whose last line is not an event but begins with this text.
    pub(crate) fn ends_with_message(&self, said: &str) -> Failure {
        let message = format!("the last line of the response is not an event: {}", self.transport.quote(said));
        Failure::new(FailureKind::Incomplete, message)
    }

    /// Returns the failure of a body that begins with this text and contains no event.
    pub(crate) fn not_an_export(&self, beginning: &str) -> Failure {
        if let Some(page) = web_page(beginning.as_bytes()) {
            return Failure { message: self.transport.quote(&page.message), ..page };
        }
        let failure = self.error(beginning);
        if failure.kind != FailureKind::Incomplete {
            return failure;
        }
        let message = format!("the response is not an export of events: {}", self.transport.quote(beginning));
        Failure::new(FailureKind::BadReply, message)
    }
}

impl fmt::Debug for ExportHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExportHead").field("status", &self.head.status).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, StatusCode};
    use jiff::civil::date;

    use super::*;
    use crate::api::{ApiOptions, RateLimitKind};
    use crate::credentials::{Credentials, Region, Secret};

    fn client() -> ApiClient {
        let credentials = Credentials::new("someone", Secret::new("secret-7f3a"), "12345", Region::Us).unwrap();
        let options = ApiOptions { base_url: Some("http://127.0.0.1:9".to_owned()), ..ApiOptions::default() };
        ApiClient::new(credentials, &options).unwrap()
    }

    #[test]
    fn a_request_has_the_documented_parameters() {
        let mut request = ExportRequest {
            part: Some(3),
            from: date(2026, 1, 1),
            to: date(2026, 1, 7),
            events: Vec::new(),
            filter: None,
            limit: None,
        };
        let of = |request: &ExportRequest| -> Vec<String> {
            request.request().query.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
        };
        assert_eq!(of(&request), ["from_date=2026-01-01", "to_date=2026-01-07", "time_in_ms=true"]);
        request.events = vec!["Sign \"Up\"".to_owned(), "Zoë".to_owned()];
        request.filter = Some("properties[\"a\"] == 1".to_owned());
        request.limit = Some(10);
        assert_eq!(
            of(&request)[2..5],
            [r#"event=["Sign \"Up\"","Zoë"]"#, r#"where=properties["a"] == 1"#, "limit=10",]
        );
        assert!(request.request().form.is_none());
    }

    #[test]
    fn refusals_are_classified() {
        let client = client();
        client.prepare_export().unwrap();
        assert_eq!(client.export_host(), "127.0.0.1:9");
        let limited = |kind| FailureKind::RateLimited { kind, retry_after: None };
        for (status, body, expected) in [
            (400, "to_date cannot be later than today", FailureKind::FutureDate),
            (400, r#"{"error": "Error in to_date: to_date cannot be later than today"}"#, FailureKind::FutureDate),
            (400, "Unable to authenticate request", FailureKind::Unauthorized { status: 400 }),
            (400, "Error in from_date: invalid date, bad year", FailureKind::Rejected(400)),
            (401, "", FailureKind::Unauthorized { status: 401 }),
            (402, "", FailureKind::PaymentRequired),
            (403, "Date range exceeds 90 days into the past", FailureKind::HistoryLimit { days: 90 }),
            (403, r#"{"error":"no access"}"#, FailureKind::Forbidden),
            (404, "", FailureKind::NotFound),
            (
                429,
                r#"{"error": "too many export requests in progress for this project"}"#,
                limited(RateLimitKind::Concurrent),
            ),
            (429, "rate limit reached", limited(RateLimitKind::LoadShed)),
            (503, "Unknown error", FailureKind::Server { status: 503, retry_after: None }),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let failure = client.classify_export(status, HeaderMap::new(), body.as_bytes().to_vec());
            assert_eq!(failure.kind, expected, "{status} {body}");
        }
        let failure = client.classify_export(
            StatusCode::FORBIDDEN,
            HeaderMap::new(),
            b"Date range exceeds 90 days into the past".to_vec(),
        );
        assert!(failure.kind.ends_the_run());
        assert_eq!(failure.into_error().detail("max_history_days"), Some(&json!(90)));
    }

    #[test]
    fn errors_with_status_200_are_explained_without_secrets() {
        let head = client().export_head();
        for (said, kind, message) in [
            ("", FailureKind::Incomplete, "the response ends with an error"),
            ("too big", FailureKind::Incomplete, "the response ends with an error: too big"),
            (
                "rate limit reached",
                FailureKind::RateLimited { kind: RateLimitKind::LoadShed, retry_after: None },
                "the server answered 200 OK: rate limit reached",
            ),
        ] {
            let failure = head.error(said);
            assert_eq!((failure.kind, failure.message.as_str()), (kind, message), "{said}");
        }
        assert!(!head.error("secret-7f3a").message.contains("7f3a"));
        let page = head.not_an_export("<!doctype html><title>Log in</title>");
        assert!(page.message.contains("web page titled `Log in`"), "{}", page.message);
        let other = head.not_an_export("Unknown error");
        assert_eq!(
            (other.kind, other.message.as_str()),
            (FailureKind::BadReply, "the response is not an export of events: Unknown error",)
        );
    }
}
