//! Sends HTTP requests and reads their responses, within time and size limits.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, DATE, HeaderValue, TRANSFER_ENCODING};
use http::{HeaderMap, Version};
use tokio::time::timeout;

use crate::clock::{Stopwatch, wall_clock};
use crate::credentials::Credentials;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::ERROR_BODY_BYTES_MAX;
use crate::text;

use super::classify::{Classifier, Head};
use super::connection::Route;
use super::endpoint::{ApiOptions, Endpoint, Host, Server, Timeouts};
use super::failure::{Failure, FailureKind, Fault};
use super::proxy::Proxy;
use super::rate_limit;
use super::redact::Redactor;
use super::trust::named_certificates;

/// The HTTP client for one server and account. Its connections are set up for one of the server's hosts.
#[derive(Clone)]
pub(super) struct Transport {
    http: reqwest::Client,
    credentials: Credentials,
    proxy: Option<Proxy>,
    pub(super) classifier: Classifier,
    timeouts: Timeouts,
    /// Seconds by which this machine's clock was ahead of the server's at the last response.
    clock_ahead: Arc<Mutex<Option<i64>>>,
}

/// Converts an error of the client builder, which can fail only because of the certificates.
fn without_certificates(error: reqwest::Error) -> Error {
    Error::new(ErrorKind::Tls, "cannot set up TLS with this machine's CA certificates").with_source(error)
}

impl Transport {
    pub(super) fn new(credentials: Credentials, options: &ApiOptions, host: Host) -> Result<Self> {
        let server = match &options.base_url {
            Some(base_url) => Server::loopback(base_url)?,
            None => Server::Mixpanel(credentials.region),
        };
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("mixpanel-data/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(options.timeouts.connect)
            .tcp_keepalive(Duration::from_secs(30))
            .pool_max_idle_per_host(crate::limits::WORKERS_MAX as usize)
            .https_only(!server.is_loopback());
        let proxy =
            if server.is_loopback() { None } else { Proxy::resolve(&options.network, &server.host_name(host))? };
        // Otherwise the client reads the environment itself and ignores settings that it cannot parse.
        builder = builder.no_proxy();
        if let Some(proxy) = &proxy {
            builder = builder.proxy(proxy.for_client()?);
        }
        if server.is_plain() {
            // Redirects are not followed, so no certificate is ever checked. Loading the system's certificates takes
            // 18 ms and fails if there are none.
            builder = builder.tls_certs_only([]);
        } else if let Some(certificates) = named_certificates(&options.network)? {
            builder = builder.tls_certs_only(certificates);
        }
        let http = builder.build().map_err(|error| without_certificates(error.without_url()))?;
        let login = proxy.as_ref().map(|proxy| (proxy.user_name(), proxy.password()));
        let secrets = [(credentials.username.as_str(), credentials.secret.expose())];
        let login = login.iter().map(|(user, password)| (user.as_str(), password.as_str()));
        let redactor = Redactor::new(secrets.into_iter().chain(login));
        Ok(Self {
            http,
            credentials,
            proxy,
            classifier: Classifier { server, redactor },
            timeouts: options.timeouts,
            clock_ahead: Arc::default(),
        })
    }

    /// Creates a client for the export API, which shares what is known about the server's clock.
    pub(super) fn for_exports(&self, options: &ApiOptions) -> Result<Self> {
        let new = Self::new(self.credentials.clone(), options, Host::Data)?;
        let Timeouts { export_first_byte, export_idle, .. } = options.timeouts;
        let timeouts = Timeouts { first_byte: export_first_byte, idle: export_idle, ..options.timeouts };
        Ok(Self { timeouts, clock_ahead: Arc::clone(&self.clock_ahead), ..new })
    }

    /// Returns the server that requests are sent to.
    pub(super) fn server(&self) -> &Server {
        &self.classifier.server
    }

    pub(super) fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Returns the time limit of a call other than a fetch.
    pub(super) fn call_limit(&self) -> Duration {
        self.timeouts.call
    }

    /// Returns the failure of a call that exceeded its time limit; `last` is the failure of the last completed attempt.
    pub(super) fn out_of_time(&self, endpoint: Endpoint, last: Option<Failure>) -> Failure {
        let limit = text::limit(self.timeouts.call);
        match last {
            Some(last) => Failure { message: format!("{} (given up after {limit})", last.message), ..last },
            None => {
                let host = self.server().host(endpoint.host());
                let through = self.route(&host).through();
                let message = format!("{host} did not answer within {limit}{through}");
                Failure::new(FailureKind::Timeout, message)
            }
        }
    }

    /// Sends a request and returns the decoded body of a successful response, up to `most` bytes, within the time limit
    /// for a whole response.
    pub(super) async fn fetch(&self, request: &Request, most: usize) -> Result<Vec<u8>, Failure> {
        let limit = self.timeouts.page;
        let exchange = async { self.send(request).await?.bytes(most).await };
        timeout(limit, exchange).await.unwrap_or_else(|_| Err(too_slow("the full response", limit)))
    }

    /// Sends a request and returns a successful response once its head has arrived, without reading its body.
    ///
    /// # Errors
    /// The failure of the connection, or of a response with any other status
    /// (`docs/mixpanel-api.md#errors-by-status`).
    pub(super) async fn send(&self, request: &Request) -> Result<Response<'_>, Failure> {
        let Request { endpoint, page, .. } = *request;
        let watch = Stopwatch::start();
        tracing::debug!(?endpoint, page, "request sent");
        let mut builder = self
            .http
            .request(endpoint.method(), self.server().url(endpoint))
            .query(&[("project_id", self.credentials.project_id.as_str())])
            .query(&request.query)
            .header(AUTHORIZATION, self.authorization())
            .header(ACCEPT, endpoint.media_type())
            .header(ACCEPT_ENCODING, "gzip");
        if let Some(fields) = &request.form {
            builder = builder.form(fields);
        }
        let limit = self.timeouts.first_byte;
        let mut body = match timeout(limit, builder.send()).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(self.explain(endpoint, &error).await),
            Err(_) => return Err(too_slow("the first byte", limit)),
        };
        let head = Head { status: body.status(), headers: std::mem::take(body.headers_mut()) };
        self.compare_clocks(&head.headers);
        let mut response = Response { transport: self, head, endpoint, page, watch, body };
        if response.head.is_success() {
            return Ok(response);
        }
        // If the error text is too long or does not arrive, the status and the part that arrived are enough.
        let (text, _) = response.read(ERROR_BODY_BYTES_MAX).await;
        Err(self.classifier.refusal(endpoint, &response.head, text, request.has_session))
    }

    fn compare_clocks(&self, headers: &HeaderMap) {
        let date = headers.get(DATE).and_then(|date| rate_limit::parse_date(date.to_str().ok()?));
        if let Some(date) = date {
            let ahead = wall_clock().as_second() - date;
            *self.clock_ahead.lock().unwrap_or_else(PoisonError::into_inner) = Some(ahead);
        }
    }

    /// Returns the number of seconds by which this machine's clock was ahead of the server's at the last response;
    /// negative if it was behind.
    pub(super) fn clock_ahead(&self) -> Option<i64> {
        *self.clock_ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Formats external text for a message: truncated and without secrets. All external text must pass through here.
    pub(super) fn quote(&self, said: &str) -> String {
        self.classifier.redactor.quote(said)
    }

    fn encoded_credentials(&self) -> String {
        let pair = format!("{}:{}", self.credentials.username, self.credentials.secret.expose());
        base64::engine::general_purpose::STANDARD.encode(pair)
    }

    /// Returns the `Authorization` header, marked as sensitive so that no log shows it.
    fn authorization(&self) -> HeaderValue {
        let encoded = self.encoded_credentials();
        let mut value = HeaderValue::from_str(&format!("Basic {encoded}")).expect("Base64 is ASCII");
        value.set_sensitive(true);
        value
    }

    /// Explains why a request got no response.
    async fn explain(&self, endpoint: Endpoint, error: &reqwest::Error) -> Failure {
        self.route(&self.server().host(endpoint.host())).explain(error).await
    }

    fn route<'a>(&'a self, host: &'a str) -> Route<'a> {
        Route { host, proxy: self.proxy.as_ref(), redactor: &self.classifier.redactor }
    }
}

/// A request to an endpoint.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) endpoint: Endpoint,
    /// Query parameters, to which the project ID is added.
    pub(super) query: Vec<(&'static str, String)>,
    /// The form fields of the body, if any.
    pub(super) form: Option<Vec<(&'static str, String)>>,
    /// The number of the requested page, for the log.
    pub(super) page: Option<u32>,
    /// Whether the request belongs to a session, which may have expired.
    pub(super) has_session: bool,
}

/// A successful response whose body has not been read yet.
pub(super) struct Response<'a> {
    transport: &'a Transport,
    head: Head,
    endpoint: Endpoint,
    page: Option<u32>,
    /// Started when the request was sent.
    watch: Stopwatch,
    body: reqwest::Response,
}

impl Response<'_> {
    /// Returns the body, to be read in chunks as they arrive.
    pub(super) fn into_chunks(self) -> Chunks {
        let Self { transport, head, endpoint, page, watch, body } = self;
        let transport = transport.clone();
        Chunks { transport, head, endpoint, page, watch, body, bytes: 0 }
    }

    /// Reads and decodes the whole body, which may have up to `most` bytes both before and after decoding.
    pub(super) async fn bytes(mut self, most: usize) -> Result<Vec<u8>, Failure> {
        let (bytes, end) = self.read(most).await;
        end?;
        self.transport.classifier.contents(&self.head, bytes, most)
    }

    /// Reads the body, up to `most` bytes. Returns the bytes that arrived, and the failure if some are missing.
    async fn read(&mut self, most: usize) -> (Vec<u8>, Result<(), Failure>) {
        let limit = self.transport.timeouts.idle;
        let mut bytes = Vec::new();
        let end = loop {
            match timeout(limit, self.body.chunk()).await {
                Ok(Ok(None)) => break Ok(()),
                Ok(Ok(Some(chunk))) if bytes.len() + chunk.len() <= most => bytes.extend_from_slice(&chunk),
                Ok(Ok(Some(_))) => {
                    let message = format!("the page is larger than {} MiB", most >> 20);
                    break Err(Failure::new(FailureKind::BadReply, message).with_fault(Fault::PageSize));
                }
                Ok(Err(error)) => break Err(self.transport.explain(self.endpoint, &error).await),
                Err(_) => break Err(too_slow("the next part of the response", limit)),
            }
        };
        if end.is_ok() || !self.head.is_success() {
            let Self { endpoint, page, watch, .. } = &self;
            let (status, bytes) = (self.head.status.as_u16(), bytes.len());
            tracing::debug!(?endpoint, page, status, bytes, elapsed = ?watch.elapsed(), "response received");
        }
        (bytes, end)
    }
}

/// The body of a successful response, which is read in chunks as they arrive.
pub(super) struct Chunks {
    pub(super) transport: Transport,
    pub(super) head: Head,
    endpoint: Endpoint,
    page: Option<u32>,
    /// Started when the request was sent.
    watch: Stopwatch,
    body: reqwest::Response,
    bytes: u64,
}

impl Chunks {
    /// Returns the next chunk; `None` after the last one.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        let limit = self.transport.timeouts.idle;
        match timeout(limit, self.body.chunk()).await {
            Ok(Ok(Some(chunk))) => {
                self.bytes += chunk.len() as u64;
                Ok(Some(chunk))
            }
            Ok(Ok(None)) => {
                let Self { endpoint, page, watch, bytes, .. } = &self;
                tracing::debug!(?endpoint, page, bytes, elapsed = ?watch.elapsed(), "response received");
                Ok(None)
            }
            Ok(Err(error)) => Err(self.transport.explain(self.endpoint, &error).await),
            Err(_) => Err(too_slow("the next part of the response", limit)),
        }
    }

    /// Returns whether the end of the body is marked: by its announced length, by a last chunk, or by the end of an
    /// HTTP/2 stream. Otherwise only the end of the connection shows it, which may also be a fault.
    pub(super) fn is_delimited(&self) -> bool {
        let codings = self.head.headers.get_all(TRANSFER_ENCODING).iter();
        let is_chunked = codings
            .filter_map(|coding| coding.to_str().ok())
            .any(|coding| coding.to_ascii_lowercase().contains("chunked"));
        is_chunked || self.head.headers.contains_key(CONTENT_LENGTH) || self.body.version() >= Version::HTTP_2
    }
}

fn too_slow(what: &str, limit: Duration) -> Failure {
    Failure::new(FailureKind::Timeout, format!("{what} did not arrive within {}", text::limit(limit)))
}
