//! A9 and A11: redirects and proxies, and no connections to other hosts.

use mixpanel_simulator::SimulatorConfig;

use super::tools::{ForbiddenListener, Recorder, reply};
use crate::snapshot::assert_run;
use crate::support::{CANARY, Home, PROJECT, Simulator, USERNAME, check_no_secret};

const PROXY_PASSWORD: &str = "PROXY-CANARY-8h2";

fn credentials(home: Home) -> Home {
    home.with("MP_USERNAME", USERNAME).with("MP_SECRET", CANARY).with("MP_PROJECT_ID", PROJECT).with("MP_REGION", "us")
}

#[test]
fn a09_redirects_are_not_followed() {
    let elsewhere = ForbiddenListener::listen("127.0.0.1");
    let other_host = ForbiddenListener::listen("127.0.0.2");
    let (port, other_port) = (elsewhere.port(), other_host.port());
    let targets = [
        (format!("http://127.0.0.1:{port}/x?y=z"), "127.0.0.1"),
        (format!("http://127.0.0.2:{other_port}/"), "127.0.0.2"),
        (format!("https://127.0.0.1:{port}/"), "127.0.0.1"),
        (format!("http://someone:password@127.0.0.1:{port}/"), "127.0.0.1"),
        (format!("//127.0.0.2:{other_port}/"), "127.0.0.2"),
        ("/api/query/again".to_owned(), "127.0.0.1"),
    ];
    for status in ["301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent"] {
        for (target, host) in &targets {
            let server = Recorder::start(&[reply(status, &format!("Location: {target}\r\n"), "")]);
            let home = credentials(Home::new().with("MP_BASE_URL", &server.base_url()));
            let arguments: &[&str] = if status.starts_with("307") { &["fetch", "profiles"] } else { &["auth", "test"] };
            let run = home.run(arguments).exits(1).prints_nothing();
            let run = assert_run!(run.says(&[&format!("to {host}")]), format!("{status} {host}"));
            for hidden in ["someone", "password", "/x", "y=z", "again"] {
                assert!(!run.stderr.contains(hidden), "{target}: {}", run.stderr);
            }
            assert_eq!(server.end().len(), 1, "{status} {target}");
            elsewhere.check();
            other_host.check();
        }
    }
}

#[test]
fn a09_a_redirect_to_nowhere_is_not_followed_either() {
    for location in ["Location: \r\n", "Location: http://[\r\n", "Location: javascript:x\r\n", "X: y\r\n"] {
        let server = Recorder::start(&[reply("302 Found", location, "")]);
        let home = credentials(Home::new().with("MP_BASE_URL", &server.base_url()));
        assert_run!(home.run(&["auth", "test"]).exits(1).prints_nothing(), location);
        assert_eq!(server.end().len(), 1, "{location}");
    }
}

fn through_proxy(variable: &str, url: &str) -> crate::support::Run {
    let run = credentials(Home::new()).with(variable, url).run(&["auth", "test", "-vvv"]).exits(1).prints_nothing();
    assert!(!run.stderr.contains(PROXY_PASSWORD), "{}", run.stderr);
    run.says(&["cannot connect to mixpanel.com"])
}

fn check_is_connect_alone(heard: &[u8]) {
    let text = String::from_utf8_lossy(heard);
    assert!(text.starts_with("CONNECT mixpanel.com:443 HTTP/1.1\r\n"), "{text}");
    assert_eq!(text.to_ascii_lowercase().matches("\r\nauthorization:").count(), 0, "{text}");
    check_no_secret(&text);
    for hidden in [USERNAME, "/api/", PROJECT] {
        assert!(!text.contains(hidden), "{text}");
    }
}

#[test]
fn a11_proxy_receives_only_connect_requests() {
    let tunnel = b"HTTP/1.1 200 Connection established\r\n\r\n".to_vec();
    // Failed connections are retried, which takes a while.
    std::thread::scope(|scope| {
        for variable in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"] {
            // The second proxy opens a tunnel, but no TLS server is behind it.
            for answer in [reply("407 Proxy Authentication Required", "", ""), tunnel.clone()] {
                scope.spawn(move || {
                    let proxy = Recorder::start(&[answer]);
                    through_proxy(variable, &format!("http://someone:{PROXY_PASSWORD}@{}", proxy.address()));
                    let heard = proxy.end();
                    assert!(!heard.is_empty(), "{variable} is honoured");
                    heard.iter().for_each(|heard| check_is_connect_alone(heard));
                });
            }
        }
    });
}

#[test]
fn a11_a_proxy_that_plays_mixpanel_gets_no_secret() {
    // The tunnel skips the TLS handshake and responds in plain text.
    let plain = reply("200 OK", "Content-Type: application/json\r\n", "[]");
    let proxy = Recorder::start(&[b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), plain]);
    through_proxy("HTTPS_PROXY", &format!("http://{}", proxy.address()));
    proxy.end().iter().for_each(|heard| check_is_connect_alone(heard));
}

#[test]
fn a11_proxies_of_other_kinds_get_nothing() {
    // A proxy for plain HTTP does not apply, and the other one does not speak SOCKS, so Mixpanel cannot be reached.
    let plain = ForbiddenListener::listen("127.0.0.1");
    let socks = Recorder::start(&[]);
    let home = credentials(Home::new())
        .with("http_proxy", &format!("http://someone:{PROXY_PASSWORD}@127.0.0.1:{}", plain.port()))
        .with("HTTPS_PROXY", &format!("socks5://someone:{PROXY_PASSWORD}@{}", socks.address()));
    let run = home.run(&["auth", "test", "-vvv"]).exits(1).prints_nothing();
    assert!(!run.stderr.contains(PROXY_PASSWORD), "{}", run.stderr);
    socks.end().iter().for_each(|heard| check_no_secret(&String::from_utf8_lossy(heard)));
    plain.check();
}

#[test]
fn a11_loopback_requests_bypass_the_proxy() {
    let simulator = Simulator::start(SimulatorConfig::default());
    let proxy = ForbiddenListener::listen("127.0.0.1");
    let url = format!("http://127.0.0.1:{}", proxy.port());
    let home = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"]
        .into_iter()
        .fold(Home::new().with_server(&simulator), |home, variable| home.with(variable, &url));
    home.run(&["auth", "test"]).exits(0);
    home.run(&["fetch", "profiles", "-q"]).exits(0);
    proxy.check();
}

/// P15: no command connects to anything but the server.
#[cfg(target_os = "linux")]
#[test]
fn a11_only_the_server_is_contacted() {
    let simulator = Simulator::with_faults(300, &["pages=1 status=503 times=1"]);
    let home = Home::new().with_server(&simulator);
    let port = simulator.base_url().rsplit(':').next().map(str::to_owned).expect("a port");
    let is_server = |call: &String| call.contains(&format!("htons({port})")) && call.contains("\"127.0.0.1\"");
    for arguments in [&["fetch", "profiles", "--parallel"][..], &["fetch", "profiles", "--replace"], &["auth", "test"]]
    {
        let Some((run, reached)) = super::tools::run_watched(&home, &home.command(arguments)) else { return };
        run.exits(0);
        assert!(!reached.is_empty(), "the server was reached");
        assert!(reached.iter().all(is_server), "{reached:#?}");
    }
    let offline = [
        &["query", "sql", "SELECT count(*) FROM profiles"][..],
        &["query", "sql", "SELECT * FROM read_parquet('https://example.org/x.parquet')"],
        &["query", "sql", "INSTALL httpfs"],
        &["query", "sql", "LOAD spatial"],
        &["query", "sql", "SELECT * FROM read_csv('s3://bucket/x.csv')"],
        &["query", "sql", "ATTACH 'postgres:host=example.org' AS p"],
        // These would load extensions automatically.
        &["query", "sql", "SELECT * FROM iceberg_scan('x')"],
        &["query", "sql", "SELECT now() AT TIME ZONE 'Europe/Berlin', 'ü' COLLATE NOCASE = 'Ü'"],
        &["query", "sql", "SELECT json_structure(properties) FROM profiles"],
        &["inspect", "tables"],
        &["inspect", "sample", "-t", "profiles"],
        &["auth", "list"],
        &["--version"],
        &["completions", "bash"],
        &["inspect", "drop", "-t", "profiles", "--force"],
    ];
    for arguments in offline {
        let Some((_, reached)) = super::tools::run_watched(&home, &home.command(arguments)) else { return };
        assert!(reached.is_empty(), "{arguments:?}: {reached:#?}");
    }
}
