//! Sends one request at a time and says what came of it.

use std::fmt;

use http::Method;
use sha2::{Digest, Sha256};

use crate::clock;
use crate::credentials::Credentials;
use crate::error::{Error, Result};
use crate::limits::PAGE_SIZE_DEFAULT;
use crate::parse::{PageBody, RecordForm, parse_page};
use crate::profile_query::ProfileQuery;
use crate::types::ProfilePageResult;

use super::body::html_title;
use super::endpoint::{ApiOptions, Endpoint};
use super::engage::PageRequest;
use super::failure::{Failure, FailureKind};
use super::retry::{Decision, decide};
use super::transport::Transport;

/// Talks to Mixpanel for one account and project. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct ApiClient {
    transport: Transport,
}

/// A page that came whole.
#[derive(Debug)]
pub(crate) struct PageReply {
    /// What it says.
    pub(crate) body: PageBody,
    /// Its decoded size.
    pub(crate) bytes: usize,
    /// SHA-256 of its decoded bytes, in hexadecimal.
    pub(crate) sha256: String,
}

impl ApiClient {
    /// Makes a client. Nothing is sent.
    ///
    /// # Errors
    /// `InvalidInput` for a base URL that is not on this machine; `Internal` when TLS cannot be set up.
    pub fn new(credentials: Credentials, options: &ApiOptions) -> Result<Self> {
        Ok(Self { transport: Transport::new(credentials, options)? })
    }

    /// Returns the credentials that requests are sent with.
    #[must_use]
    pub fn credentials(&self) -> &Credentials {
        self.transport.credentials()
    }

    /// Fetches one page of profiles, with retries. `page` counts from 0; pages after the first need the `session_id` that
    /// page 0 returned, and the same query.
    ///
    /// # Errors
    /// `InvalidInput` for a bad query, before any request. `Unauthorized`, `PaymentRequired`, `Forbidden`, `NotFound`,
    /// `Rejected`, `SessionLost`: at once. `RateLimited`, `ServerError`, `Unreachable`, `UnexpectedReply`: after the
    /// last attempt.
    ///
    /// # Cancellation
    /// Dropping the future abandons the request; the server may count it all the same.
    pub async fn export_profiles_page(
        &self,
        page: u32,
        session_id: Option<&str>,
        query: &ProfileQuery,
    ) -> Result<ProfilePageResult> {
        let request = PageRequest::new(query, clock::wall_clock().as_second())?;
        if request.is_empty {
            return Err(Error::invalid("an empty list of ids asks for nothing"));
        }
        if page > 0 && session_id.is_none() {
            return Err(Error::invalid("pages after the first need the session id that page 0 returned"));
        }
        let mut attempt = 1;
        let body = loop {
            match self.request_page(&request, page, session_id, RecordForm::Row).await {
                Ok(reply) => break reply.body,
                Err(failure) => {
                    pause_or_give_up(failure, attempt).await?;
                    attempt += 1;
                }
            }
        };
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

    /// Asks for the names of the project's events of the last 31 days (API facts 4): a cheap test of credentials that
    /// costs one query. With retries.
    ///
    /// # Errors
    /// As [`export_profiles_page`](Self::export_profiles_page).
    ///
    /// # Cancellation
    /// Dropping the future abandons the request.
    pub async fn event_names(&self) -> Result<Vec<String>> {
        let mut attempt = 1;
        loop {
            let outcome = self.transport.request(Method::GET, Endpoint::EventNames, None).await.and_then(|body| {
                serde_json::from_slice(&body).map_err(|error| {
                    // The reason may show a part of the reply.
                    let reason = self.transport.quote(&error.to_string());
                    Failure::new(FailureKind::BadReply, format!("the reply is no list of event names: {reason}"))
                })
            });
            match outcome {
                Ok(names) => return Ok(names),
                Err(failure) => pause_or_give_up(failure, attempt).await?,
            }
            attempt += 1;
        }
    }

    /// Makes one attempt at one page.
    pub(crate) async fn request_page(
        &self,
        request: &PageRequest,
        page: u32,
        session: Option<&str>,
        form: RecordForm,
    ) -> Result<PageReply, Failure> {
        let fields = request.form(page, session);
        let body = self.transport.request(Method::POST, Endpoint::Engage, Some(&fields)).await?;
        let page = tokio::task::spawn_blocking(move || read_page(&body, form))
            .await
            .unwrap_or_else(|_| Err(Failure::new(FailureKind::Internal, "reading the page panicked; this is a bug")));
        page.map_err(|failure| Failure { message: self.transport.quote(&failure.message), ..failure })
    }
}

/// Reads a reply with status 200. What is not a page of JSON is usually a proxy's or a captive portal's page.
fn read_page(body: &[u8], form: RecordForm) -> Result<PageReply, Failure> {
    let bad = |message: String| Failure::new(FailureKind::BadReply, message);
    let text = std::str::from_utf8(body).map_err(|error| bad(format!("the reply is not UTF-8: {error}")))?;
    if let Some(title) = html_title(text) {
        let title = title.escape_debug();
        return Err(bad(format!(
            "the reply is not from Mixpanel's API but a web page titled `{title}`; a proxy or a sign-in page may be in between"
        )));
    }
    let page = parse_page(text, form).map_err(bad)?;
    Ok(PageReply { body: page, bytes: body.len(), sha256: hexadecimal(&Sha256::digest(body)) })
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Sleeps before the next attempt, or returns the failure as the final error.
async fn pause_or_give_up(failure: Failure, attempt: u32) -> Result<()> {
    match decide(&failure, attempt, clock::random_fraction()) {
        Decision::Retry(pause) | Decision::Pause(pause) => {
            tracing::debug!(attempt, ?pause, "{failure}; trying again");
            tokio::time::sleep(pause).await;
            Ok(())
        }
        Decision::Fail | Decision::Halt => Err(failure.into_error()),
    }
}

impl fmt::Debug for ApiClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiClient").field("credentials", self.credentials()).finish_non_exhaustive()
    }
}
