//! One HTTP exchange: sent, timed, read within limits, and classified.

use std::error::Error as _;
use std::fmt::Write as _;
use std::time::Duration;

use base64::Engine as _;
use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, HeaderValue, LOCATION};
use http::{HeaderMap, Method, StatusCode};
use reqwest::Url;
use tokio::time::timeout;

use crate::clock::Stopwatch;
use crate::credentials::Credentials;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{ERROR_BODY_BYTES_MAX, PAGE_BYTES_MAX};

use super::body::{decode, excerpt, said};
use super::endpoint::{ApiOptions, Endpoint, Server, Timeouts};
use super::failure::{Failure, FailureKind, describe_status};
use super::rate_limit;

/// The connection to one server for one account.
#[derive(Clone)]
pub(super) struct Transport {
    http: reqwest::Client,
    credentials: Credentials,
    server: Server,
    timeouts: Timeouts,
}

/// A reply as it came.
pub(super) struct RawReply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// Of what the client is made of, only the certificates of this machine are not our own.
fn without_certificates(error: reqwest::Error) -> Error {
    Error::new(ErrorKind::Storage, "cannot set up TLS with the certificates of this machine")
        .with_detail("reading", "certificates")
        .with_source(error)
}

impl Transport {
    pub(super) fn new(credentials: Credentials, options: &ApiOptions) -> Result<Self> {
        let server = match &options.base_url {
            Some(base_url) => Server::loopback(base_url)?,
            None => Server::mixpanel(credentials.region),
        };
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("mixpanel-data/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(options.timeouts.connect)
            .tcp_keepalive(Duration::from_secs(30))
            .pool_max_idle_per_host(crate::limits::WORKERS_MAX as usize)
            .https_only(!server.is_loopback());
        if server.is_loopback() {
            builder = builder.no_proxy();
        }
        if server.is_plain() {
            // Redirects are not followed, so no certificate is ever looked at. To read those of the system takes 18 ms, and fails
            // where there are none.
            builder = builder.tls_certs_only([]);
        }
        let http = builder.build().map_err(|error| without_certificates(error.without_url()))?;
        Ok(Self { http, credentials, server, timeouts: options.timeouts })
    }

    /// Returns the server's host, with its port where that is not the scheme's own.
    pub(super) fn host(&self) -> String {
        self.server.host()
    }

    pub(super) fn is_loopback(&self) -> bool {
        self.server.is_loopback()
    }

    pub(super) fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Sends a request and returns the decoded body of a reply with status 200, or says why there is none.
    pub(super) async fn request(
        &self,
        method: Method,
        endpoint: Endpoint,
        form: Option<&[(&'static str, String)]>,
    ) -> Result<Vec<u8>, Failure> {
        let limit = self.timeouts.page;
        let watch = Stopwatch::start();
        let page = form.and_then(|fields| fields.iter().find(|(name, _)| *name == "page")).map(|(_, page)| page);
        tracing::debug!(?endpoint, page, "request sent");
        let reply = timeout(limit, self.exchange(method, endpoint, form))
            .await
            .unwrap_or_else(|_| Err(too_slow("the whole reply", limit)))?;
        let (status, bytes) = (reply.status.as_u16(), reply.body.len());
        tracing::debug!(?endpoint, page, status, bytes, elapsed = ?watch.elapsed(), "reply received");
        let has_session = form.is_some_and(|fields| fields.iter().any(|(name, _)| *name == "session_id"));
        self.judge(reply, has_session)
    }

    /// Says what a whole reply is worth: its decoded body, or why it is of no use.
    pub(super) fn judge(&self, reply: RawReply, has_session: bool) -> Result<Vec<u8>, Failure> {
        if reply.status == StatusCode::OK {
            return decode(&reply.headers, reply.body);
        }
        Err(self.refusal(reply, has_session))
    }

    async fn exchange(
        &self,
        method: Method,
        endpoint: Endpoint,
        form: Option<&[(&'static str, String)]>,
    ) -> Result<RawReply, Failure> {
        let mut request = self
            .http
            .request(method, self.server.url(endpoint))
            .query(&[("project_id", self.credentials.project_id.as_str())])
            .header(AUTHORIZATION, self.authorization())
            .header(ACCEPT, "application/json")
            .header(ACCEPT_ENCODING, "gzip");
        if let Some(fields) = form {
            request = request.form(fields);
        }
        let limit = self.timeouts.first_byte;
        let mut response = match timeout(limit, request.send()).await {
            Ok(sent) => sent.map_err(|error| self.broken(&error))?,
            Err(_) => return Err(too_slow("the first byte", limit)),
        };
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        let body = self.read_body(&mut response, status).await?;
        Ok(RawReply { status, headers, body })
    }

    /// Reads a body within its limit: a page that is larger is refused, an error's text is cut.
    async fn read_body(&self, response: &mut reqwest::Response, status: StatusCode) -> Result<Vec<u8>, Failure> {
        let is_page = status == StatusCode::OK;
        let most = if is_page { PAGE_BYTES_MAX } else { ERROR_BODY_BYTES_MAX };
        let limit = self.timeouts.idle;
        let mut body = Vec::new();
        loop {
            let chunk = match timeout(limit, response.chunk()).await {
                Ok(read) => read.map_err(|error| self.broken(&error)),
                Err(_) => Err(too_slow("the next part of the reply", limit)),
            };
            match chunk {
                Ok(Some(bytes)) if body.len() + bytes.len() <= most => body.extend_from_slice(&bytes),
                Ok(Some(_)) if is_page => {
                    let limit = PAGE_BYTES_MAX >> 20;
                    let message = format!("the page is larger than {limit} MiB; ask for a smaller page size");
                    return Err(Failure::new(FailureKind::BadReply, message));
                }
                Err(failure) if is_page => return Err(failure),
                // The status alone says enough of an error whose text is long, or does not come.
                _ => return Ok(body),
            }
        }
    }

    /// Makes a text that a server sent fit for a message: without the secret, for a server that is there to find faults
    /// may send back what it was sent, and short.
    pub(super) fn quote(&self, said: &str) -> String {
        const HIDDEN: &str = "********";
        let secret = self.credentials.secret.expose();
        let forms = [&self.encoded_credentials(), &percent_encoded(secret), secret];
        excerpt(&forms.into_iter().fold(said.to_owned(), |said, form| said.replace(form, HIDDEN)))
    }

    fn encoded_credentials(&self) -> String {
        let pair = format!("{}:{}", self.credentials.username, self.credentials.secret.expose());
        base64::engine::general_purpose::STANDARD.encode(pair)
    }

    /// The header with the secret, marked so that no log shows it.
    fn authorization(&self) -> HeaderValue {
        let encoded = self.encoded_credentials();
        let mut value = HeaderValue::from_str(&format!("Basic {encoded}")).expect("Base64 is ASCII");
        value.set_sensitive(true);
        value
    }

    /// Classifies a reply with another status than 200 (API facts 2.4).
    fn refusal(&self, reply: RawReply, has_session: bool) -> Failure {
        let RawReply { status, headers, body } = reply;
        let body = decode(&headers, body).unwrap_or_default();
        let said = said(&body);
        let retry_after = rate_limit::retry_after(&headers);
        let kind = match status.as_u16() {
            401 => FailureKind::Unauthorized { status: 401 },
            400 if said.contains("Unable to authenticate request") => FailureKind::Unauthorized { status: 400 },
            400 if has_session && names_lost_session(&said) => FailureKind::SessionLost,
            402 => FailureKind::PaymentRequired,
            403 => FailureKind::Forbidden,
            404 => FailureKind::NotFound,
            408 => FailureKind::Timeout,
            429 => FailureKind::RateLimited { kind: rate_limit::classify(&headers, &said), retry_after },
            status @ 500.. => FailureKind::Server { status, retry_after },
            status => FailureKind::Rejected(status),
        };
        if status.is_redirection() {
            let (host, target) = (self.server.host(), self.redirect_target(&headers));
            let message = format!("{host} answered with a redirect ({status}){target}, which is not followed");
            return Failure::new(kind, message);
        }
        Failure::new(kind, describe_status(status, &self.quote(&said)))
    }

    /// Names the host that a redirect leads to, and nothing else of its URL.
    fn redirect_target(&self, headers: &HeaderMap) -> String {
        let location = headers.get(LOCATION).and_then(|location| location.to_str().ok());
        let target =
            location.filter(|location| !location.is_empty()).and_then(|location| self.server.resolve(location));
        let host = target.as_ref().and_then(Url::host_str);
        host.map_or_else(String::new, |host| format!(" to {}", self.quote(host)))
    }

    /// Says how a connection failed, without the URL.
    fn broken(&self, error: &reqwest::Error) -> Failure {
        let host = self.server.host();
        let cause = innermost(error);
        if error.is_connect() {
            return Failure::new(FailureKind::Unreachable, format!("cannot connect to {host}: {cause}"));
        }
        if error.is_timeout() {
            return Failure::new(FailureKind::Timeout, format!("{host} did not answer in time: {cause}"));
        }
        Failure::new(FailureKind::Connection, format!("the connection to {host} broke: {cause}"))
    }
}

/// Writes a text as it stands in a URL.
fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut encoded, byte| {
        match byte {
            b'-' | b'.' | b'_' | b'~' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => encoded.push(char::from(byte)),
            _ => write!(encoded, "%{byte:02X}").expect("a string can be written to"),
        }
        encoded
    })
}

/// The one documented text, and what else a server may say of a session it does not know (API facts 1.5).
fn names_lost_session(said: &str) -> bool {
    let said = said.to_ascii_lowercase();
    said.contains("in uncached query")
        || (said.contains("session")
            && ["expired", "unknown", "invalid", "not found"].iter().any(|word| said.contains(word)))
}

/// The text of the last cause: the outer ones say "error sending request" and the URL.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    if error.source().is_none() { "no further cause is known".to_owned() } else { cause.to_string() }
}

fn too_slow(what: &str, limit: Duration) -> Failure {
    Failure::new(FailureKind::Timeout, format!("{what} did not come within {} s", limit.as_secs_f64()))
}
