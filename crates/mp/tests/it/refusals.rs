//! Each rejected request is reported with its reason, and the hint fits the command.

use crate::attacks::tools::reply;
use crate::servers::Server;
use crate::snapshot::assert_run;
use crate::support::{Home, Run, Simulator};

const HTML: &str = "<!DOCTYPE html><html><head><title>Welcome to Hotel WiFi</title></head><body>Log in</body></html>";

fn run(status: &str, headers: &str, body: &str, arguments: &[&str]) -> Run {
    let server = Server::replying(vec![reply(status, headers, body)]);
    server.home("http").run(&[arguments, &["--max-wait", "1s", "-q"]].concat()).prints_nothing()
}

/// The status, the body, the command and its exit code.
type Case = (&'static str, &'static str, &'static [&'static str], i32);

const TEST: &[&str] = &["auth", "test"];
const FETCH: &[&str] = &["fetch", "profiles"];
const FILTERED: &[&str] = &["fetch", "profiles", "-w", "x"];
const IDS: &[&str] = &["fetch", "profiles", "--stdout", "--distinct-ids", "a"];
const PAGE_SIZE: &[&str] = &["fetch", "profiles", "--plan", "--page-size", "7"];

const CASES: &[Case] = &[
    ("400 Bad Request", "{\"error\":\"odd\"}", TEST, 3),
    ("400 Bad Request", "{\"error\":\"odd\"}", FETCH, 3),
    ("400 Bad Request", "{\"error\":\"odd\"}", FILTERED, 3),
    ("422 X", "", IDS, 3),
    ("400 Bad Request", "{\"error\":\"odd\"}", PAGE_SIZE, 3),
    ("401 Unauthorized", "", TEST, 2),
    ("401 Unauthorized", "", FETCH, 2),
    ("402 Payment Required", "", TEST, 3),
    ("403 Forbidden", "", TEST, 2),
    ("403 Forbidden", HTML, TEST, 3),
    ("403 Forbidden", HTML, FETCH, 3),
    ("404 Not Found", "", TEST, 3),
    ("404 Not Found", "", FILTERED, 3),
    ("404 Not Found", HTML, FETCH, 3),
    ("405 X", "", TEST, 3),
    ("407 X", "", TEST, 3),
    ("410 Gone", "", FETCH, 3),
    ("413 X", "", IDS, 3),
    ("414 X", "", FETCH, 3),
    ("418 X", "", FILTERED, 3),
    ("426 X", "", FETCH, 3),
    ("431 X", "", FILTERED, 3),
    ("451 X", "", TEST, 3),
    ("500 X", "", TEST, 1),
    ("501 X", "", FETCH, 1),
    ("502 X", "", FETCH, 1),
    ("511 X", HTML, TEST, 1),
    ("511 X", "", FETCH, 1),
    ("200 OK", HTML, TEST, 1),
    ("200 OK", HTML, FETCH, 1),
    ("200 OK", "", TEST, 1),
    ("300 X", "", TEST, 1),
    ("302 X", "", FETCH, 1),
    ("305 X", "", TEST, 1),
    ("306 X", HTML, TEST, 1),
    ("308 X", "", FETCH, 1),
    ("522 X", HTML, FETCH, 1),
    ("530 X", "", TEST, 1),
    ("599 X", "", TEST, 1),
    ("999 X", "", FETCH, 1),
    ("000 X", "", TEST, 1),
    ("1000 X", "", FETCH, 1),
];

#[test]
fn every_refusal_is_named_and_its_hint_fits_the_command() {
    let groups: Vec<&[Case]> = CASES.chunks(CASES.len().div_ceil(6)).collect();
    std::thread::scope(|scope| {
        for group in groups {
            scope.spawn(move || {
                for (status, body, arguments, code) in group {
                    let page = if *body == HTML { " html" } else { "" };
                    let case = format!("{status}{page} {}", arguments.join(" "));
                    assert_run!(run(status, "", body, arguments).exits(*code), case);
                }
            });
        }
    });
}

#[test]
fn a_refused_project_is_traced_to_the_option_or_variable_that_chose_it() {
    let server = Server::replying(vec![reply("403 Forbidden", "", "")]);
    let account = || {
        let home = Home::new().with("MP_BASE_URL", &format!("http://{}", server.address()));
        home.write_config(&crate::config_file::account("two"));
        home
    };
    for (home, options, source) in [
        (account(), &["--project", "777"][..], Some("`--project`")),
        (account().with("MP_PROJECT_ID", "777"), &[], Some("MP_PROJECT_ID")),
        (server.home("http"), &["--project", "777"], Some("`--project`")),
        (account(), &[], None),
        (server.home("http"), &[], None),
    ] {
        for command in [FETCH, TEST] {
            let run = home.run(&[command, &["-q", "--max-wait", "1s"], options].concat()).exits(2).prints_nothing();
            let expected = source.map(|source| format!("project 777 comes from {source}"));
            assert_eq!(run.stderr.contains("777 comes from"), expected.is_some(), "{}", run.stderr);
            assert!(run.stderr.contains(&expected.unwrap_or_default()), "{}", run.stderr);
        }
    }
}

#[test]
fn a_redirect_names_the_host_that_it_leads_to() {
    let location = "Location: https://login.hotel.example/portal?user=x\r\n";
    let run = assert_run!(run("302 Found", location, "", TEST).exits(1));
    assert!(!run.stderr.contains("portal"), "{}", run.stderr);
}

#[test]
fn a_captive_portal_is_retried() {
    let names = reply("200 OK", "", r#"["Sign up"]"#);
    let server = Server::replying(vec![reply("511 X", "", HTML), names]);
    server.home("http").run(&["auth", "test"]).exits(0);
    assert_eq!(server.connections(), 2);
}

#[test]
fn odd_interim_answers_are_passed_over_or_retried() {
    let names = reply("200 OK", "", r#"["Sign up"]"#);
    let after = |interim: &str| [interim.as_bytes(), &names].concat();
    let answers = [
        (after("HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 199 X\r\n\r\n"), 1),
        (after(&"HTTP/1.1 100 Continue\r\n\r\n".repeat(50)), 1),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n".to_vec(), 2),
        (b"HTTP/1.1 100 Continue\r\n\r\n".to_vec(), 2),
    ];
    std::thread::scope(|scope| {
        for (answer, connections) in &answers {
            scope.spawn(|| {
                let server = Server::replying(vec![answer.clone(), names.clone()]);
                server.home("http").run(&["auth", "test"]).exits(0);
                assert_eq!(server.connections(), *connections, "{}", String::from_utf8_lossy(answer));
            });
        }
    });
}

#[test]
fn a_refused_resume_does_not_suggest_correcting_the_filter() {
    let simulator = Simulator::with_faults(500, &["pages=2 status=401 times=1"]);
    let home = Home::new().with_server(&simulator);
    home.run(&["fetch", "profiles", "users", "-q", "-w", "properties[\"plan\"] != \"x\""]).exits(2);
    for (status, code) in [("400 Bad Request", 1), ("403 Forbidden", 2)] {
        let server = Server::replying(vec![reply(status, "", "{\"error\":\"odd\"}")]);
        let resumed = home.run(&["fetch", "resume", "-q", "--base-url", &format!("http://{}", server.address())]);
        assert!(!resumed.stderr.contains("correct the filter"), "{}", resumed.stderr);
        let _run = resumed.exits(code);
    }
    home.run(&["fetch", "resume", "-q"]).exits(0);
}
