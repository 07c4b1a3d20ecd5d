//! The API client: sends single requests, with retries and within the quota, and returns their outcome.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Method;
use tokio::sync::Semaphore;

use crate::clock;
use crate::credentials::Credentials;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{
    BUSY_POLL_INTERVAL, ERROR_BODY_BYTES_MAX, PAGE_SIZE_DEFAULT, PAGES_READY_MAX, RATE_LIMIT_WAIT_MAX,
};
use crate::parse::{PageBody, RecordForm, parse_page};
use crate::profile_query::ProfileQuery;
use crate::quota::{Acquired, Pool, RateLimiter, RequestClass, why_wait};
use crate::types::ProfilePageResult;

use super::body::html_title;
use super::endpoint::{ApiOptions, Endpoint};
use super::engage::EngageForm;
use super::failure::{Failure, FailureKind, Fault};
use super::rate_limit::RateLimitKind;
use super::retry::{Decision, decide};
use super::transport::Transport;

/// A client of Mixpanel for one account and project. Cheap to clone; clones share their connections, which belong to the
/// Tokio runtime that the client is used on.
///
/// Use it to read single pages without storing them, or to share connections between services.
#[derive(Clone)]
pub struct ApiClient {
    transport: Transport,
    limiter: RateLimiter,
    /// Limits the responses parsed at the same time to the number of processors, at most four: more would only use
    /// more memory.
    readers: Arc<Semaphore>,
    /// Why there is no quota ledger although there should be one.
    ledger_failure: Option<String>,
}

/// A page that was received completely.
#[derive(Debug)]
pub(crate) struct PageReply {
    /// The parsed page.
    pub(crate) body: PageBody,
    /// Its decoded size, in bytes.
    pub(crate) bytes: usize,
}

impl ApiClient {
    /// Creates a client. Nothing is sent.
    ///
    /// # Errors
    /// `InvalidInput` for a base URL that is not a loopback address, or a quota out of range. `Tls` if this machine has
    /// no TLS root certificates or none that can be read. A state directory that cannot be used is not an error: the
    /// quota is then counted for this client alone, and a fetch reports that.
    pub fn new(credentials: Credentials, options: &ApiOptions) -> Result<Self> {
        let project_id = credentials.project_id.clone();
        let transport = Transport::new(credentials, options)?;
        let folder = options.state_folder.as_deref();
        let open = |folder| RateLimiter::open(Pool::QUERY, folder, &transport.host(), project_id.as_str(), options.quota);
        let (limiter, ledger_failure) = match open(folder) {
            Ok(limiter) => (limiter, None),
            Err(error) if folder.is_some() && error.kind() != ErrorKind::InvalidInput => {
                let cause = std::error::Error::source(&error).map_or_else(String::new, |cause| format!(": {cause}"));
                let failure = format!("the queries of this fetch are not counted for later ones: {error}{cause}");
                (open(None)?, Some(failure))
            }
            Err(error) => return Err(error),
        };
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let readers = Arc::new(Semaphore::new(processors.min(PAGES_READY_MAX as usize)));
        Ok(Self { transport, limiter, readers, ledger_failure })
    }

    /// Returns why other processes and later runs do not see the queries of this client, or why the queries of
    /// earlier ones are forgotten, if that is so.
    pub(crate) fn ledger_notice(&self) -> Option<String> {
        self.ledger_failure.clone().or_else(|| self.limiter.notice())
    }

    /// Returns whether the queries of this client are counted where they should be.
    pub(super) fn counts_as_asked(&self) -> bool {
        self.ledger_failure.is_none()
    }

    /// Returns a client with connections of its own that shares everything else.
    pub(super) fn reconnected(&self, options: &ApiOptions) -> Result<Self> {
        let transport = Transport::new(self.credentials().clone(), options)?;
        Ok(Self { transport, ..self.clone() })
    }

    /// Returns the rate limiter that enforces the project's quota.
    pub(crate) fn limiter(&self) -> &RateLimiter {
        &self.limiter
    }

    /// Returns text that contains server output, truncated and without secrets.
    pub(crate) fn quote(&self, said: &str) -> String {
        self.transport.quote(said)
    }

    /// Returns the time by the server's clock, if a response has told it.
    pub(crate) fn server_time(&self) -> Option<jiff::Timestamp> {
        let ahead = jiff::SignedDuration::from_secs(self.transport.clock_ahead()?);
        clock::wall_clock().checked_sub(ahead).ok()
    }

    /// Returns the name of the server for the description of a run: its host, or just `loopback`, because loopback
    /// ports change.
    pub(crate) fn server_name(&self) -> String {
        if self.transport.is_loopback() { "loopback".to_owned() } else { self.transport.host() }
    }

    /// Returns the credentials that requests are sent with.
    #[must_use]
    pub fn credentials(&self) -> &Credentials {
        self.transport.credentials()
    }

    /// Fetches one page of profiles, with retries. `page` counts from 0; pages after the first need the `session_id`
    /// that page 0 returned, and the same query.
    ///
    /// # Errors
    /// `InvalidInput` for a bad query, before any request is sent. `Unauthorized`, `PaymentRequired`, `Forbidden`,
    /// `NotFound`, `Rejected`, `SessionLost`: at once. `RateLimited`, `ServerError`, `Unreachable`,
    /// `UnexpectedReply`: after the last attempt, or when all attempts together have taken
    /// [`Timeouts::call`](super::Timeouts::call).
    ///
    /// # Cancellation
    /// Dropping the future abandons the request; the server may still count it.
    pub async fn export_profiles_page(
        &self,
        page: u32,
        session_id: Option<&str>,
        query: &ProfileQuery,
    ) -> Result<ProfilePageResult> {
        let request = EngageForm::new(query, clock::wall_clock().as_second())?;
        if request.is_empty {
            return Err(Error::invalid("an empty list of ids asks for nothing"));
        }
        if page > 0 && session_id.is_none() {
            return Err(Error::invalid("pages after the first need the session id that page 0 returned"));
        }
        let class = if session_id.is_some() { RequestClass::Session } else { RequestClass::Opening };
        let last = LastFailure::default();
        let attempts = async {
            let mut attempt = 1;
            loop {
                let outcome = match self.counted(class, self.request_body(&request, page, session_id)).await? {
                    Ok(body) => self.read_in_background(body, RecordForm::Row).await,
                    Err(failure) => Err(failure),
                };
                match outcome {
                    Ok(reply) => return Ok(reply.body),
                    Err(failure) => pause_or_give_up(failure, attempt, &last).await?,
                }
                attempt += 1;
            }
        };
        let body = self.in_time(attempts, &last).await?;
        let page_size = body.page_size.unwrap_or(PAGE_SIZE_DEFAULT);
        Ok(ProfilePageResult {
            has_more: body.rows.received() as u64 >= page_size,
            profiles: body.rows,
            session_id: body.session_id,
            page,
            total: body.total,
            page_size,
        })
    }

    /// Returns the names of the project's most common events of the last 31 days (`docs/mixpanel-api.md#discovery`),
    /// with retries. Serves as a test of credentials that costs one query.
    ///
    /// # Errors
    /// As [`export_profiles_page`](Self::export_profiles_page).
    ///
    /// # Cancellation
    /// Dropping the future abandons the request.
    pub async fn event_names(&self) -> Result<Vec<String>> {
        let last = LastFailure::default();
        let attempts = async {
            let mut attempt = 1;
            loop {
                let request = self.transport.request(Method::GET, Endpoint::EventNames, None);
                let outcome = self.counted(RequestClass::Opening, request).await?.and_then(|body| {
                    serde_json::from_slice(&body).map_err(|error| {
                        // The reason may quote part of the response.
                        let reason = format!("the reply is no list of event names: {error}");
                        let failure = web_page(&body).unwrap_or_else(|| Failure::new(FailureKind::BadReply, reason));
                        Failure { message: self.transport.quote(&failure.message), ..failure }
                    })
                });
                match outcome {
                    Ok(names) => return Ok(names),
                    Err(failure) => pause_or_give_up(failure, attempt, &last).await?,
                }
                attempt += 1;
            }
        };
        self.in_time(attempts, &last).await
    }

    /// Runs all attempts of a call, within the time limit of a call.
    async fn in_time<T>(&self, attempts: impl Future<Output = Result<T>>, last: &LastFailure) -> Result<T> {
        let limit = self.transport.call_limit();
        tokio::time::timeout(limit, attempts).await.unwrap_or_else(|_| {
            let last = last.lock().unwrap_or_else(PoisonError::into_inner).take();
            Err(self.transport.out_of_time(last, limit).into_error())
        })
    }

    /// Makes one attempt to fetch a page, without the quota, and returns the decoded response body.
    pub(crate) async fn request_body(
        &self,
        request: &EngageForm,
        page: u32,
        session: Option<&str>,
    ) -> Result<Vec<u8>, Failure> {
        let fields = request.form(page, session);
        self.transport.request(Method::POST, Endpoint::Engage, Some(&fields)).await
    }

    /// Parses a response body as a page. Takes a few milliseconds per megabyte.
    pub(crate) fn read_page(&self, body: &[u8], form: RecordForm) -> Result<PageReply, Failure> {
        read_page(body, form).map_err(|failure| Failure { message: self.transport.quote(&failure.message), ..failure })
    }

    /// Classifies a response that did not come over a network.
    #[cfg(test)]
    pub(crate) fn judge_reply(
        &self,
        status: http::StatusCode,
        headers: http::HeaderMap,
        body: Vec<u8>,
        has_session: bool,
    ) -> Result<Vec<u8>, Failure> {
        self.transport.judge(super::transport::RawReply { status, headers, body }, has_session)
    }

    /// Parses a response body as a page on a blocking thread. Dropping the future does not stop parsing that has
    /// begun.
    pub(crate) async fn read_in_background(&self, body: Vec<u8>, form: RecordForm) -> Result<PageReply, Failure> {
        let client = self.clone();
        let permit = Arc::clone(&self.readers).acquire_owned().await;
        let work = move || {
            let page = client.read_page(&body, form);
            // Free this page's memory before the next one is parsed.
            drop(body);
            drop(permit);
            page
        };
        tokio::task::spawn_blocking(work)
            .await
            .unwrap_or_else(|_| Err(Failure::new(FailureKind::Internal, "reading the page panicked; this is a bug")))
    }

    /// Sends a single request when the quota has room for it, and records its outcome in the ledger.
    ///
    /// # Errors
    /// `RateLimited` if there will be no room within the time that a call may wait; `Storage` for the ledger.
    async fn counted(
        &self,
        class: RequestClass,
        request: impl Future<Output = Result<Vec<u8>, Failure>>,
    ) -> Result<Result<Vec<u8>, Failure>> {
        let watch = clock::Stopwatch::start();
        let permit = loop {
            let now = clock::wall_clock();
            match self.limiter.acquire(class, now)? {
                Acquired::Granted(permit) => break permit,
                Acquired::AllBusy if watch.elapsed() > RATE_LIMIT_WAIT_MAX => {
                    let message = "other processes use all the concurrent queries that Mixpanel allows";
                    return Err(Error::new(ErrorKind::RateLimited, message));
                }
                Acquired::AllBusy => tokio::time::sleep(BUSY_POLL_INTERVAL).await,
                Acquired::NotBefore { at, used, limit } => {
                    let wait = Duration::try_from(at.duration_since(now)).unwrap_or_default();
                    if wait > RATE_LIMIT_WAIT_MAX {
                        let seconds = wait.as_secs() + 1;
                        let message = format!("{}; the next is free in {seconds} s", why_wait(used, limit));
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
        match outcome.as_ref().map_err(|failure| failure.kind) {
            Err(FailureKind::RateLimited { kind: RateLimitKind::Hourly, retry_after }) => {
                permit.refused_hourly(now, retry_after)?;
            }
            Err(kind) if !kind.is_counted() => permit.refunded(now)?,
            Err(kind) if !kind.was_answered() => permit.answered(now)?,
            _ => permit.succeeded(now)?,
        }
        Ok(outcome)
    }
}

/// Parses a response body with status 200.
fn read_page(body: &[u8], form: RecordForm) -> Result<PageReply, Failure> {
    let page = parse_page(body, form)
        .map_err(|reason| web_page(body).unwrap_or_else(|| Failure::new(FailureKind::BadReply, reason)))?;
    Ok(PageReply { body: page, bytes: body.len() })
}

/// Returns the failure of a response with status 200 that is an HTML page instead of JSON, such as a captive
/// portal's.
fn web_page(body: &[u8]) -> Option<Failure> {
    let text = String::from_utf8_lossy(&body[..body.len().min(ERROR_BODY_BYTES_MAX)]);
    let title = html_title(&text).filter(|_| !text.trim_start().starts_with(['{', '[']))?;
    let message = format!(
        "the reply is not from Mixpanel's API but a web page titled `{}`; a proxy or the log-in page of a network may be in between",
        title.escape_debug()
    );
    Some(Failure::new(FailureKind::BadReply, message).with_fault(Fault::InBetween))
}

/// The failure of the latest attempt that ended, for a call that runs out of time.
type LastFailure = Mutex<Option<Failure>>;

/// Sleeps before the next attempt, or returns the failure as the final error.
async fn pause_or_give_up(failure: Failure, attempt: u32, last: &LastFailure) -> Result<()> {
    match decide(&failure, attempt, clock::random_fraction()) {
        Decision::Retry(pause) | Decision::Pause(pause) => {
            tracing::debug!(attempt, ?pause, "{failure}; trying again");
            *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
            tokio::time::sleep(pause).await;
            Ok(())
        }
        Decision::Fail => Err(failure.into_error()),
    }
}

impl fmt::Debug for ApiClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiClient").field("credentials", self.credentials()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::{Region, Secret};

    #[tokio::test]
    async fn a_reply_waits_until_another_one_is_read() {
        let credentials = Credentials::new("someone", Secret::new("secret"), "12345", Region::Us).unwrap();
        let options = ApiOptions { base_url: Some("http://127.0.0.1:9".to_owned()), ..ApiOptions::default() };
        let client = ApiClient::new(credentials, &options).unwrap();
        let all = client.readers.available_permits();
        assert!((1..=PAGES_READY_MAX as usize).contains(&all), "{all}");
        let others = client.readers.acquire_many(u32::try_from(all).unwrap()).await.unwrap();
        let reading = client.read_in_background(br#"{"results":[]}"#.to_vec(), RecordForm::Row);
        let mut reading = std::pin::pin!(reading);
        tokio::select! {
            biased;
            _ = &mut reading => panic!("it did not wait"),
            () = tokio::task::yield_now() => {}
        }
        drop(others);
        assert_eq!(reading.await.unwrap().body.rows.received(), 0);
        assert_eq!(client.readers.available_permits(), all);
    }
}
