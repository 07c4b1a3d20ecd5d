//! Builds 429 responses (`docs/mixpanel-api.md#responses-with-429`).

use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

use crate::config::{Quota, RateLimitStyle, SimulatorConfig};
use crate::limit_kind::LimitKind;
use crate::message::{Reply, Request};
use crate::quota::Ledger;

/// The wait in seconds that Mixpanel reports for too many concurrent requests. It is constant there too. That
/// `Retry-After` has the same value is an assumption.
const CONCURRENCY_WAIT: u64 = 10;
const HELP: &str = "For more information, see https://docs.mixpanel.com/reference/rate-limits";

/// The state of the limits. If a fault causes the 429 and no limit is set, Mixpanel's default limit is reported.
struct Limits {
    quota: Quota,
    concurrency: u64,
    used: u64,
    running: u64,
    /// The prefix of every error message.
    start: String,
}

/// Builds a 429 response of the given kind.
pub(crate) fn too_many_requests(
    config: &SimulatorConfig,
    ledger: &Ledger,
    kind: LimitKind,
    request: &Request,
) -> Reply {
    let limits = Limits {
        quota: config.quota.unwrap_or_default(),
        concurrency: u64::from(config.concurrency.unwrap_or(5)),
        used: ledger.used() as u64,
        running: ledger.in_flight() as u64,
        start: format!("Query rate limit exceeded for project_id: {}.", config.project_id),
    };
    match (kind, config.rate_limit_style) {
        (LimitKind::LoadShed | LimitKind::PerSecond, _) => limits.load_shed(),
        (LimitKind::BodyOnly, _) | (_, RateLimitStyle::BodyOnly) => limits.body_only(kind, request),
        (LimitKind::Hourly, _) => limits.hourly(request),
        (LimitKind::Concurrency, _) => limits.concurrency(),
    }
}

impl Limits {
    fn hourly(&self, request: &Request) -> Reply {
        let numbers =
            format!("({}/{} queries running in the last {})", self.too_many_used(), self.quota.requests, self.window());
        let error = format!("{} The project has exceeded the rate limit {numbers}. {HELP}", self.start);
        let host = request.host.as_deref().unwrap_or("localhost");
        let url = format!("http://{host}{}?{}", request.path, request.query);
        let left = self.concurrency.saturating_sub(self.running);
        let wait = seconds(self.quota.window);
        let state = format!("\"project\";r=0;t={wait}, \"project-concurrency\";r={left}");
        self.with_headers(&json!({"request": url, "error": error}), &state, wait)
    }

    fn concurrency(&self) -> Reply {
        let numbers = format!("({}/{} queries running concurrently)", self.too_many_running(), self.concurrency);
        let error = format!("{} The project has exceeded the concurrency limit {numbers}. {HELP}", self.start);
        // Never 0 here, because clients read two zeros as the hourly limit.
        let left = u64::from(self.quota.requests).saturating_sub(self.used).max(1);
        let state = format!("\"project\";r={left}, \"project-concurrency\";r=0;t={CONCURRENCY_WAIT}");
        self.with_headers(&json!({"error": error}), &state, CONCURRENCY_WAIT)
    }

    /// Builds a load-shedding response: no rate-limit headers, and no numbers except the project ID.
    fn load_shed(&self) -> Reply {
        limited(&json!({"error": format!("{} The server is busy, please try again later.", self.start)}))
    }

    /// Builds a response in the format of 2021: both numbers in the body, no rate-limit headers, and the URL without
    /// the host.
    fn body_only(&self, kind: LimitKind, request: &Request) -> Reply {
        let (used, running) = match kind {
            LimitKind::Concurrency => (self.used, self.too_many_running()),
            _ => (self.too_many_used(), self.running.max(1)),
        };
        let numbers = format!(
            "{running}/{} queries running concurrently and {used}/{} queries running in the last {}.",
            self.concurrency,
            self.quota.requests,
            self.window(),
        );
        let url = format!("{}?{}", request.path, request.query);
        limited(&json!({"request": url, "error": format!("{} {numbers} {HELP}", self.start)}))
    }

    /// Returns at least one more than the limit, even if a fault causes the 429 and the window is not full.
    fn too_many_used(&self) -> u64 {
        self.used.max(u64::from(self.quota.requests)) + 1
    }

    fn too_many_running(&self) -> u64 {
        self.running.max(self.concurrency) + 1
    }

    fn window(&self) -> String {
        match self.quota.window.as_secs() {
            3_600 => "hour".to_owned(),
            _ => format!("{} seconds", self.quota.window.as_secs_f64()),
        }
    }

    fn with_headers(&self, body: &Value, state: &str, wait: u64) -> Reply {
        let policy = format!(
            "\"project\";q={};w={}, \"project-concurrency\";q={};qu=\"concurrent-requests\"",
            self.quota.requests,
            seconds(self.quota.window),
            self.concurrency,
        );
        let header = |text: &str| HeaderValue::from_str(text).expect("digits and ASCII names make a header");
        let mut reply = limited(body);
        reply.headers.insert("RateLimit-Policy", header(&policy));
        reply.headers.insert("RateLimit", header(state));
        reply.headers.insert(RETRY_AFTER, HeaderValue::from(wait));
        reply
    }
}

fn limited(body: &Value) -> Reply {
    Reply::new(StatusCode::TOO_MANY_REQUESTS, "application/json", body.to_string())
}

/// Returns whole seconds, rounded up, because the headers allow no fractions.
fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}
