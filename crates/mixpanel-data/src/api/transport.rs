//! One HTTP exchange: sent, timed, read within limits, and classified.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, DATE, HeaderValue, LOCATION};
use http::{HeaderMap, Method, StatusCode};
use reqwest::Url;
use tokio::time::timeout;

use crate::clock::{Stopwatch, wall_clock};
use crate::credentials::Credentials;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{ERROR_BODY_BYTES_MAX, PAGE_BYTES_MAX};

use super::body::{decode, explanation, explanation_with_good_status, html_title, said};
use super::connection::Route;
use super::endpoint::{ApiOptions, Endpoint, Server, Timeouts};
use super::failure::{Failure, FailureKind, Fault, describe_status};
use super::proxy::Proxy;
use super::rate_limit::{self, RateLimitKind};
use super::redact::Redactor;
use super::trust::named_certificates;

/// The connection to one server for one account.
#[derive(Clone)]
pub(super) struct Transport {
    http: reqwest::Client,
    credentials: Credentials,
    server: Server,
    proxy: Option<Proxy>,
    redactor: Redactor,
    timeouts: Timeouts,
    /// How many seconds this machine's clock was ahead of the server's at the last response.
    clock_ahead: Arc<Mutex<Option<i64>>>,
}

/// A response as received.
pub(super) struct RawReply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// Converts an error of the client builder. Of all the builder uses, only this machine's certificates come from
/// outside.
fn without_certificates(error: reqwest::Error) -> Error {
    Error::new(ErrorKind::Tls, "cannot set up TLS with the certificates of this machine").with_source(error)
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
        let proxy = if server.is_loopback() { None } else { Proxy::resolve(&options.network, server.host_name())? };
        // Otherwise the client reads the environment itself, and ignores what it cannot parse.
        builder = builder.no_proxy();
        if let Some(proxy) = &proxy {
            builder = builder.proxy(proxy.for_client()?);
        }
        if server.is_plain() {
            // Redirects are not followed, so no certificate is ever checked. Loading those of the system takes 18 ms,
            // and fails if there are none.
            builder = builder.tls_certs_only([]);
        } else if let Some(certificates) = named_certificates(&options.network)? {
            builder = builder.tls_certs_only(certificates);
        }
        let http = builder.build().map_err(|error| without_certificates(error.without_url()))?;
        let login = proxy.as_ref().map(|proxy| (proxy.user_name(), proxy.password()));
        let secrets = [(credentials.username.as_str(), credentials.secret.expose())];
        let login = login.iter().map(|(user, password)| (user.as_str(), password.as_str()));
        let redactor = Redactor::new(secrets.into_iter().chain(login));
        Ok(Self { http, credentials, server, proxy, redactor, timeouts: options.timeouts, clock_ahead: Arc::default() })
    }

    /// Returns the server's host, with its port unless it is the default port of the scheme.
    pub(super) fn host(&self) -> String {
        self.server.host()
    }

    pub(super) fn is_loopback(&self) -> bool {
        self.server.is_loopback()
    }

    pub(super) fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Returns the time limit of a call that is not a fetch.
    pub(super) fn call_limit(&self) -> Duration {
        self.timeouts.call
    }

    /// Returns the failure of a call that has taken too long; `last` is the failure of its latest attempt that ended.
    pub(super) fn out_of_time(&self, last: Option<Failure>, limit: Duration) -> Failure {
        let limit = limit.as_secs_f64();
        match last {
            Some(last) => Failure { message: format!("{} (given up after {limit} s)", last.message), ..last },
            None => {
                let (host, through) = (self.server.host(), self.route(&self.server.host()).through());
                let message = format!("{host} did not answer within {limit} s{through}");
                Failure::new(FailureKind::Timeout, message)
            }
        }
    }

    /// Sends a request and returns the decoded body of a response with status 200, or the failure.
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

    /// Classifies a complete response: returns its decoded body, or why it cannot be used.
    pub(super) fn judge(&self, reply: RawReply, has_session: bool) -> Result<Vec<u8>, Failure> {
        if !is_page(reply.status) {
            return Err(self.refusal(reply, has_session));
        }
        let decoded = decode(&reply.headers, reply.body);
        let body = decoded.map_err(|failure| Failure { message: self.quote(&failure.message), ..failure })?;
        match explanation_with_good_status(&body) {
            Some(text) if rate_limit::is_meant(&text) => Err(self.limited(reply.status, &reply.headers, &body)),
            _ => Ok(body),
        }
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
            .query(endpoint.query())
            .header(AUTHORIZATION, self.authorization())
            .header(ACCEPT, "application/json")
            .header(ACCEPT_ENCODING, "gzip");
        if let Some(fields) = form {
            request = request.form(fields);
        }
        let limit = self.timeouts.first_byte;
        let mut response = match timeout(limit, request.send()).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(self.explain(&error).await),
            Err(_) => return Err(too_slow("the first byte", limit)),
        };
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        self.compare_clocks(&headers);
        let body = self.read_body(&mut response, status).await?;
        Ok(RawReply { status, headers, body })
    }

    fn compare_clocks(&self, headers: &HeaderMap) {
        let date = headers.get(DATE).and_then(|date| rate_limit::parse_date(date.to_str().ok()?));
        if let Some(date) = date {
            let ahead = wall_clock().as_second() - date;
            *self.clock_ahead.lock().unwrap_or_else(PoisonError::into_inner) = Some(ahead);
        }
    }

    /// Returns how many seconds this machine's clock was ahead of the server's at the last response; negative if it
    /// was behind.
    pub(super) fn clock_ahead(&self) -> Option<i64> {
        *self.clock_ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads a body within its limit: a page that is too large is a failure, the text of an error is truncated.
    async fn read_body(&self, response: &mut reqwest::Response, status: StatusCode) -> Result<Vec<u8>, Failure> {
        let is_page = is_page(status);
        let most = if is_page { PAGE_BYTES_MAX } else { ERROR_BODY_BYTES_MAX };
        let limit = self.timeouts.idle;
        let mut body = Vec::new();
        loop {
            let chunk = match timeout(limit, response.chunk()).await {
                Ok(Ok(read)) => Ok(read),
                Ok(Err(error)) => Err(self.explain(&error).await),
                Err(_) => Err(too_slow("the next part of the reply", limit)),
            };
            match chunk {
                Ok(Some(bytes)) if body.len() + bytes.len() <= most => body.extend_from_slice(&bytes),
                Ok(Some(_)) if is_page => {
                    let limit = PAGE_BYTES_MAX >> 20;
                    let message = format!("the page is larger than {limit} MiB");
                    return Err(Failure::new(FailureKind::BadReply, message).with_fault(Fault::PageSize));
                }
                Err(failure) if is_page => return Err(failure),
                // If the text of an error is too long or does not arrive, the status alone is enough.
                _ => return Ok(body),
            }
        }
    }

    /// Makes text from outside fit for a message. All such text that may get into a message passes through here.
    pub(super) fn quote(&self, said: &str) -> String {
        self.redactor.quote(said)
    }

    fn encoded_credentials(&self) -> String {
        let pair = format!("{}:{}", self.credentials.username, self.credentials.secret.expose());
        base64::engine::general_purpose::STANDARD.encode(pair)
    }

    /// Returns the header with the secret, marked as sensitive so that no log shows it.
    fn authorization(&self) -> HeaderValue {
        let encoded = self.encoded_credentials();
        let mut value = HeaderValue::from_str(&format!("Basic {encoded}")).expect("Base64 is ASCII");
        value.set_sensitive(true);
        value
    }

    /// Classifies a response that is not a page (`docs/mixpanel-api.md#errors-by-status`).
    fn refusal(&self, reply: RawReply, has_session: bool) -> Failure {
        let RawReply { status, headers, body } = reply;
        let body = decode(&headers, body).unwrap_or_default();
        let said = said(&body);
        let status_code = status.as_u16();
        // A few servers and proxies report an exceeded limit without status 429.
        if status_code == 429 || (status_code >= 400 && rate_limit::is_meant(&explanation(&body))) {
            return self.limited(status, &headers, &body);
        }
        let retry_after = rate_limit::retry_after(&headers);
        let kind = match status_code {
            status @ 400..500 if names_other_region(&said) => FailureKind::WrongRegion { status },
            401 => FailureKind::Unauthorized { status: 401 },
            400 if said.contains("Unable to authenticate request") => FailureKind::Unauthorized { status: 400 },
            400 if has_session && names_lost_session(&said) => FailureKind::SessionLost,
            402 => FailureKind::PaymentRequired,
            403 => FailureKind::Forbidden,
            404 => FailureKind::NotFound,
            408 => FailureKind::Timeout,
            // The network has answered in place of the server (RFC 6585, 6).
            511 => FailureKind::Unreachable,
            // Conflict, misdirected, locked, too early, overloaded, and what proxies report about an unreachable
            // server: the same request may succeed soon.
            status @ (409 | 420 | 421 | 423 | 425 | 444 | 449 | 460 | 499 | 500..) => {
                FailureKind::Server { status, retry_after }
            }
            // Neither an error nor a page: something in between sent it.
            ..300 | 304 => FailureKind::BadReply,
            status => FailureKind::Rejected(status),
        };
        if status.is_redirection() && status != StatusCode::NOT_MODIFIED {
            let (host, target) = (self.server.host(), self.redirect_target(&headers));
            let message = format!("{host} answered with a redirect ({status}){target}, which is not followed");
            return Failure::new(kind, message);
        }
        let message = describe_status(status, &self.quote(&said));
        let is_web_page = html_title(&String::from_utf8_lossy(&body)).is_some();
        match kind {
            FailureKind::BadReply => Failure::new(kind, format!("{message} (a page comes with 200)")),
            FailureKind::WrongRegion { .. } => Failure::new(kind, message).with_fault(Fault::Region),
            FailureKind::Unreachable => {
                let message = format!("the network wants you to log in before it lets requests through: {message}");
                Failure::new(kind, message).with_fault(Fault::NetworkLogin)
            }
            // The API gives its reason as JSON.
            FailureKind::Forbidden | FailureKind::NotFound | FailureKind::Rejected(_) if is_web_page => {
                Failure::new(kind, message).with_fault(Fault::InBetween)
            }
            _ => Failure::new(kind, message),
        }
    }

    /// Returns the failure of a request that exceeded a limit of the server, whatever the status of the response.
    fn limited(&self, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Failure {
        let (said, retry_after) = (said(body), rate_limit::retry_after(headers));
        let kind = match rate_limit::classify(headers, &said) {
            RateLimitKind::LoadShed => rate_limit::classify(headers, &explanation(body)),
            kind => kind,
        };
        let message = describe_status(status, &self.quote(&said));
        Failure::new(FailureKind::RateLimited { kind, retry_after }, message).with_status(status)
    }

    /// Returns the host that a redirect leads to, and nothing else of its URL.
    fn redirect_target(&self, headers: &HeaderMap) -> String {
        let location = headers.get(LOCATION).and_then(|location| location.to_str().ok());
        let target =
            location.filter(|location| !location.is_empty()).and_then(|location| self.server.resolve(location));
        let host = target.as_ref().and_then(Url::host_str);
        host.map_or_else(String::new, |host| format!(" to {}", self.quote(host)))
    }

    /// Explains why there is no response.
    async fn explain(&self, error: &reqwest::Error) -> Failure {
        self.route(&self.server.host()).explain(error).await
    }

    fn route<'a>(&'a self, host: &'a str) -> Route<'a> {
        Route { host, proxy: self.proxy.as_ref(), redactor: &self.redactor }
    }
}

/// Returns whether a response with this status is parsed as a page: 200, and 203, which is a 200 that an intermediary
/// has changed, for example by recompressing it. Its contents are checked just as strictly.
fn is_page(status: StatusCode) -> bool {
    matches!(status, StatusCode::OK | StatusCode::NON_AUTHORITATIVE_INFORMATION)
}

/// Mixpanel is reported to say "invalid project id for cluster." for a project of another region; a similar text may
/// name a region or a data center. A quoted filter may mention clusters and regions too, so a single word is not
/// enough.
fn names_other_region(said: &str) -> bool {
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

/// Returns whether a text is about an unknown session: the documented text, or another that a server may use
/// (`docs/mixpanel-api.md#sessions-and-paging`).
fn names_lost_session(said: &str) -> bool {
    let said = said.to_ascii_lowercase();
    said.contains("in uncached query")
        || (said.contains("session")
            && ["expired", "unknown", "invalid", "not found"].iter().any(|word| said.contains(word)))
}

fn too_slow(what: &str, limit: Duration) -> Failure {
    Failure::new(FailureKind::Timeout, format!("{what} did not come within {} s", limit.as_secs_f64()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_a_project_of_another_region() {
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
            assert_eq!(names_other_region(said), expected, "{said}");
        }
    }
}
