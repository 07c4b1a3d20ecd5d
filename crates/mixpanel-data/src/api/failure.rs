//! Failures of single requests, and their conversion to errors when they are final.

use std::fmt;
use std::time::Duration;

use http::StatusCode;

pub(crate) use crate::error::Fault;
use crate::error::{Error, ErrorKind};

use super::rate_limit::RateLimitKind;

/// The kind of a failure, which determines how to proceed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// 401, or the 400 that Mixpanel sends for bad credentials (`docs/mixpanel-api.md#errors-by-status`).
    Unauthorized { status: u16 },
    /// 402.
    PaymentRequired,
    /// 403.
    Forbidden,
    /// A 403 that reports that the project keeps or shows only this many days (`docs/mixpanel-api.md#export-limits`).
    HistoryLimit { days: u32 },
    /// A 400 that reports that the last day is in the future, in the project's time zone.
    FutureDate,
    /// 404.
    NotFound,
    /// A 4xx that reports that the project belongs to another region.
    WrongRegion { status: u16 },
    /// Another 4xx, or a redirect.
    Rejected(u16),
    /// The request's session is unknown, or the response belongs to another session.
    SessionLost,
    /// 429.
    RateLimited { kind: RateLimitKind, retry_after: Option<Duration> },
    /// 5xx, or a 4xx that may be temporary.
    Server { status: u16, retry_after: Option<Duration> },
    /// No response in time.
    Timeout,
    /// No connection, so the server did not receive the request.
    Unreachable,
    /// The proxy explicitly refused to forward the request.
    ProxyRefused { status: Option<u16> },
    /// The server's certificate was rejected, so nothing was sent to it.
    Untrusted,
    /// The connection broke.
    Connection,
    /// A complete response that is not a page.
    BadReply,
    /// A response that began, but whose end is missing or reports an error.
    Incomplete,
    /// An export that the server says it terminated early.
    TerminatedEarly,
    /// A bug in this library, such as a panic.
    Internal,
}

impl FailureKind {
    /// Returns whether all later requests of this run are bound to fail.
    pub(crate) fn ends_the_run(self) -> bool {
        matches!(
            self,
            Self::Unauthorized { .. }
                | Self::PaymentRequired
                | Self::Forbidden
                | Self::HistoryLimit { .. }
                | Self::ProxyRefused { .. }
        )
    }

    /// Returns whether the server counts the request towards the quota (`docs/mixpanel-api.md#what-counts`).
    pub(crate) fn is_counted(self) -> bool {
        !matches!(
            self,
            Self::Unauthorized { status: 401 }
                | Self::PaymentRequired
                | Self::RateLimited { .. }
                | Self::Unreachable
                | Self::ProxyRefused { .. }
                | Self::Untrusted
        )
    }

    /// Returns whether a response arrived. Without one, it is unknown whether the server accepted the request.
    pub(crate) fn was_answered(self) -> bool {
        !matches!(
            self,
            Self::Timeout
                | Self::Connection
                | Self::Unreachable
                | Self::ProxyRefused { .. }
                | Self::Untrusted
                | Self::Internal
        )
    }
}

/// A failed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) kind: FailureKind,
    /// A lowercase fragment, safe to print.
    pub(crate) message: String,
    /// What needs to be corrected, if known.
    pub(crate) fault: Option<Fault>,
    /// The status of the response, if the kind does not include it.
    pub(crate) status: Option<u16>,
}

impl Failure {
    pub(crate) fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), fault: None, status: None }
    }

    pub(super) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = Some(status.as_u16());
        self
    }

    pub(crate) fn with_fault(mut self, fault: Fault) -> Self {
        self.fault = Some(fault);
        self
    }

    /// Converts the failure to the error of the run or call that it ends.
    pub(crate) fn into_error(self) -> Error {
        let kind = match self.kind {
            FailureKind::Unauthorized { .. } => ErrorKind::Unauthorized,
            FailureKind::PaymentRequired => ErrorKind::PaymentRequired,
            FailureKind::Forbidden => ErrorKind::Forbidden,
            FailureKind::NotFound => ErrorKind::NotFound,
            // A status below 400 does not mean that the request was invalid: an intermediary responded.
            FailureKind::Rejected(..400) => ErrorKind::UnexpectedReply,
            FailureKind::Rejected(_)
            | FailureKind::WrongRegion { .. }
            | FailureKind::FutureDate
            | FailureKind::HistoryLimit { .. } => ErrorKind::Rejected,
            FailureKind::SessionLost => ErrorKind::SessionLost,
            FailureKind::RateLimited { .. } => ErrorKind::RateLimited,
            FailureKind::Server { .. } => ErrorKind::ServerError,
            FailureKind::Timeout
            | FailureKind::Connection
            | FailureKind::Unreachable
            | FailureKind::ProxyRefused { .. }
            | FailureKind::Untrusted => ErrorKind::Unreachable,
            FailureKind::BadReply | FailureKind::Incomplete | FailureKind::TerminatedEarly => {
                ErrorKind::UnexpectedReply
            }
            FailureKind::Internal => ErrorKind::Internal,
        };
        let error = Error::new(kind, self.message);
        let error = match self.fault {
            Some(fault) => error.with_fault(fault),
            None => error,
        };
        match self.kind {
            FailureKind::Unauthorized { status } => error.with_detail("status_code", status),
            FailureKind::PaymentRequired => error.with_detail("status_code", 402),
            FailureKind::Forbidden => error.with_detail("status_code", 403),
            FailureKind::HistoryLimit { days } => {
                error.with_detail("status_code", 403).with_detail("max_history_days", days)
            }
            FailureKind::FutureDate => error.with_detail("status_code", 400),
            FailureKind::NotFound => error.with_detail("status_code", 404),
            FailureKind::Rejected(status)
            | FailureKind::WrongRegion { status }
            | FailureKind::Server { status, .. } => error.with_detail("status_code", status),
            FailureKind::RateLimited { retry_after, .. } => {
                let error = error.with_detail("status_code", self.status.unwrap_or(429));
                match retry_after {
                    Some(pause) => error.with_detail("retry_after", pause.as_secs_f64()),
                    None => error,
                }
            }
            _ => error,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Returns the reason phrase of a status, including nonstandard statuses of proxies, CDNs and load balancers.
pub(super) fn reason_of(status: StatusCode) -> &'static str {
    status.canonical_reason().unwrap_or(match status.as_u16() {
        440 => "Login Timeout",
        444 => "Connection Closed Without Response",
        460 | 499 => "Client Closed Request",
        494 => "Request Header Too Large",
        495 | 496 => "Client Certificate Error",
        497 => "HTTP Request Sent to HTTPS Port",
        509 => "Bandwidth Limit Exceeded",
        520 => "Web Server Returned an Unknown Error (reported by a CDN)",
        521 => "Web Server Is Down (reported by a CDN)",
        522 => "Connection Timed Out (reported by a CDN)",
        523 => "Origin Is Unreachable (reported by a CDN)",
        524 => "A Timeout Occurred (reported by a CDN)",
        525 => "SSL Handshake Failed (reported by a CDN)",
        526 => "Invalid SSL Certificate of the Server (reported by a CDN)",
        527 => "Railgun Error (reported by a CDN)",
        529 => "Site Is Overloaded",
        530 => "Origin Has No Address (reported by a CDN)",
        598 => "Network Read Timeout (reported by a proxy)",
        599 => "Network Connect Timeout (reported by a proxy)",
        600.. => "(invalid status)",
        _ => "unknown status",
    })
}

/// Describes a response by its status and an excerpt of its error text.
pub(super) fn describe_status(status: StatusCode, excerpt: &str) -> String {
    let reason = reason_of(status);
    let status = status.as_u16();
    if excerpt.is_empty() {
        return format!("the server answered {status} {reason}");
    }
    format!("the server answered {status} {reason}: {excerpt}")
}
