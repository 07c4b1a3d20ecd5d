//! Proxies: a setting is used or rejected, never ignored, and errors of a proxy are attributed to it.

use std::os::unix::ffi::OsStrExt as _;

use mixpanel_simulator::SimulatorConfig;

use super::tools::{ForbiddenListener, Recorder, reply, run_watched};
use crate::snapshot::assert_run;
use crate::support::{CANARY, Home, PROJECT, Simulator, USERNAME, check_no_secret};

const PASSWORD: &str = "PROXY-CANARY-8h2";

fn home() -> Home {
    Home::new()
        .with("MP_USERNAME", USERNAME)
        .with("MP_SECRET", CANARY)
        .with("MP_PROJECT_ID", PROJECT)
        .with("MP_REGION", "us")
}

/// Runs the command with a setting that it must reject without a connection or a name lookup.
fn check_refused(variable: &str, command: std::process::Command, home: &Home) {
    let Some((run, reached)) = run_watched(home, &command) else { return };
    let run = run.exits(3).prints_nothing().says(&[variable, "hint: set "]);
    for hidden in ["CANARY", "proxy-host", "someone"] {
        assert!(!run.stderr.contains(hidden), "{}", run.stderr);
    }
    assert!(reached.is_empty(), "{reached:#?}");
}

#[test]
fn a_setting_that_cannot_be_used_is_refused_before_anything_is_sent() {
    let values: [&[u8]; 12] = [
        b"http://someone:CANARY@proxy-host:3128 ",
        b"http://proxy-host:3128\r",
        b"\"http://proxy-host:3128\"",
        b"'http://proxy-host:3128'",
        b"htp://proxy-host:3128",
        b"socks4://proxy-host:1080",
        b"http://someone:CAN@ARY@proxy-host:3128",
        b"http://someone:CAN/ARY@proxy-host:3128",
        b"http://proxy-host:70000",
        b"http://:3128",
        b"http://proxy-\xff:3128",
        b"http://[]:3128",
    ];
    let commands: [&[&str]; 4] = [
        &["auth", "test", "-vvv"],
        &["fetch", "profiles", "-vvv"],
        &["fetch", "profiles", "--plan"],
        &["fetch", "profiles", "--stdout"],
    ];
    std::thread::scope(|scope| {
        for (index, value) in values.into_iter().enumerate() {
            let variable = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"][index % 4];
            scope.spawn(move || {
                let home = home();
                let mut command = home.command(commands[index / 4 % 4]);
                command.env(variable, std::ffi::OsStr::from_bytes(value));
                check_refused(variable, command, &home);
            });
        }
        scope.spawn(|| {
            let home = home().with("HTTPS_PROXY", "http://proxy-host:1").with("https_proxy", "http://proxy-host:2");
            check_refused("https_proxy", home.command(&["fetch", "profiles", "--stdout"]), &home);
        });
        scope.spawn(|| {
            let home = home().with("HTTPS_PROXY", "http://proxy-host:1").with("NO_PROXY", "x");
            let home = home.with("no_proxy", "mixpanel.com");
            check_refused("NO_PROXY", home.command(&["auth", "test"]), &home);
        });
    });
}

#[test]
fn a_server_on_this_machine_needs_no_usable_proxy() {
    let simulator = Simulator::start(SimulatorConfig::default());
    Home::new().with_server(&simulator).with("HTTPS_PROXY", "no proxy ").run(&["auth", "test"]).exits(0);
}

/// A proxy that sends `answer`, and the expected number of connections.
struct Case {
    name: &'static str,
    answer: Vec<u8>,
    login: bool,
    connections: usize,
}

#[test]
fn proxy_failures_are_attributed_to_the_proxy() {
    let case = |name, answer: &[u8], login, connections| Case { name, answer: answer.to_vec(), login, connections };
    let cases = [
        case("407", &reply("407 Proxy Authentication Required", "", ""), false, 1),
        case("407 with a password", &reply("407 Proxy Authentication Required", "", ""), true, 1),
        // The HTTP client does not report the status, so the connection is tried once more.
        case("403", &reply("403 Forbidden", "", "no"), true, 2),
        case("502", &reply("502 Bad Gateway", "", ""), false, 8),
        case("504", &reply("504 Gateway Timeout", "", ""), false, 8),
        case("SSH", b"SSH-2.0-OpenSSH_9.6\r\n\r\n", false, 8),
        // The tunnel is established and then cut during the TLS handshake.
        case("cut", b"HTTP/1.1 200 OK\r\n\r\n", false, 4),
    ];
    std::thread::scope(|scope| {
        for case in &cases {
            scope.spawn(move || {
                let proxy = Recorder::start(std::slice::from_ref(&case.answer));
                let login = if case.login { format!("someone:{PASSWORD}@") } else { String::new() };
                let home = home().with("HTTPS_PROXY", &format!("http://{login}{}", proxy.address()));
                // In a CGI program, only HTTP_PROXY is ignored.
                let home = home.with("REQUEST_METHOD", "GET");
                let run = home.run(&["auth", "test", "-vvv"]).exits(1).prints_nothing();
                let run = run.says(&[&proxy.address().to_string()]);
                assert_run!(run.without_log(), case.name);
                assert!(!run.stderr.contains(PASSWORD) && !run.stderr.contains("someone"), "{}", run.stderr);
                let heard = proxy.end();
                assert_eq!(heard.len(), case.connections, "{}", case.name);
                heard.iter().for_each(|heard| check_no_secret(&String::from_utf8_lossy(heard)));
            });
        }
    });
}

#[test]
fn an_unreachable_proxy_is_named() {
    std::thread::scope(|scope| {
        for proxy in ["127.0.0.1:1", "proxy.invalid:3128"] {
            scope.spawn(move || {
                let home = home().with("HTTPS_PROXY", &format!("http://someone:{PASSWORD}@{proxy}"));
                let run = home.run(&["fetch", "profiles", "-q", "--max-wait", "1s"]).exits(1).prints_nothing();
                let run = assert_run!(run, proxy);
                assert!(!run.stderr.contains(PASSWORD), "{}", run.stderr);
            });
        }
    });
}

#[test]
fn no_proxy_hosts_are_reached_directly() {
    let proxy = ForbiddenListener::listen("127.0.0.1");
    let home =
        home().with("HTTPS_PROXY", &format!("http://127.0.0.1:{}", proxy.port())).with("NO_PROXY", "mixpanel.com");
    let run = home.run(&["fetch", "profiles", "-q", "--max-wait", "1s"]).prints_nothing();
    assert!(!run.stderr.contains("proxy 127.0.0.1"), "{}", run.stderr);
    proxy.check();
}

#[test]
fn a_socks_proxy_gets_the_name_of_the_host_and_no_secret() {
    let done = [&[5, 0, 0, 1][..], &[0; 6]].concat();
    let denied = [&[5, 2, 0, 1][..], &[0; 6]].concat();
    let cases = [
        ("cut", "socks5h://", vec![vec![5, 0], done]),
        ("denied", "socks5h://", vec![vec![5, 0], denied]),
        ("password", "socks5h://someone:PROXY-CANARY-8h2@", vec![vec![5, 2], vec![1, 1]]),
        ("HTTP", "socks5h://", vec![b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()]),
    ];
    std::thread::scope(|scope| {
        for (case, scheme, answers) in cases {
            scope.spawn(move || {
                let proxy = Recorder::start(&answers);
                let home = home().with("ALL_PROXY", &format!("{scheme}{}", proxy.address()));
                let run = home.run(&["auth", "test", "-vvv"]).exits(1).prints_nothing();
                assert_run!(run.without_log(), case);
                assert!(!run.stderr.contains(PASSWORD), "{}", run.stderr);
                let heard = proxy.end();
                assert!(!heard.is_empty());
                for heard in heard {
                    check_no_secret(&String::from_utf8_lossy(&heard));
                    if answers[0] == [5, 0] {
                        assert!(heard.windows(12).any(|part| part == b"mixpanel.com"), "{heard:?}");
                    }
                }
            });
        }
    });
}

#[test]
fn unresolvable_host_behind_a_socks5_proxy_is_reported() {
    let proxy = Recorder::start(&[vec![5, 0], vec![5, 1, 0, 1]]);
    let home = home().with("HTTPS_PROXY", &format!("socks5://{}", proxy.address()));
    let run = home.run(&["auth", "test", "--max-wait", "1s"]).exits(1).prints_nothing();
    // If the name can be resolved, the proxy receives an address.
    if proxy.end().is_empty() {
        assert_run!(run, "unknown name");
    }
}
