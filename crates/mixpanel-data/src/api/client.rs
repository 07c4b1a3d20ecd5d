//! The API client: sends single requests, with retries and within the quota.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;

use crate::blocking::blocking;
use crate::clock;
use crate::credentials::Credentials;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{BUSY_POLL_INTERVAL, ERROR_BODY_BYTES_MAX, PAGE_BYTES_MAX, PAGES_READY_MAX, RATE_LIMIT_WAIT_MAX};
use crate::quota::{Acquired, Pool, Quota, RateLimiter, RequestClass};
use crate::text::{about, printable};

use super::body::html_title;
use super::endpoint::{ApiOptions, Endpoint, Host};
use super::export_quota::{ExportQuota, open_ledger};
use super::failure::{Failure, FailureKind, Fault};
use super::rate_limit::RateLimitKind;
use super::retry::{Decision, decide};
use super::transport::{Request, Transport};

/// A Mixpanel client for one account and project. Cheap to clone; clones share their connections, which belong to the
/// Tokio runtime that the client is used on.
///
/// Use it to read single pages without storing them, or to share connections between services.
#[derive(Clone)]
pub struct ApiClient {
    pub(super) transport: Transport,
    limiter: RateLimiter,
    /// Limits the number of responses parsed at once to the number of processors, at most four. A higher limit
    /// only uses more memory.
    pub(super) readers: Arc<Semaphore>,
    /// The connections to the export API, which most fetches do not need, and how to set them up.
    exports: Arc<OnceLock<Transport>>,
    options: Arc<ApiOptions>,
    /// Why the quota ledger in the state directory could not be opened; `None` if it was opened or none is configured.
    ledger_failure: Option<String>,
    /// The quota of the export API, whose ledger is opened when it is first needed.
    export_quota: Arc<ExportQuota>,
}

impl ApiClient {
    /// Creates a client without sending anything.
    ///
    /// # Errors
    /// `InvalidInput` for a base URL that is not a loopback address, or a quota out of range. `Tls` if this machine has
    /// no readable TLS root certificates. An unusable state directory is not an error: the client then counts only its
    /// own requests against the quota, and a fetch reports that.
    pub fn new(credentials: Credentials, options: &ApiOptions) -> Result<Self> {
        let project_id = credentials.project_id.clone();
        let transport = Transport::new(credentials, options, Host::Query)?;
        let host = transport.server().host(Host::Query);
        let directory = options.state_directory.as_deref();
        let (limiter, ledger_failure) = open_ledger(Pool::QUERY, directory, &host, project_id.as_str(), options.quota)?;
        let export_quota = ExportQuota::new(options.state_directory.clone(), options.quota);
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let readers = Arc::new(Semaphore::new(processors.min(PAGES_READY_MAX as usize)));
        let options = Arc::new(options.clone());
        let export_quota = Arc::new(export_quota);
        Ok(Self { transport, limiter, readers, exports: Arc::default(), export_quota, options, ledger_failure })
    }

    /// Returns the reason if other processes cannot see this client's queries, or if earlier counts were lost.
    pub(crate) fn ledger_notice(&self) -> Option<String> {
        self.ledger_failure.clone().or_else(|| self.limiter.notice())
    }

    /// Returns false if the quota ledger in the state directory could not be opened.
    pub(super) fn has_its_ledger(&self) -> bool {
        self.ledger_failure.is_none()
    }

    /// Returns a client with its own connections and the same quota ledger.
    ///
    /// # Errors
    /// `Tls` if the certificates can no longer be read.
    pub(super) fn reconnected(&self, options: &ApiOptions) -> Result<Self> {
        let transport = Transport::new(self.credentials().clone(), options, Host::Query)?;
        let options = Arc::new(options.clone());
        Ok(Self { transport, exports: Arc::default(), options, ..self.clone() })
    }

    /// Returns the connections to the export API. The first call sets them up.
    ///
    /// # Errors
    /// `Tls` if the certificates cannot be read; `InvalidInput` for proxy settings that cannot be used.
    pub(super) fn exports(&self) -> Result<&Transport> {
        if let Some(exports) = self.exports.get() {
            return Ok(exports);
        }
        let exports = self.transport.for_exports(&self.options)?;
        Ok(self.exports.get_or_init(|| exports))
    }

    /// Returns the rate limiter that enforces the project's quota.
    pub(crate) fn limiter(&self) -> &RateLimiter {
        &self.limiter
    }

    /// Returns the rate limiter for exports, which have a quota of their own. The first call opens its ledger, or counts
    /// only the exports of this client if that fails. Blocks.
    ///
    /// # Errors
    /// `InvalidInput` if the quota is out of range.
    pub(crate) fn export_limiter(&self) -> Result<RateLimiter> {
        self.export_quota.limiter(&self.export_host(), self.credentials().project_id.as_str())
    }

    /// Returns the reason if other processes cannot see this client's exports, or if earlier counts were lost.
    pub(crate) fn export_ledger_notice(&self) -> Option<String> {
        self.export_quota.notice()
    }

    /// Returns the quota to enforce, which applies to queries and to exports, each counted on their own.
    pub(crate) fn quota(&self) -> Quota {
        self.export_quota.quota()
    }

    /// Formats text that contains server output for a message: truncated and without secrets.
    pub(crate) fn quote(&self, said: &str) -> String {
        self.transport.quote(said)
    }

    /// Returns the number of seconds by which this machine's clock is ahead of the server's, if a response has included
    /// its time; negative if it is behind.
    pub(crate) fn clock_ahead(&self) -> Option<i64> {
        self.transport.clock_ahead()
    }

    /// Returns the current time by the server's clock, if a response has included it.
    pub(crate) fn server_time(&self) -> Option<jiff::Timestamp> {
        let ahead = jiff::SignedDuration::from_secs(self.transport.clock_ahead()?);
        clock::wall_clock().checked_sub(ahead).ok()
    }

    /// Returns the server's name for the description of a run: its host, or just `loopback`, because loopback ports
    /// change.
    pub(crate) fn server_name(&self) -> String {
        let server = self.transport.server();
        if server.is_loopback() { "loopback".to_owned() } else { server.host(Host::Query) }
    }

    /// Returns the credentials that requests are sent with.
    #[must_use]
    pub fn credentials(&self) -> &Credentials {
        self.transport.credentials()
    }

    /// Calls an endpoint whose response is a small JSON document, within the quota, with retries, and within the time
    /// limit of a call.
    ///
    /// # Errors
    /// Same as [`export_profiles_page`](Self::export_profiles_page).
    ///
    /// # Cancellation
    /// Dropping the future abandons the request; the server may still count it.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        endpoint: Endpoint,
        query: Vec<(&'static str, String)>,
    ) -> Result<T> {
        let request = Request { endpoint, query, form: None, page: None, has_session: false };
        let attempt = || async {
            let body = self.counted(RequestClass::Opening, self.transport.fetch(&request, PAGE_BYTES_MAX)).await?;
            Ok(body.and_then(|body| self.read_json(endpoint, &body)))
        };
        self.retried(endpoint, attempt).await
    }

    fn read_json<T: DeserializeOwned>(&self, endpoint: Endpoint, body: &[u8]) -> Result<T, Failure> {
        serde_json::from_slice(body).map_err(|error| {
            // The reason may contain part of the response.
            let reason = format!("the response is not a {}: {error}", endpoint.contents());
            let failure = web_page(body).unwrap_or_else(|| Failure::new(FailureKind::BadReply, reason));
            Failure { message: self.quote(&failure.message), ..failure }
        })
    }

    /// Repeats an attempt until it succeeds, it fails for good, or the time limit of a call has passed. An error other
    /// than a [`Failure`] ends the call at once.
    pub(super) async fn retried<T, A>(&self, endpoint: Endpoint, attempt: impl Fn() -> A) -> Result<T>
    where
        A: Future<Output = Result<Result<T, Failure>>>,
    {
        let mut last = None;
        let attempts = async {
            let mut number = 1;
            loop {
                let failure = match attempt().await? {
                    Ok(value) => return Ok(value),
                    Err(failure) => failure,
                };
                match decide(&failure, number, clock::random_fraction()) {
                    Decision::Retry(pause) | Decision::Pause(pause) => {
                        tracing::debug!(attempt = number, ?pause, "{failure}; retrying");
                        last = Some(failure);
                        tokio::time::sleep(pause).await;
                    }
                    Decision::Fail => return Err(failure.into_error()),
                }
                number += 1;
            }
        };
        let in_time = tokio::time::timeout(self.transport.call_limit(), attempts).await;
        in_time.unwrap_or_else(|_| Err(self.transport.out_of_time(endpoint, last).into_error()))
    }

    /// Sends a single request once the quota has room for it, and records its outcome in the ledger.
    ///
    /// # Errors
    /// `RateLimited` if there is no room within the time that a call may wait; `Storage` or `DiskFull` if the ledger
    /// cannot be read or written.
    pub(super) async fn counted(
        &self,
        class: RequestClass,
        request: impl Future<Output = Result<Vec<u8>, Failure>>,
    ) -> Result<Result<Vec<u8>, Failure>> {
        let watch = clock::Stopwatch::start();
        let permit = loop {
            let now = clock::wall_clock();
            let limiter = self.limiter.clone();
            match blocking(move || limiter.acquire(class, now)).await? {
                Acquired::Granted(permit) => break permit,
                Acquired::NoFreeSlot if watch.elapsed() > RATE_LIMIT_WAIT_MAX => {
                    let message = "other processes hold all concurrency slots";
                    return Err(Error::new(ErrorKind::RateLimited, message));
                }
                Acquired::NoFreeSlot => tokio::time::sleep(BUSY_POLL_INTERVAL).await,
                Acquired::TooSoon { at } => {
                    tokio::time::sleep(Duration::try_from(at.duration_since(now)).unwrap_or_default()).await;
                }
                Acquired::NotBefore { at, cause, used, limit } => {
                    let wait = Duration::try_from(at.duration_since(now)).unwrap_or_default();
                    if wait > RATE_LIMIT_WAIT_MAX {
                        let message = format!(
                            "{}; the next is available in {}",
                            self.limiter.why_wait(cause, used, limit),
                            about(wait)
                        );
                        return Err(
                            Error::new(ErrorKind::RateLimited, message).with_detail("retry_after", wait.as_secs_f64())
                        );
                    }
                    tokio::time::sleep(wait).await;
                }
            }
        };
        let outcome = request.await;
        let now = clock::wall_clock();
        let failed = outcome.as_ref().err().map(|failure| failure.kind);
        let record = move || match failed {
            Some(FailureKind::RateLimited { kind: RateLimitKind::Hourly, retry_after }) => {
                permit.refused_hourly(now, retry_after).map(|_| ())
            }
            Some(kind) if !kind.is_counted() => permit.refunded(now),
            Some(kind) if !kind.was_answered() => permit.answered(now),
            _ => permit.succeeded(now),
        };
        blocking(record).await?;
        Ok(outcome)
    }
}

/// Returns the failure for a successful response that is an HTML page instead of JSON, such as the page of a captive
/// portal; `None` if it is not HTML.
pub(super) fn web_page(body: &[u8]) -> Option<Failure> {
    let text = String::from_utf8_lossy(&body[..body.len().min(ERROR_BODY_BYTES_MAX)]);
    let title = html_title(&text).filter(|_| !text.trim_start().starts_with(['{', '[']))?;
    let titled =
        if title.is_empty() { "without a title".to_owned() } else { format!("titled `{}`", printable(&title)) };
    let message = format!(
        "the response is a web page {titled}, not a response from Mixpanel's API; it may come from a proxy or a \
         network login page"
    );
    Some(Failure::new(FailureKind::BadReply, message).with_fault(Fault::Intermediary))
}

impl fmt::Debug for ApiClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiClient").field("credentials", self.credentials()).finish_non_exhaustive()
    }
}
