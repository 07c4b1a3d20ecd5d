//! Receives slices over HTTP from servers that send exact bytes.

use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::civil::date;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::api::{ApiOptions, RateLimitKind};
use crate::credentials::{Credentials, Region, Secret};
use crate::limits::CONNECT_TIMEOUT;
use crate::stage::{Manifest, Stage, StageRoots, read_part};
use crate::{Timeouts, error::ErrorKind};

mod bodies_tests;
mod cuts_tests;
mod flow_tests;

/// What a server sends in one response, before it closes the connection.
#[derive(Debug, Clone, Default)]
struct Response {
    bytes: Vec<u8>,
    /// Sends pieces of this size, one at a time.
    piece: Option<usize>,
    /// Keeps the connection open after the bytes, without sending anything.
    hangs: bool,
}

/// A server that sends the same bytes to everyone.
struct Server {
    url: String,
    response: Arc<Mutex<Response>>,
    /// The heads of the requests.
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (response, requests) = (Arc::new(Mutex::new(Response::default())), Arc::new(Mutex::new(Vec::new())));
        let (shared, heads) = (Arc::clone(&response), Arc::clone(&requests));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (shared, heads) = (Arc::clone(&shared), Arc::clone(&heads));
                tokio::spawn(async move {
                    let (mut head, mut part) = (Vec::new(), [0; 4096]);
                    while !head.ends_with(b"\r\n\r\n") {
                        match stream.read(&mut part).await {
                            Ok(count) if count > 0 => head.extend_from_slice(&part[..count]),
                            _ => return,
                        }
                    }
                    heads.lock().unwrap().push(String::from_utf8(head).unwrap());
                    let response = shared.lock().unwrap().clone();
                    stream.set_nodelay(true).unwrap();
                    for piece in response.bytes.chunks(response.piece.unwrap_or(usize::MAX)) {
                        if stream.write_all(piece).await.is_err() {
                            return;
                        }
                        if response.piece.is_some() {
                            tokio::task::yield_now().await;
                        }
                    }
                    if response.hangs {
                        std::future::pending::<()>().await;
                    }
                    let _ = stream.shutdown().await;
                });
            }
        });
        Self { url, response, requests }
    }

    fn sends(&self, bytes: Vec<u8>) {
        *self.response.lock().unwrap() = Response { bytes, ..Response::default() };
    }
}

/// A client, and a stage for what it receives.
struct Bench {
    server: Server,
    client: ApiClient,
    stage: Stage,
    request: SliceRequest,
    _directory: tempfile::TempDir,
}

impl Bench {
    async fn new() -> Self {
        Self::with(Timeouts::default()).await
    }

    async fn with(timeouts: Timeouts) -> Self {
        let server = Server::start().await;
        let credentials = Credentials::new("someone", Secret::new("secret-7f3a"), "12345", Region::Us).unwrap();
        let options = ApiOptions { base_url: Some(server.url.clone()), timeouts, ..ApiOptions::default() };
        let directory = tempfile::tempdir().unwrap();
        let roots = StageRoots { root: directory.path().join("my.db.stage"), earlier: None };
        let manifest = Manifest::new("run-1".into(), jiff::Timestamp::UNIX_EPOCH, "12345", "us");
        let stage = Stage::create(&roots, manifest).unwrap();
        Self {
            server,
            client: ApiClient::new(credentials, &options).unwrap(),
            stage,
            request: request(),
            _directory: directory,
        }
    }

    async fn receive(&self) -> Result<ReceivedSlice, ReceiveFailure> {
        let reading = EventReading::default();
        receive(&self.client, &self.request, &reading, self.stage.slice_directory()).await
    }

    /// Receives a slice that must fail, and returns the failure. Nothing is left of it.
    async fn failure(&self) -> Failure {
        match self.receive().await {
            Err(ReceiveFailure::Request(failure)) => {
                assert_eq!(self.files(), 0, "{failure}");
                failure
            }
            other => panic!("{other:?}"),
        }
    }

    /// Removes what was staged.
    fn clear(&self) {
        let directory = self.stage.page_path(0);
        for entry in std::fs::read_dir(directory.parent().unwrap()).unwrap() {
            std::fs::remove_file(entry.unwrap().path()).unwrap();
        }
    }

    /// Returns the number of files in the stage.
    fn files(&self) -> usize {
        let directory = self.stage.page_path(0);
        std::fs::read_dir(directory.parent().unwrap()).unwrap().count()
    }

    /// Stages a slice, and returns its rows as text.
    fn stage(&mut self, slice: ReceivedSlice) -> Vec<String> {
        let (part, rows) = (slice.facts.part, slice.facts.rows);
        self.stage.commit_slice(slice.file).unwrap();
        let texts = properties(&self.stage.page_path(part));
        assert_eq!(texts.len() as u64, rows);
        texts
    }
}

fn request() -> SliceRequest {
    let slice = Slice { from: date(2026, 1, 1), to: date(2026, 1, 2), events: vec!["A \"b\"".to_owned()] };
    SliceRequest { part: 3, slice, filter: Some("properties[\"a\"] > 1".to_owned()), limit: Some(100_000) }
}

fn properties(path: &Path) -> Vec<String> {
    use arrow::array::AsArray as _;
    let batches = read_part(path).unwrap();
    let texts = batches.iter().map(|rows| rows.column_by_name("properties").unwrap().as_string::<i32>().clone());
    texts.flat_map(|texts| texts.iter().flatten().map(str::to_owned).collect::<Vec<_>>()).collect()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn line(number: usize, text: &str) -> String {
    let time = 1_767_225_600_000_i64 + number as i64;
    format!(
        "{{\"event\":\"A\",\"properties\":{{\"time\":{time},\"$insert_id\":\"i{number}\",\"n\":{number},\"x\":\"{text}\"}}}}\n"
    )
}

/// How a body is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length,
    Chunked(usize),
    Close,
}

/// Returns the head of a response and its body as it is sent.
fn response(body: &[u8], coding: &str, framing: Framing) -> (Vec<u8>, Vec<u8>) {
    let mut head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n{coding}");
    let mut sent = Vec::new();
    match framing {
        Framing::Length => {
            head += &format!("Content-Length: {}\r\n", body.len());
            sent.extend_from_slice(body);
        }
        Framing::Chunked(size) => {
            head += "Transfer-Encoding: chunked\r\n";
            for chunk in body.chunks(size) {
                sent.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                sent.extend_from_slice(chunk);
                sent.extend_from_slice(b"\r\n");
            }
            sent.extend_from_slice(b"0\r\n\r\n");
        }
        Framing::Close => sent.extend_from_slice(body),
    }
    head += "\r\n";
    (head.into_bytes(), sent)
}

const GZIP: &str = "Content-Encoding: gzip\r\n";
