//! How responses that are not pages are reported: by status, encoding and content.

use crate::attacks::tools::reply;
use crate::servers::Server;
use crate::snapshot::assert_run;

/// `["Sign up"]`, compressed with gzip and with zlib.
const GZIP: &[u8] = &[
    31, 139, 8, 0, 0, 0, 0, 0, 2, 255, 139, 86, 10, 206, 76, 207, 83, 40, 45, 80, 138, 5, 0, 144, 158, 157, 248, 11, 0,
    0, 0,
];
const ZLIB: &[u8] = &[120, 156, 139, 86, 10, 206, 76, 207, 83, 40, 45, 80, 138, 5, 0, 21, 69, 3, 147];

fn names() -> Vec<u8> {
    reply("200 OK", "Content-Type: application/json\r\n", r#"["Sign up"]"#)
}

#[test]
fn transient_statuses_are_retried() {
    let statuses = [
        "201 Created",
        "202 Accepted",
        "204 No Content",
        "205 Reset Content",
        "206 Partial Content",
        "226 IM Used",
        "299 X",
        "304 Not Modified",
        "408 Request Timeout",
        "409 Conflict",
        "420 X",
        "421 Misdirected Request",
        "423 Locked",
        "425 Too Early",
        "444 X",
        "499 X",
        "500 X",
        "502 Bad Gateway",
        "520 X",
        "521 X",
        "526 X",
        "530 X",
        "599 X",
        "600 X",
    ];
    std::thread::scope(|scope| {
        for status in statuses {
            scope.spawn(move || {
                let server = Server::replying(vec![reply(status, "", ""), names()]);
                server.home("http").run(&["auth", "test"]).exits(0);
                assert_eq!(server.connections(), 2, "{status}");
            });
        }
    });
}

#[test]
fn permanent_statuses_are_not_retried() {
    let statuses = [
        ("300 X", 1),
        ("305 X", 1),
        ("400 Bad Request", 3),
        ("401 Unauthorized", 2),
        ("402 Payment Required", 3),
        ("403 Forbidden", 2),
        ("404 Not Found", 3),
        ("405 X", 3),
        ("410 Gone", 3),
        ("413 X", 3),
        ("414 X", 3),
        ("415 X", 3),
        ("418 I'm a teapot", 3),
        ("422 X", 3),
        ("431 X", 3),
        ("451 X", 3),
    ];
    std::thread::scope(|scope| {
        for (status, code) in statuses {
            scope.spawn(move || {
                let server = Server::replying(vec![reply(status, "", ""), names()]);
                assert_run!(server.home("http").run(&["auth", "test"]).exits(code), status);
                assert_eq!(server.connections(), 1, "{status}");
            });
        }
    });
}

#[test]
fn responses_altered_by_intermediaries_are_accepted() {
    let body = r#"["Sign up"]"#;
    let notice =
        [b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n".to_vec(), names()].concat();
    let chunked =
        "HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\nConnection: close\r\n\r\nb\r\n[\"Sign up\"]\r\n0\r\n\r\n";
    for answer in [reply("203 Non-Authoritative Information", "", body), notice, chunked.as_bytes().to_vec()] {
        let server = Server::replying(vec![answer]);
        server.home("http").run(&["auth", "test"]).exits(0);
        assert_eq!(server.connections(), 1);
    }
}

#[test]
fn content_encodings_follow_the_standard() {
    let answer = |headers: &str, body: &[u8]| {
        let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
        [head.as_bytes(), body].concat()
    };
    for headers in [
        "Content-Encoding: GZIP\r\n",
        "content-encoding:gzip\r\n",
        "Content-Encoding:   x-Gzip  \r\n",
        "Content-Encoding: gzip, identity\r\n",
        "Content-Encoding: identity,gzip\r\nContent-Type: text/plain\r\n",
        "Content-Encoding: identity\r\nContent-Encoding: gzip\r\n",
        "Content-Encoding: ,gzip,\r\n",
    ] {
        Server::replying(vec![answer(headers, GZIP)]).home("http").run(&["auth", "test"]).exits(0);
    }
    Server::replying(vec![answer("Content-Encoding: Deflate\r\n", ZLIB)]).home("http").run(&["auth", "test"]).exits(0);
    let server = Server::replying(vec![answer("Content-Encoding: gzip, Br\r\n", GZIP)]);
    assert_run!(server.home("http").run(&["auth", "test", "--max-wait", "1s"]).exits(1));
}

#[test]
fn an_hourly_limit_is_recognized_by_its_text() {
    let texts = [
        ("429 Too Many Requests", "Query rate limit exceeded: 60 queries per hour"),
        ("429 Too Many Requests", "{\"error\":\"Query rate limit exceeded for project_id: 1. 60 queries/hour\"}"),
        ("429 Too Many Requests", "<html><title>429</title><body>Only <b>60</b> requests an hour</body></html>"),
        ("429 Too Many Requests", "hourly quota used up"),
        ("429 Too Many Requests", "{\"error\":\"60 queries in the last hour\"}"),
        ("400 Bad Request", "Query rate limit exceeded: 60 queries per hour"),
        ("403 Forbidden", "{\"error\":\"Query rate limit exceeded: 60/h\"}"),
        ("503 Service Unavailable", "rate limit exceeded, 60 queries in the last hour"),
        ("401 Unauthorized", "{\"error\":\"rate_limit_exceeded\",\"message\":\"60 queries per hour\"}"),
        ("402 Payment Required", "{\"error\":\"Query rate limit exceeded: 60 queries per hour\",\"request\":\"/x\"}"),
        ("403 Forbidden", "hourly quota used up"),
        ("404 Not Found", "{\"errors\":[{\"title\":\"Quota exceeded: 60 requests each hour\"}]}"),
        ("418 X", "You have reached the limit of 60 queries per hour"),
        ("500 X", "Query rate limit exceeded: 60 queries per hour"),
        ("502 X", "<html><title>Error</title><body>Query rate limit exceeded: 60 queries/hour</body></html>"),
        ("599 X", "61/60 queries running in the last hour"),
        ("200 OK", "{\"error\":\"Query rate limit exceeded: 60 queries per hour\"}"),
        (
            "200 OK",
            "\u{feff}{\"results\":[],\"status\":\"error\",\"error\":\"Query rate limit exceeded: 60 queries/h\"}",
        ),
        ("200 OK", "{\"error\":{\"message\":\"Query rate limit exceeded (60/60 queries running in the last hour)\"}}"),
        ("203 X", "Query rate limit exceeded: 60 queries per hour"),
    ];
    std::thread::scope(|scope| {
        for (case, (status, text)) in texts.into_iter().enumerate() {
            scope.spawn(move || {
                let server = Server::replying(vec![reply(status, "", text), names()]);
                let home = server.home("http");
                assert_run!(home.run(&["auth", "test"]).exits(5), format!("{case} test"));
                // No second request is sent until the hour is over.
                assert_eq!(server.connections(), 1, "{text}");
                let fetch = ["fetch", "profiles", "--max-wait", "1s"];
                assert_run!(home.run(&fetch).exits(5), format!("{case} fetch"));
                assert_eq!(server.connections(), 1, "{text}");
            });
        }
    });
}

#[test]
fn text_that_merely_mentions_a_limit_is_not_a_rate_limit() {
    let page = |text: &str| {
        format!(
            r#"{{"page":0,"page_size":1000,"total":1,"session_id":"s","results":[{{"$distinct_id":"a","$properties":{{"p":"{text}"}}}}]}}"#
        )
    };
    let limit = "Query rate limit exceeded: 60 queries per hour";
    let cases = [
        ("200 OK", page(limit), 0),
        ("200 OK", page(&format!("{limit}\t")), 0),
        ("400 Bad Request", format!("{{\"error\":\"odd filter \\\"{limit}\\\"\"}}"), 3),
        ("400 Bad Request", format!("{{\"error\":\"odd filter\",\"request\":\"/x?where={limit}\"}}"), 3),
        ("403 Forbidden", "60 queries an hour are allowed for those who have a role".to_owned(), 2),
        ("402 Payment Required", "your plan's limit of 1000 exports a month is exceeded".to_owned(), 3),
    ];
    std::thread::scope(|scope| {
        for (status, text, code) in cases {
            scope.spawn(move || {
                let server = Server::replying(vec![reply(status, "Content-Type: application/json\r\n", &text)]);
                let fetch = ["fetch", "profiles", "-q", "--allow-rejects", "--max-wait", "2s"];
                server.home("http").run(&fetch).exits(code);
                assert_eq!(server.connections(), 1, "{text}");
            });
        }
    });
}

#[test]
fn a_project_in_another_region_is_reported() {
    let texts = [
        ("400 Bad Request", "{\"error\":\"invalid project id for cluster.\"}"),
        ("400 Bad Request", "Invalid Project ID for cluster"),
        ("403 Forbidden", "{\"error\":\"project 12345 is not in this region\"}"),
        ("401 Unauthorized", "the project belongs to another data center"),
        ("404 Not Found", "{\"status\":\"error\",\"error\":\"No project 12345 in cluster us\"}"),
    ];
    let commands: [&[&str]; 4] = [
        &["auth", "test"],
        &["fetch", "profiles", "-q"],
        &["fetch", "profiles", "--plan"],
        &["fetch", "profiles", "--stdout"],
    ];
    for (index, (status, text)) in texts.into_iter().enumerate() {
        let server = Server::replying(vec![reply(status, "Content-Type: application/json\r\n", text)]);
        for arguments in commands.into_iter().skip(if index == 0 { 0 } else { 3 - index % 4 }) {
            let run = server.home("http").run(arguments).exits(3).prints_nothing();
            let run = assert_run!(run, format!("{index} {}", arguments.join(" ")));
            assert!(!run.stderr.contains("filter"), "{}", run.stderr);
        }
    }
}

#[test]
fn a_region_mismatch_suggests_the_command_that_fixes_it() {
    let text = "{\"error\":\"invalid project id for cluster.\"}";
    let server = Server::replying(vec![reply("400 Bad Request", "", text)]);
    let home = crate::support::Home::new().with("MP_BASE_URL", &format!("http://{}", server.address()));
    let add = ["auth", "add", "my work", "-u", "someone", "-p", "12345", "-r", "us", "--secret-stdin", "--no-test"];
    home.run_with_input(&add, crate::support::CANARY).exits(0);
    for arguments in [&["auth", "test", "my work"][..], &["fetch", "profiles", "-q"]] {
        assert_run!(home.run(arguments).exits(3), arguments[0]);
    }
    // An error about a filter that mentions regions is not an error about the project's region.
    let text = "{\"error\":\"unknown property region in properties[\\\"cluster\\\"]\"}";
    let server = Server::replying(vec![reply("400 Bad Request", "", text)]);
    assert_run!(server.home("http").run(&["fetch", "profiles", "-q", "-w", "x"]).exits(3));
}
