//! Records that are not valid JSON: each is rejected with its exact bytes, and its neighbors are kept.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::support::{CANARY, Home, PROJECT, USERNAME};

const A: &[u8] = br#"{"$distinct_id":"a","$properties":{"k":"},{\"$distinct_id\":","n":1.50 }}"#;
const A_TEXT: &str = r#"{"k":"},{\"$distinct_id\":","n":1.50 }"#;

/// Answers each page request with exactly these bytes, or with 404 for `None`.
struct Pages {
    address: SocketAddr,
    pages: Arc<Mutex<Vec<Option<Vec<u8>>>>>,
}

impl Pages {
    fn start(pages: Vec<Option<Vec<u8>>>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let pages = Arc::new(Mutex::new(pages));
        let served = Arc::clone(&pages);
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let served = Arc::clone(&served);
                std::thread::spawn(move || answer(&connection.expect("a connection"), &served));
            }
        });
        Self { address, pages }
    }

    fn home(&self) -> Home {
        Home::new()
            .with("MP_BASE_URL", &format!("http://{}", self.address))
            .with("MP_USERNAME", USERNAME)
            .with("MP_SECRET", CANARY)
            .with("MP_PROJECT_ID", PROJECT)
            .with("MP_REGION", "us")
    }
}

fn answer(connection: &TcpStream, pages: &Mutex<Vec<Option<Vec<u8>>>>) {
    let mut reader = BufReader::new(connection);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let line = line.trim().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().expect("a number");
        } else if line.is_empty() {
            break;
        }
    }
    let mut form = vec![0; length];
    reader.read_exact(&mut form).expect("a form");
    let form = String::from_utf8(form).expect("a form");
    let page =
        form.split('&').find_map(|field| field.strip_prefix("page=")).map_or(0, |page| page.parse().expect("a page"));
    let page: Option<Vec<u8>> = pages.lock().expect("no panic").get::<usize>(page).cloned().flatten();
    let status = if page.is_some() { "200 OK" } else { "404 Not Found" };
    let body = page.unwrap_or_default();
    let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    let mut connection = connection;
    // A client that was stopped does not read the response.
    let _ = connection.write_all(&[head.as_bytes(), &body].concat());
}

fn page(number: usize, size: usize, total: usize, records: &[&[u8]]) -> Vec<u8> {
    let facts =
        format!("\"page\":{number},\"page_size\":{size},\"session_id\":\"s-1\",\"status\":\"ok\",\"total\":{total}");
    [&b"{"[..], facts.as_bytes(), b",\"results\":[", &records.join(&b","[..]), b"]}"].concat()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// Returns the bytes of the rejects, in hexadecimal.
fn rejects(home: &Home) -> Vec<String> {
    let sql = "select hex(case when reason like 'not UTF-8%' then raw::BLOB else encode(raw) end) as raw \
               from _rejects order by page, position";
    let rows = home.run(&["query", "sql", sql, "--format", "json"]).exits(0).json();
    rows.as_array().expect("rows").iter().map(|row| row["raw"].as_str().expect("a text").to_owned()).collect()
}

fn rows(home: &Home) -> Vec<(String, String)> {
    let sql = "select distinct_id as id, hex(encode(properties::VARCHAR)) as text from profiles order by all";
    let rows = home.run(&["query", "sql", sql, "--format", "json"]).exits(0).json();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    rows.as_array().expect("rows").iter().map(|row| (text(&row["id"]), text(&row["text"]))).collect()
}

#[test]
fn each_odd_record_is_a_reject_with_its_bytes() {
    let odd: &[&[u8]] = &[
        b"{\"$distinct_id\":\"x\",\"$properties\":{\"k\":\"raw\ttab\nand\0nul\"}}",
        b"{\"$distinct_id\":\"x\",\"$properties\":{\"k\":\"M\xfcnchen \xed\xa0\xbd \\\\ \xc3\xa9\"}}",
        b"{\"$distinct_id\":\"x\",\"$properties\":{\"k\":NaN}}",
        b"{\"$distinct_id\":\"x\",\"$properties\":{\"k\":[1,],}}",
        b"{\"$distinct_id\":\"x\",\"$properties\":{\"k\":\"say \"hi\" }\"}}",
        b"{\"$distinct_id\":\"x\",\"$properties\":{\"k\":\"\\x41\"}}",
        b"{'$distinct_id':'x','$properties':{'k':None}}",
        b"{\"$distinct_id\":\"x\",\"$properties\":{\"k\":\"never closed",
        b"null",
    ];
    let mut records = vec![A];
    for record in odd {
        records.extend([record, A]);
    }
    let server = Pages::start(vec![Some(page(0, 1000, records.len(), &records))]);
    for mode in [&[][..], &["--parallel"]] {
        let home = server.home();
        let run = home.run(&[&["fetch", "profiles", "-q"], mode].concat()).exits(1);
        let result = run.json();
        assert_eq!((&result["received"], &result["rejected"]), (&records.len().into(), &odd.len().into()));
        assert_eq!(rejects(&home), odd.iter().map(|record| hex(record)).collect::<Vec<_>>());
        assert_eq!(rows(&home), [("a".to_owned(), hex(A_TEXT.as_bytes()))]);
    }
    for form in [&["--stdout"][..], &["--stdout", "--raw"]] {
        let home = server.home();
        let run = home.run(&[&["fetch", "profiles", "-q"], form].concat()).exits(1);
        let rejected = if form.len() == 1 { odd.len() } else { odd.len() - 1 };
        assert_eq!(run.stdout.lines().count(), records.len() - rejected, "{}", run.stdout);
    }
}

#[test]
fn resume_gets_a_page_with_odd_records() {
    let first =
        page(0, 2, 4, &[br#"{"$distinct_id":"a","$properties":{}}"#, br#"{"$distinct_id":"b","$properties":{}}"#]);
    let odd: &[u8] = b"{\"$distinct_id\":\"c\",\"$properties\":{\"k\":\"\t\"}}";
    let second = page(1, 2, 4, &[odd, br#"{"$distinct_id":"d","$properties":{"k": 1}}"#]);
    let server = Pages::start(vec![Some(first), None, Some(page(2, 2, 4, &[]))]);
    let home = server.home();
    let run = home.run(&["fetch", "profiles", "-q"]).exits(1);
    assert_eq!(run.json()["failed_page_indices"], serde_json::json!([1]));
    server.pages.lock().expect("no panic")[1] = Some(second);
    let run = home.run(&["fetch", "resume", "-q", "--allow-rejects"]).exits(0);
    assert_eq!(run.json()["rejected"], 1);
    assert_eq!(rejects(&home), [hex(odd)]);
    let ids: Vec<_> = rows(&home).into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, ["a", "b", "d"]);
}

#[test]
fn dropped_members_are_reported_once() {
    let record = |id: usize| format!(r#"{{"$distinct_id":"{id}","$group":{id},"$properties":{{}},"\u0024extra":[1]}}"#);
    let records: Vec<String> = (0..4).map(record).collect();
    let records: Vec<&[u8]> = records.iter().map(String::as_bytes).collect();
    let pages = vec![page(0, 2, 4, &records[..2]), page(1, 2, 4, &records[2..]), page(2, 2, 4, &[])];
    let server = Pages::start(pages.into_iter().map(Some).collect());
    for form in [&["-q"][..], &["-q", "--parallel"], &["-q", "--stdout"]] {
        let run = server.home().run(&[&["fetch", "profiles"], form].concat()).exits(0);
        let warning = "warning: 4 records have members other than `$distinct_id` and `$properties`, which are not \
                       stored: `$group`, `$extra`; `--stdout --raw` prints records unchanged";
        assert_eq!(run.stderr.matches(warning).count(), 1, "{}", run.stderr);
    }
    let run = server.home().run(&["fetch", "profiles", "-q", "--stdout", "--raw"]).exits(0);
    assert!(!run.stderr.contains("not stored"), "{}", run.stderr);
}
