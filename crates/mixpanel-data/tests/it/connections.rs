//! The connections of a workspace: opened once, reused between calls, and never the cause of a failure.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mixpanel_data::{Timeouts, Workspace};
use tokio::runtime::Runtime;

use crate::harness::credentials;

/// A server that responds to every request with two event names, and counts connections and requests.
struct Counter {
    base_url: String,
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
}

impl Counter {
    /// Starts a server that closes each connection without notice after this many requests.
    fn start(requests_max: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let base_url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let counter = Self { base_url, connections: Arc::default(), requests: Arc::default() };
        let (connections, requests) = (Arc::clone(&counter.connections), Arc::clone(&counter.requests));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                connections.fetch_add(1, Ordering::SeqCst);
                let requests = Arc::clone(&requests);
                std::thread::spawn(move || serve(&mut stream.expect("a connection"), requests_max, &requests));
            }
        });
        counter
    }

    fn workspace(&self) -> Workspace {
        let timeouts = Timeouts { first_byte: Duration::from_secs(5), ..Timeouts::default() };
        let workspace = Workspace::new(credentials("secret"), "none.db").with_timeouts(timeouts);
        workspace.with_base_url(&self.base_url).expect("it is on loopback")
    }

    /// Returns the number of connections and of requests so far.
    fn counts(&self) -> (usize, usize) {
        (self.connections.load(Ordering::SeqCst), self.requests.load(Ordering::SeqCst))
    }
}

fn serve(stream: &mut TcpStream, requests_max: usize, requests: &AtomicUsize) {
    for _ in 0..requests_max {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            match stream.read(&mut byte) {
                Ok(1) => head.push(byte[0]),
                _ => return,
            }
        }
        requests.fetch_add(1, Ordering::SeqCst);
        let reply = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n[\"a\",\"b\"]";
        if stream.write_all(reply).is_err() {
            return;
        }
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

async fn names(workspace: &Workspace) -> usize {
    workspace.test_credentials().await.expect("the names")
}

#[tokio::test]
async fn calls_of_a_workspace_and_its_clones_use_one_connection() {
    let server = Counter::start(usize::MAX);
    let workspace = server.workspace();
    let clone = workspace.clone();
    assert_eq!(names(&workspace).await + names(&workspace).await + names(&clone).await, 6);
    assert_eq!(server.counts(), (1, 3));
}

#[tokio::test]
async fn options_set_after_a_call_are_used() {
    let (server, other) = (Counter::start(usize::MAX), Counter::start(usize::MAX));
    let workspace = server.workspace();
    names(&workspace).await;
    let moved = workspace.clone().with_base_url(&other.base_url).unwrap();
    names(&moved).await;
    names(&workspace).await;
    assert_eq!((server.counts(), other.counts()), ((1, 2), (1, 1)));
    let limited = moved.with_quota("1/h".parse().unwrap());
    names(&limited).await;
    let error = limited.test_credentials().await.unwrap_err();
    assert!(error.to_string().contains("the quota of 1 query is used"), "{error}");
}

#[tokio::test]
async fn a_workspace_without_a_ledger_counts_across_its_calls() {
    let server = Counter::start(usize::MAX);
    let workspace = server.workspace().with_quota("2/h".parse().unwrap());
    names(&workspace).await;
    names(&workspace.clone()).await;
    assert!(workspace.test_credentials().await.is_err());
    assert_eq!(server.counts(), (1, 2));
}

/// An idle runtime does not drive its connections, and a dropped one never will.
#[test]
fn a_workspace_is_used_on_several_runtimes_in_turn() {
    let server = Counter::start(usize::MAX);
    let workspace = server.workspace();
    let (one, other) = (runtime(), runtime());
    for calls in 1..4 {
        one.block_on(names(&workspace));
        other.block_on(names(&workspace));
        assert_eq!(server.counts().1, 2 * calls);
    }
    drop(one);
    other.block_on(names(&workspace));
    other.block_on(names(&workspace));
    drop(other);
    runtime().block_on(names(&workspace));
    assert_eq!(server.counts().1, 9);
}

#[test]
fn a_connection_that_the_server_has_closed_is_replaced() {
    let server = Counter::start(1);
    let workspace = server.workspace();
    let runtime = runtime();
    for calls in 1..6 {
        runtime.block_on(names(&workspace));
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(server.counts(), (calls, calls), "no request was sent twice");
    }
}

/// The server closes the connection just when the next request may be sent.
#[tokio::test]
async fn a_connection_that_the_server_is_closing_is_no_failure() {
    let server = Counter::start(1);
    let workspace = server.workspace();
    for _ in 0..20 {
        names(&workspace).await;
    }
    assert_eq!(server.counts().1, 20);
}
