//! `--max-wait` is a hard limit: whatever the server does instead of responding, the command ends in time.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::attacks::tools::reply;
use crate::servers::{Server, read_request};
use crate::support::{CANARY, Home, PROJECT, USERNAME};

/// Reads until the client closes the connection.
fn hold(mut connection: TcpStream) {
    let mut part = [0; 4096];
    while connection.read(&mut part).is_ok_and(|length| length > 0) {}
}

/// Sends this text and keeps the connection open.
fn begins(text: &'static str) -> impl Fn(TcpStream, usize) {
    move |mut connection, _| {
        read_request(&mut connection);
        let _gone = connection.write_all(text.as_bytes());
        hold(connection);
    }
}

fn drips(mut connection: TcpStream, _: usize) {
    read_request(&mut connection);
    let _gone = connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
    while connection.write_all(b" ").is_ok() {
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Kinds of servers, each with the scheme of its URL.
fn servers() -> Vec<(&'static str, &'static str, Server)> {
    let after_its_head = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{";
    let forever = |status: &str, headers: &str| Server::replying(vec![reply(status, headers, "")]);
    vec![
        ("silent", "http", Server::start(|connection, _| hold(connection))),
        ("silent in TLS", "https", Server::start(|connection, _| hold(connection))),
        ("silent after its first line", "http", Server::start(begins("HTTP/1.1 200 OK\r\n"))),
        ("silent after its head", "http", Server::start(begins(after_its_head))),
        ("silent after a notice", "http", Server::start(begins("HTTP/1.1 102 Processing\r\n\r\n"))),
        ("drips", "http", Server::start(drips)),
        ("hangs up", "http", Server::start(|connection, _| drop(connection))),
        ("hangs up in TLS", "https", Server::start(|connection, _| drop(connection))),
        ("503", "http", forever("503 Service Unavailable", "")),
        ("503 with a pause", "http", forever("503 Service Unavailable", "Retry-After: 30\r\n")),
        ("429", "http", forever("429 Too Many Requests", "")),
        ("429 with a pause", "http", forever("429 Too Many Requests", "Retry-After: 2\r\n")),
        ("409", "http", forever("409 Conflict", "")),
        ("no page", "http", forever("200 OK", "")),
    ]
}

fn check_ends_in_time(arguments: &[&str]) {
    std::thread::scope(|scope| {
        for (kind, scheme, server) in servers() {
            scope.spawn(move || {
                let begun = Instant::now();
                let run = server.home(scheme).run(arguments).prints_nothing();
                let took = begun.elapsed();
                // The limit is one second; starting the command takes a while on a busy machine.
                assert!(took < Duration::from_secs(8), "{kind}: {took:?}: {}", run.stderr);
                assert!(matches!(run.code, Some(1 | 5)), "{kind}: {run:?}");
                assert!(run.stderr.contains("caused by: "), "{kind}: {}", run.stderr);
            });
        }
    });
}

#[test]
fn a_fetch_ends_in_time() {
    check_ends_in_time(&["fetch", "profiles", "--parallel", "-q", "--max-wait", "1s"]);
}

#[test]
fn an_estimate_ends_in_time() {
    check_ends_in_time(&["fetch", "profiles", "--plan", "-q", "--max-wait", "1s"]);
}

#[test]
fn a_stream_ends_in_time() {
    check_ends_in_time(&["fetch", "profiles", "--stdout", "-q", "--max-wait", "1s"]);
}

#[test]
fn a_test_of_credentials_ends_in_time() {
    check_ends_in_time(&["auth", "test", "--max-wait", "1s"]);
}

#[test]
fn an_unresponsive_proxy_times_out() {
    let proxy = Server::start(|connection, _| hold(connection));
    let home = || {
        let home = Home::new().with("MP_USERNAME", USERNAME).with("MP_SECRET", CANARY).with("MP_PROJECT_ID", PROJECT);
        home.with("MP_REGION", "us").with("HTTPS_PROXY", &format!("http://{}", proxy.address()))
    };
    for arguments in [&["auth", "test", "--max-wait", "1s"][..], &["fetch", "profiles", "-q", "--max-wait", "1s"]] {
        let begun = Instant::now();
        let run = home().run(arguments).exits(1).prints_nothing();
        assert!(begun.elapsed() < Duration::from_secs(8), "{}", run.stderr);
    }
    assert!(proxy.connections() > 0);
}

/// A fetch continues as long as pages arrive, and its pages are kept when no more arrive.
#[test]
fn the_limit_counts_from_the_last_page() {
    let page = |number: usize| {
        let body = format!(
            r#"{{"page":{number},"page_size":1,"total":5,"session_id":"1-A","status":"ok","results":[{{"$distinct_id":"u{number}","$properties":{{}}}}]}}"#
        );
        reply("200 OK", "Content-Type: application/json\r\n", &body)
    };
    let server = Server::start(move |mut connection, number| {
        read_request(&mut connection);
        if number < 4 {
            std::thread::sleep(Duration::from_millis(700));
            let _gone = connection.write_all(&page(number));
        } else {
            hold(connection);
        }
    });
    let begun = Instant::now();
    let run = server.home("http").run(&["fetch", "profiles", "-q", "--max-wait", "1500ms"]).exits(1);
    assert!(begun.elapsed() > Duration::from_millis(4 * 700), "{}", run.stderr);
    assert!(run.stderr.contains("fetch resume"), "{}", run.stderr);
    assert_eq!(server.connections(), 5);
}
