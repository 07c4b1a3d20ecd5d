//! Classifies responses by their status, headers and error text. Pure.

use http::header::LOCATION;
use http::{HeaderMap, StatusCode};
use reqwest::Url;

use crate::limits::PAGE_BYTES_MAX;
use crate::text::about;

use super::body::{decode, error_in_success_body, explanation, html_title, said};
use super::endpoint::{Endpoint, Server};
use super::failure::{Failure, FailureKind, Fault, describe_status};
use super::rate_limit::{self, RateLimitKind};
use super::redact::Redactor;

/// The status and headers of a response.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
}

/// Classifies the responses of one server.
#[derive(Clone)]
pub(super) struct Classifier {
    pub(super) server: Server,
    pub(super) redactor: Redactor,
}

impl Head {
    /// Returns whether the status is 200 or 203. A 203 is a 200 that an intermediary has modified, for example by
    /// recompressing it; its contents are checked just as strictly.
    pub(super) fn is_success(&self) -> bool {
        matches!(self.status, StatusCode::OK | StatusCode::NON_AUTHORITATIVE_INFORMATION)
    }
}

impl Classifier {
    /// Decodes the complete body of a successful response, up to `most` bytes.
    ///
    /// # Errors
    /// `BadReply` for a body that cannot be decoded; `RateLimited` for one that reports an exceeded limit.
    pub(super) fn contents(&self, head: &Head, body: Vec<u8>, most: usize) -> Result<Vec<u8>, Failure> {
        let decoded = decode(&head.headers, body, most);
        let body = decoded.map_err(|failure| Failure { message: self.redactor.quote(&failure.message), ..failure })?;
        match error_in_success_body(&body) {
            Some(text) if rate_limit::reports_exceeded_limit(&text) => Err(self.limited(head, &body)),
            _ => Ok(body),
        }
    }

    /// Classifies a response without a success status (`docs/mixpanel-api.md#errors-by-status`).
    pub(super) fn refusal(&self, endpoint: Endpoint, head: &Head, body: Vec<u8>, has_session: bool) -> Failure {
        let Head { status, headers } = head;
        let status = *status;
        let body = decode(headers, body, PAGE_BYTES_MAX).unwrap_or_default();
        let said = said(&body);
        let status_code = status.as_u16();
        // A few servers and proxies report an exceeded limit with a status other than 429.
        if status_code == 429 || (status_code >= 400 && rate_limit::reports_exceeded_limit(&explanation(&body))) {
            return self.limited(head, &body);
        }
        let retry_after = rate_limit::retry_after(headers);
        let kind = match status_code {
            status @ 400..500 if reports_other_region(&said) => FailureKind::WrongRegion { status },
            401 => FailureKind::Unauthorized { status: 401 },
            400 if said.contains("Unable to authenticate request") => FailureKind::Unauthorized { status: 400 },
            400 if has_session && reports_lost_session(&said) => FailureKind::SessionLost,
            400 if reports_future_date(&said) => FailureKind::FutureDate,
            402 => FailureKind::PaymentRequired,
            403 => match history_limit(&said) {
                Some(days) => FailureKind::HistoryLimit { days },
                None => FailureKind::Forbidden,
            },
            404 => FailureKind::NotFound,
            408 => FailureKind::Timeout,
            // The network responded in place of the server (RFC 6585, 6).
            511 => FailureKind::Unreachable,
            // Conflict, misdirected, locked, too early, overloaded, and the statuses that proxies use for an
            // unreachable server: the same request may succeed soon.
            status @ (409 | 420 | 421 | 423 | 425 | 444 | 449 | 460 | 499 | 500..) => {
                FailureKind::Server { status, retry_after }
            }
            // Neither an error nor a page, so an intermediary sent it.
            ..300 | 304 => FailureKind::BadReply,
            status => FailureKind::Rejected(status),
        };
        if status.is_redirection() && status != StatusCode::NOT_MODIFIED {
            let (host, target) = (self.server.host(endpoint.host()), self.redirect_target(endpoint, headers));
            let message = format!("{host} returned a redirect ({status}){target}; redirects are not followed");
            return Failure::new(kind, message);
        }
        let message = describe_status(status, &self.redactor.quote(&said));
        let is_web_page = html_title(&String::from_utf8_lossy(&body)).is_some();
        match kind {
            FailureKind::BadReply => Failure::new(kind, format!("{message} (expected status 200)")),
            FailureKind::WrongRegion { .. } => Failure::new(kind, message).with_fault(Fault::Region),
            FailureKind::FutureDate => Failure::new(kind, message).with_fault(Fault::FutureDay),
            FailureKind::Unreachable => {
                let message = format!("the network requires a login before it lets requests through: {message}");
                Failure::new(kind, message).with_fault(Fault::NetworkLogin)
            }
            // The API reports errors as JSON, so an intermediary sent this page.
            FailureKind::Forbidden | FailureKind::NotFound | FailureKind::Rejected(_) if is_web_page => {
                Failure::new(kind, message).with_fault(Fault::Intermediary)
            }
            _ => Failure::new(kind, message),
        }
    }

    /// Returns the failure of a response with a success status that contains this error text instead of all events.
    pub(super) fn error_in_export(&self, head: &Head, said: &str) -> Failure {
        if rate_limit::reports_exceeded_limit(said) {
            return self.limited(head, said.as_bytes());
        }
        let message = match said.trim() {
            "" => "the response ends with an error".to_owned(),
            said => format!("the response ends with an error: {}", self.redactor.quote(said)),
        };
        Failure::new(FailureKind::Incomplete, message)
    }

    /// Returns the failure of a request that exceeded one of the server's limits, whatever the response's status.
    fn limited(&self, head: &Head, body: &[u8]) -> Failure {
        let Head { status, headers } = head;
        let (said, retry_after) = (said(body), rate_limit::retry_after(headers));
        let kind = match rate_limit::classify(headers, &said) {
            RateLimitKind::LoadShed => rate_limit::classify(headers, &explanation(body)),
            kind => kind,
        };
        let mut message = describe_status(*status, &self.redactor.quote(&said));
        if let Some(pause) = retry_after {
            message.push_str(&format!(" (Retry-After: {})", about(pause)));
        }
        Failure::new(FailureKind::RateLimited { kind, retry_after }, message).with_status(*status)
    }

    /// Returns ` to <host>` for the target of a redirect, without the rest of its URL; empty if it is unknown.
    fn redirect_target(&self, endpoint: Endpoint, headers: &HeaderMap) -> String {
        let location = headers.get(LOCATION).and_then(|location| location.to_str().ok());
        let target = location
            .filter(|location| !location.is_empty())
            .and_then(|location| self.server.url(endpoint).join(location).ok());
        let host = target.as_ref().and_then(Url::host_str);
        host.map_or_else(String::new, |host| format!(" to {}", self.redactor.quote(host)))
    }
}

/// Returns whether an error text says that the project belongs to another region. Mixpanel is reported to send
/// "invalid project id for cluster."; similar texts may name a region or a data center. One word is not enough, because
/// a quoted filter may mention clusters and regions too.
fn reports_other_region(said: &str) -> bool {
    const PLACES: [&str; 6] = ["cluster", "region", "data center", "datacenter", "data centre", "data residency"];
    const LINKS: [&str; 13] = [
        "for",
        "for the",
        "for this",
        "in",
        "in the",
        "in this",
        "on this",
        "wrong",
        "another",
        "a different",
        "different",
        "other",
        "to this",
    ];
    let said = said.to_lowercase().replace(['"', '\'', '`'], "");
    let names_project =
        ["project id", "project_id", "project is", "this project", "the project", "project was", "project not"];
    let speaks_of_both = PLACES.iter().any(|place| said.contains(place))
        && names_project.iter().any(|words| said.contains(words))
        && !said.contains("propert");
    let names_place = LINKS.iter().any(|link| PLACES.iter().any(|place| said.contains(&format!("{link} {place}"))));
    (said.contains("project") && names_place) || speaks_of_both
}

/// Returns whether an error text reports an unknown session, in the documented wording or a similar one
/// (`docs/mixpanel-api.md#sessions-and-paging`).
fn reports_lost_session(said: &str) -> bool {
    let said = said.to_ascii_lowercase();
    said.contains("in uncached query")
        || (said.contains("session")
            && ["expired", "unknown", "invalid", "not found"].iter().any(|word| said.contains(word)))
}

/// Returns whether an error text says that the last day of an export is in the future.
fn reports_future_date(said: &str) -> bool {
    said.to_ascii_lowercase().contains("to_date cannot be later than today")
}

/// Returns the number of days that a project shows, if an error text says that the request goes back further:
/// "Date range exceeds 90 days into the past".
fn history_limit(said: &str) -> Option<u32> {
    let said = said.to_ascii_lowercase();
    let before = said.split_once(" days into the past")?.0;
    before.rsplit_once("exceeds ")?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_how_far_back_a_project_goes() {
        for (said, expected) in [
            ("Date range exceeds 90 days into the past", Some(90)),
            ("Error: date range exceeds 365 days into the past.", Some(365)),
            ("Date range exceeds many days into the past", None),
            ("exceeds 90 days", None),
        ] {
            assert_eq!(history_limit(said), expected, "{said}");
        }
        assert!(reports_future_date("Error in to_date: to_date cannot be later than today"));
        assert!(!reports_future_date("to_date is missing"));
    }

    #[test]
    fn recognizes_region_mismatch_messages() {
        for (said, expected) in [
            ("invalid project id for cluster.", true),
            ("Invalid project_id for EU cluster", true),
            ("Project 7 not found in this region", true),
            ("this project is hosted in our EU data center", true),
            ("the project's data residency is IN", true),
            ("project belongs to a different cluster", true),
            ("unknown property region in properties[\"cluster\"] of project 7", false),
            ("invalid project id", false),
            ("Unable to authenticate request", false),
            ("no such region", false),
        ] {
            assert_eq!(reports_other_region(said), expected, "{said}");
        }
    }
}
