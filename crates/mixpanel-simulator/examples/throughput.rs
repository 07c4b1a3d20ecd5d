//! Measures how fast profiles are generated, and how fast pages are served over HTTP.
//!
//! `cargo run --release -p mixpanel-simulator --example throughput [PAGES]`; 500 pages of 1000 profiles by default.
#![expect(clippy::disallowed_methods, reason = "it measures real time")]

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use mixpanel_simulator::{Request, Server, Simulator, SimulatorConfig};
use tokio::net::TcpStream;

/// The number of connections: Mixpanel's concurrency limit.
const CONNECTIONS: u64 = 5;
/// The default credentials in plain text, which Mixpanel also accepts.
const AUTHORIZATION: &str = "Basic simulator:simulator-secret";

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let pages: u64 = std::env::args().nth(1).map_or(Ok(500), |text| text.parse())?;
    let config = SimulatorConfig::unlimited().with_profiles(pages * 1_000);
    let mut out = std::io::stdout();

    let started = Instant::now();
    let bytes = make_pages(config.clone(), pages)?;
    report(&mut out, "made without HTTP", pages, bytes, started.elapsed())?;

    let server = Server::start(config, ([127, 0, 0, 1], 0).into()).await?;
    let started = Instant::now();
    let bytes = fetch_pages(&server, pages).await?;
    report(&mut out, "through HTTP", pages, bytes, started.elapsed())?;
    server.shutdown().await;
    Ok(())
}

fn report(out: &mut impl std::io::Write, what: &str, pages: u64, bytes: u64, took: Duration) -> std::io::Result<()> {
    let seconds = took.as_secs_f64();
    writeln!(
        out,
        "{what}: {pages} pages in {seconds:.3} s, {:.0} pages/s, {:.0} MB/s, {} bytes per profile",
        pages as f64 / seconds,
        bytes as f64 / seconds / 1e6,
        bytes / (pages * 1_000),
    )
}

fn make_pages(config: SimulatorConfig, pages: u64) -> Result<u64, Failure> {
    let mut simulator = Simulator::new(config);
    let mut session = String::new();
    let mut bytes = 0;
    for page in 0..pages {
        let request = Request {
            path: "/api/query/engage".to_owned(),
            query: format!("project_id=12345&page={page}&session_id={session}"),
            authorization: Some(AUTHORIZATION.to_owned()),
            ..Request::default()
        };
        let reply = simulator.handle(&request, Duration::ZERO);
        simulator.finish(reply.ticket);
        bytes += reply.body.len() as u64;
        if page == 0 {
            session = session_id(&reply.body)?;
        }
    }
    Ok(bytes)
}

async fn fetch_pages(server: &Server, pages: u64) -> Result<u64, Failure> {
    let address = server.address();
    let mut first = connect(address).await?;
    let body = get(&mut first, 0, "").await?;
    let session = session_id(&body)?;
    let mut bytes = body.len() as u64;
    let mut workers = tokio::task::JoinSet::new();
    for worker in 0..CONNECTIONS {
        let session = session.clone();
        workers.spawn(async move {
            let mut connection = connect(address).await?;
            let mut bytes = 0;
            for page in (1 + worker..pages).step_by(5) {
                bytes += get(&mut connection, page, &session).await?.len() as u64;
            }
            Ok::<_, Failure>(bytes)
        });
    }
    while let Some(done) = workers.join_next().await {
        bytes += done??;
    }
    Ok(bytes)
}

type Connection = hyper::client::conn::http1::SendRequest<Empty<Bytes>>;

async fn connect(address: std::net::SocketAddr) -> Result<Connection, Failure> {
    let (sender, connection) = handshake(TokioIo::new(TcpStream::connect(address).await?)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn get(connection: &mut Connection, page: u64, session: &str) -> Result<Bytes, Failure> {
    connection.ready().await?;
    let request = http::Request::get(format!("/api/query/engage?project_id=12345&page={page}&session_id={session}"))
        .header("Host", "localhost")
        .header("Authorization", AUTHORIZATION)
        .body(Empty::new())?;
    Ok(connection.send_request(request).await?.into_body().collect().await?.to_bytes())
}

fn session_id(body: &[u8]) -> Result<String, Failure> {
    let key = b"\"session_id\":\"";
    let at = body.windows(key.len()).position(|window| window == key).ok_or("no session_id")? + key.len();
    let end = body[at..].iter().position(|byte| *byte == b'"').ok_or("no end of session_id")?;
    Ok(String::from_utf8(body[at..at + end].to_vec())?)
}
