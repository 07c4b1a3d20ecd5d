//! Servers that do not behave like Mixpanel: the test determines the response to each connection, and connections are
//! counted.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::{CANARY, Home, PROJECT, USERNAME};

/// A server that passes each connection and its number, counted from 0, to a function. It runs until the end of the
/// test.
pub(crate) struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Server {
    pub(crate) fn start(serve: impl Fn(TcpStream, usize) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let connections = Arc::new(AtomicUsize::new(0));
        let (count, serve) = (Arc::clone(&connections), Arc::new(serve));
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let number = count.fetch_add(1, Ordering::SeqCst);
                let (connection, serve) = (connection.expect("a connection"), Arc::clone(&serve));
                std::thread::spawn(move || serve(connection, number));
            }
        });
        Self { address, connections }
    }

    /// Sends these replies in turn, one per connection, and then repeats the last one.
    pub(crate) fn replying(replies: Vec<Vec<u8>>) -> Self {
        Self::start(move |mut connection, number| {
            read_request(&mut connection);
            let _gone = connection.write_all(&replies[number.min(replies.len() - 1)]);
        })
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns a home whose command sends its requests to this server.
    pub(crate) fn home(&self, scheme: &str) -> Home {
        Home::new()
            .with("MP_BASE_URL", &format!("{scheme}://{}", self.address))
            .with("MP_USERNAME", USERNAME)
            .with("MP_SECRET", CANARY)
            .with("MP_PROJECT_ID", PROJECT)
            .with("MP_REGION", "us")
    }
}

/// Reads a request up to the end given by its content length.
pub(crate) fn read_request(connection: &mut TcpStream) {
    connection.set_read_timeout(Some(Duration::from_secs(10))).expect("a socket option");
    let mut heard = Vec::new();
    let mut part = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&heard).to_ascii_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
            if body.len() >= length.map_or(0, |length| length.trim().parse().expect("a length")) {
                return;
            }
        }
        match connection.read(&mut part) {
            Ok(length @ 1..) => heard.extend_from_slice(&part[..length]),
            _ => return,
        }
    }
}
