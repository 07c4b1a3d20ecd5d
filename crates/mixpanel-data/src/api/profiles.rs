//! Requests pages of profiles and parses them in the background.

use std::sync::Arc;

use crate::clock;
use crate::error::{Error, Result};
use crate::limits::{PAGE_BYTES_MAX, PAGE_SIZE_DEFAULT};
use crate::parse::{PageBody, Reading, RecordForm, parse_page};
use crate::profile_query::ProfileQuery;
use crate::quota::RequestClass;
use crate::types::ProfilePageResult;

#[cfg(test)]
use super::classify::Head;
use super::client::{ApiClient, web_page};
use super::endpoint::Endpoint;
use super::engage::EngageForm;
use super::failure::{Failure, FailureKind};

/// A page that was received completely and parsed.
#[derive(Debug)]
pub(crate) struct PageReply {
    /// The parsed page.
    pub(crate) body: PageBody,
    /// The size of the decoded response body, in bytes.
    pub(crate) bytes: usize,
}

impl ApiClient {
    /// Fetches one page of profiles, with retries. `page` counts from 0; pages after the first need the `session_id`
    /// that page 0 returned, and the same query.
    ///
    /// # Errors
    /// `InvalidInput` for an invalid query, before any request is sent. `Unauthorized`, `PaymentRequired`, `Forbidden`,
    /// `NotFound`, `Rejected`, `SessionLost`: without a retry. `RateLimited`, `ServerError`, `Unreachable`,
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
            return Err(Error::invalid("an empty list of ids selects no profiles"));
        }
        if page > 0 && session_id.is_none() {
            return Err(Error::invalid("pages after the first need the session id that page 0 returned"));
        }
        let class = if session_id.is_some() { RequestClass::Session } else { RequestClass::Opening };
        let attempt = || async {
            match self.counted(class, self.request_body(&request, page, session_id)).await? {
                Ok(body) => Ok(self.read_in_background(body, RecordForm::Row).await),
                Err(failure) => Ok(Err(failure)),
            }
        };
        let body = self.retried(Endpoint::Engage, attempt).await?.body;
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

    /// Makes one attempt to fetch a page and returns the decoded response body. The caller must count the request
    /// against the quota.
    pub(crate) async fn request_body(
        &self,
        request: &EngageForm,
        page: u32,
        session: Option<&str>,
    ) -> Result<Vec<u8>, Failure> {
        self.transport.fetch(&request.request(page, session), PAGE_BYTES_MAX).await
    }

    /// Parses a response body as a page, which takes a few milliseconds per megabyte.
    pub(crate) fn read_page(&self, body: &[u8], reading: impl Into<Reading>) -> Result<PageReply, Failure> {
        read_page(body, reading.into()).map_err(|failure| Failure { message: self.quote(&failure.message), ..failure })
    }

    /// Classifies a response constructed by a test.
    #[cfg(test)]
    pub(crate) fn classify_reply(
        &self,
        status: http::StatusCode,
        headers: http::HeaderMap,
        body: Vec<u8>,
        has_session: bool,
    ) -> Result<Vec<u8>, Failure> {
        let (classifier, head) = (&self.transport.classifier, Head { status, headers });
        if head.is_success() {
            classifier.contents(&head, body, PAGE_BYTES_MAX)
        } else {
            Err(classifier.refusal(Endpoint::Engage, &head, body, has_session))
        }
    }

    /// Parses a response body as a page on a blocking thread.
    ///
    /// # Cancellation
    /// Dropping the future does not stop parsing that has begun.
    pub(crate) async fn read_in_background(
        &self,
        body: Vec<u8>,
        reading: impl Into<Reading>,
    ) -> Result<PageReply, Failure> {
        let (client, reading) = (self.clone(), reading.into());
        let permit = Arc::clone(&self.readers).acquire_owned().await;
        let work = move || {
            let page = client.read_page(&body, reading);
            // Free this page's memory before the next one is parsed.
            drop(body);
            drop(permit);
            page
        };
        tokio::task::spawn_blocking(work)
            .await
            .unwrap_or_else(|_| Err(Failure::new(FailureKind::Internal, "reading the page panicked; this is a bug")))
    }
}

/// Parses the body of a successful response.
fn read_page(body: &[u8], reading: Reading) -> Result<PageReply, Failure> {
    let page = parse_page(body, reading)
        .map_err(|reason| web_page(body).unwrap_or_else(|| Failure::new(FailureKind::BadReply, reason)))?;
    Ok(PageReply { body: page, bytes: body.len() })
}

#[cfg(test)]
mod tests {
    use super::super::endpoint::ApiOptions;
    use super::*;
    use crate::credentials::{Credentials, Region, Secret};
    use crate::limits::PAGES_READY_MAX;

    #[tokio::test]
    async fn a_response_waits_for_a_free_reader() {
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
