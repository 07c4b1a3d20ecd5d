//! The HTTP server around the core, and the only code that reads a clock.
#![expect(clippy::disallowed_methods, reason = "the server is where the clock is read")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HOST};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use jiff::civil::Date;
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::body::{CutSwitch, FaultyBody, FaultyStream};
use crate::body_fault::BodyFault;
use crate::config::SimulatorConfig;
use crate::events::Events;
use crate::message::{Reply, Request, Ticket};
use crate::simulator::Simulator;
use crate::stats::{SentPage, Stats};

/// The maximum size of a request body: 8 MiB, a hundred times the longest list of distinct IDs in use.
const REQUEST_BODY_MAX: usize = 8 << 20;

/// An error that prevents the server from starting.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The address is not a loopback address. The simulator's credentials are public, and it speaks plain HTTP.
    #[error("{0} is not a loopback address")]
    NotLoopback(SocketAddr),
    /// The server cannot listen on the address.
    #[error("could not listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The I/O error.
        source: std::io::Error,
    },
}

/// A simulated Mixpanel that listens on a loopback address. Dropping it stops the server.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: CancellationToken,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    simulator: Mutex<Simulator>,
    start: Instant,
    clock_behind: Duration,
    clock_ahead: Duration,
}

impl Shared {
    /// Locks the simulator. Poisoning is ignored: a panic while the lock is held leaves wrong counts at worst.
    fn lock(&self) -> MutexGuard<'_, Simulator> {
        self.simulator.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Server {
    /// Starts a server on a loopback address; port 0 picks a free port. Must be called within a Tokio runtime.
    ///
    /// # Errors
    ///
    /// Returns an error if the address is not a loopback address or the server cannot listen on it.
    pub async fn start(config: SimulatorConfig, address: SocketAddr) -> Result<Self, ServerError> {
        if !address.ip().is_loopback() {
            return Err(ServerError::NotLoopback(address));
        }
        let failed = |source| ServerError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (clock_behind, clock_ahead) = (config.clock_behind, config.clock_ahead);
        let simulator = Mutex::new(Simulator::new(config));
        let shared = Arc::new(Shared { simulator, start: Instant::now(), clock_behind, clock_ahead });
        let stop = CancellationToken::new();
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared), stop.clone()));
        Ok(Self { address, shared, stop, accepting: Some(accepting) })
    }

    /// Returns the address that the server listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the base URL, such as `http://127.0.0.1:40123`, without a trailing slash.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the statistics so far.
    pub fn stats(&self) -> Stats {
        self.shared.lock().stats().clone()
    }

    /// Returns the pages sent so far, in order; empty unless [`SimulatorConfig::keep_sent`] is set.
    pub fn sent_pages(&self) -> Vec<SentPage> {
        self.shared.lock().sent_pages().to_vec()
    }

    /// Returns the events as they are now.
    pub fn events(&self) -> Events {
        self.shared.lock().events(self.shared.start.elapsed())
    }

    /// Returns the revision of a day in the latest complete response that contained it, as
    /// [`Simulator::sent_revision`] does.
    pub fn sent_revision(&self, day: Date) -> Option<u32> {
        self.shared.lock().sent_revision(day)
    }

    /// Adds 1 to the revision of every day: late rows appear, others disappear or change their `distinct_id`, as
    /// [`EventOptions`](crate::EventOptions) says.
    pub fn revise(&self) {
        self.shared.lock().revise();
    }

    /// Resets the statistics to zero. Sessions, the quota and the counts of the fault script are kept.
    pub fn reset_stats(&self) {
        self.shared.lock().reset_stats();
    }

    /// Stops the server and waits until all connections are closed. Responses in flight are aborted.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        if let Some(accepting) = self.accepting.take() {
            // An error only means that the task was aborted along with its runtime.
            let _gone = accepting.await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, stop: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(stream, Arc::clone(&shared)));
                }
                // Most likely out of file descriptors: wait until other connections are closed.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    connections.shutdown().await;
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    // Otherwise small responses wait for the client's acknowledgement. On failure they are merely slower.
    let _slower = stream.set_nodelay(true);
    let switch = CutSwitch::default();
    let io = TokioIo::new(FaultyStream::new(stream, switch.clone()));
    let service = service_fn(move |request| answer(request, Arc::clone(&shared), switch.clone()));
    let connection =
        http1::Builder::new().timer(TokioTimer::new()).header_read_timeout(None).serve_connection(io, service);
    // Errors are expected here: clients disconnect, and faults cut responses.
    let _ended = connection.await;
}

/// A guard that frees a request's concurrency slot, even if the client disconnects during the delay or the body.
struct InFlight {
    shared: Arc<Shared>,
    ticket: Ticket,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.shared.lock().finish(self.ticket);
    }
}

async fn answer(
    request: http::Request<Incoming>,
    shared: Arc<Shared>,
    switch: CutSwitch,
) -> Result<http::Response<FaultyBody>, std::io::Error> {
    let request = read(request).await?;
    let reply = {
        let mut simulator = shared.lock();
        // Read the clock under the lock, so that time never goes backwards for the simulator.
        let now = shared.start.elapsed();
        simulator.handle(&request, now)
    };
    let in_flight = InFlight { shared: Arc::clone(&shared), ticket: reply.ticket };
    if !reply.delay.is_zero() {
        tokio::time::sleep(reply.delay).await;
    }
    let mut response = respond(reply, switch, in_flight)?;
    if shared.clock_behind != shared.clock_ahead {
        let date = httpdate::fmt_http_date(SystemTime::now() + shared.clock_ahead - shared.clock_behind);
        let date = http::HeaderValue::try_from(date).map_err(std::io::Error::other)?;
        response.headers_mut().insert(http::header::DATE, date);
    }
    Ok(response)
}

fn respond(reply: Reply, switch: CutSwitch, in_flight: InFlight) -> Result<http::Response<FaultyBody>, std::io::Error> {
    if reply.fault == Some(BodyFault::Reset) {
        return Err(std::io::Error::other("the connection is closed on purpose"));
    }
    let mut response = if let Some(export) = &reply.export {
        http::Response::new(FaultyBody::export(export, reply.fault, switch, Box::new(in_flight)))
    } else {
        // Free the slot before the first byte is sent, so that a client that has its response does not exceed the
        // limit because of its own finished request.
        drop(in_flight);
        http::Response::new(FaultyBody::new(reply.body, reply.fault, switch))
    };
    if reply.export.is_some_and(|export| export.is_close_delimited) {
        // Otherwise the HTTP library sends chunks.
        *response.version_mut() = http::Version::HTTP_10;
    }
    *response.status_mut() = reply.status;
    *response.headers_mut() = reply.headers;
    Ok(response)
}

async fn read(request: http::Request<Incoming>) -> Result<Request, std::io::Error> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, REQUEST_BODY_MAX).collect().await.map_err(std::io::Error::other)?.to_bytes();
    let header = |name| head.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    Ok(Request {
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        host: header(HOST),
        authorization: header(AUTHORIZATION),
        content_type: header(CONTENT_TYPE),
        accept_encoding: header(ACCEPT_ENCODING),
        body,
        method: head.method,
    })
}
