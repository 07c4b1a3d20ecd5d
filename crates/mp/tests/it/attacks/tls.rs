//! A10: impostor servers and outdated protocols. The servers are `openssl s_server`.

use std::io::{BufRead as _, BufReader, Lines};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use super::tools::{Recorder, everything_below, has_program};
use crate::snapshot::assert_run;
use crate::support::{CANARY, Home, PROJECT, Run, USERNAME, check_no_secret};

/// A certificate authority in a directory.
struct Authority(tempfile::TempDir);

/// The names in a certificate and its validity in days.
const GOOD: (&str, &str) = ("IP:127.0.0.1,DNS:localhost", "2");
const EXPIRED: (&str, &str) = ("IP:127.0.0.1,DNS:localhost", "-1");
const FOR_ANOTHER_HOST: (&str, &str) = ("IP:127.0.0.2,DNS:mixpanel.com", "2");

impl Authority {
    fn new() -> Self {
        let authority = Self(tempfile::tempdir().expect("a temporary directory"));
        let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout"];
        let root = ["req", "-x509", "-days", "2", "-subj", "/CN=Root", "-out", "root.pem"];
        authority.openssl(&[&root[..], &key, &["root.key"]].concat());
        let request = ["req", "-subj", "/CN=127.0.0.1", "-out", "server.csr"];
        authority.openssl(&[&request[..], &key, &["server.key"]].concat());
        authority
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn openssl(&self, arguments: &[&str]) {
        let output = Command::new("openssl").args(arguments).current_dir(self.0.path()).output().expect("openssl runs");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Starts a server with a certificate signed by this authority. It serves a web page.
    fn serve(&self, (names, days): (&str, &str)) -> Server {
        std::fs::write(self.path("names"), format!("subjectAltName={names}\n")).expect("a file");
        let sign = ["x509", "-req", "-in", "server.csr", "-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial"];
        self.openssl(&[&sign[..], &["-out", "server.pem", "-extfile", "names", "-days", days]].concat());
        let arguments = ["s_server", "-accept", "127.0.0.1:0", "-www", "-cert", "server.pem", "-key", "server.key"];
        let mut command = Command::new("openssl");
        command.args(arguments).current_dir(self.0.path()).stdin(Stdio::null()).stderr(Stdio::null());
        let mut process = command.stdout(Stdio::piped()).spawn().expect("openssl runs");
        let mut words = BufReader::new(process.stdout.take().expect("a pipe")).lines();
        let port = words.find_map(|line| line.expect("a line").strip_prefix("ACCEPT 127.0.0.1:")?.parse().ok());
        Server { process, port: port.expect("it listens"), _words: words }
    }
}

struct Server {
    process: Child,
    port: u16,
    /// Kept open, because the server exits if its output is closed.
    _words: Lines<BufReader<ChildStdout>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _gone = self.process.wait();
    }
}

fn home(port: u16) -> Home {
    Home::new()
        .with("MP_BASE_URL", &format!("https://127.0.0.1:{port}"))
        .with("MP_USERNAME", USERNAME)
        .with("MP_SECRET", CANARY)
        .with("MP_PROJECT_ID", PROJECT)
        .with("MP_REGION", "us")
}

fn test(home: &Home) -> Run {
    home.run(&["auth", "test", "-v"]).exits(1).prints_nothing()
}

fn trusting(authority: &Authority, port: u16) -> Home {
    home(port).with("SSL_CERT_FILE", &authority.path("root.pem").display().to_string())
}

#[test]
fn a10_expired_or_mismatched_certificates_are_refused() {
    if !has_program("openssl") {
        return;
    }
    let authority = Authority::new();
    let [good, expired, other] = [GOOD, EXPIRED, FOR_ANOTHER_HOST].map(|certificate| authority.serve(certificate));
    // With a good certificate, the page is received, so the failures below are due to the certificate.
    assert_run!(test(&trusting(&authority, good.port)).without_log());
    // The same certificate is rejected without its authority.
    let run = assert_run!(test(&home(good.port)).without_log());
    assert!(!run.stderr.contains("a server is running"), "{}", run.stderr);
    assert_run!(test(&trusting(&authority, expired.port)).without_log());
    assert_run!(test(&trusting(&authority, other.port)).without_log());
    // An invalid certificate is not retried.
    let begun = std::time::Instant::now();
    let fetch = ["fetch", "profiles", "-q"];
    assert_run!(home(good.port).run(&fetch).exits(1).prints_nothing());
    assert!(begun.elapsed() < std::time::Duration::from_secs(20));
}

/// An error in a file of trusted authorities names the variable and the file.
#[test]
fn a10_certificate_files_that_cannot_be_used_are_named() {
    let server = Recorder::start(&[]);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = |name: &str| directory.path().join(name).display().to_string();
    std::fs::create_dir(path("empty")).expect("a directory");
    std::fs::write(path("nothing.pem"), "").expect("a file");
    std::fs::write(path("words.pem"), "no certificate\n").expect("a file");
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    std::fs::write(path("broken.pem"), broken).expect("a file");
    std::fs::write(path("torn.pem"), &broken[..40]).expect("a file");
    let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    std::fs::write(path("key.pem"), key).expect("a file");
    std::fs::create_dir(path("keys")).expect("a directory");
    std::fs::write(path("keys/key.pem"), key).expect("a file");
    for (variable, name) in [
        ("SSL_CERT_FILE", "missing.pem"),
        ("SSL_CERT_FILE", "empty"),
        ("SSL_CERT_FILE", "nothing.pem"),
        ("SSL_CERT_FILE", "words.pem"),
        ("SSL_CERT_FILE", "broken.pem"),
        ("SSL_CERT_FILE", "torn.pem"),
        ("SSL_CERT_FILE", "key.pem"),
        ("SSL_CERT_DIR", "keys"),
        ("SSL_CERT_DIR", "missing"),
        ("SSL_CERT_DIR", "empty"),
    ] {
        let home = home(server.address().port()).with(variable, &path(name));
        let run = assert_run!(test(&home).says(&[&path(name)]).without_log(), format!("{variable} {name}"));
        assert!(!run.stderr.contains("a server is running"), "{}", run.stderr);
    }
    assert_eq!(server.end(), Vec::<Vec<u8>>::new());
}

/// An empty variable counts as unset, and one of the two sources is enough.
#[test]
fn a10_certificate_file_or_directory_may_be_empty() {
    if !has_program("openssl") {
        return;
    }
    let authority = Authority::new();
    let server = authority.serve(GOOD);
    let [root, trusted, empty] = ["root.pem", "trusted", "empty"].map(|name| authority.path(name));
    std::fs::create_dir(&trusted).expect("a directory");
    std::fs::create_dir(&empty).expect("a directory");
    std::fs::copy(&root, trusted.join("root.pem")).expect("a copy");
    let [root, trusted, empty] = [root, trusted, empty].map(|path| path.display().to_string());
    let cases = [
        ("", "", "not trusted"),
        ("", &trusted, "trusted"),
        (&root, "", "trusted"),
        (&root, &empty, "trusted"),
        (&root, &trusted, "trusted"),
    ];
    for (file, directory, case) in cases {
        let home = home(server.port).with("SSL_CERT_FILE", file).with("SSL_CERT_DIR", directory);
        assert_run!(test(&home).without_log(), case);
    }
    let home = home(server.port).with("SSL_CERT_FILE", "");
    assert_run!(test(&home).without_log(), "not trusted");
}

/// Returns a home without certificate authorities, as in a container without the package `ca-certificates`.
#[cfg(target_os = "linux")]
fn without_authorities(home: Home) -> Home {
    home.with("SSL_CERT_FILE", "/proc/nonexistent").with("SSL_CERT_DIR", "/proc/nonexistent")
}

#[cfg(target_os = "linux")]
#[test]
fn a10_without_authorities_nothing_is_sent_and_a_hint_is_shown() {
    let server = Recorder::start(&[]);
    let run = test(&without_authorities(home(server.address().port())));
    let run = assert_run!(run);
    assert!(!run.stderr.contains("this is a bug"), "{}", run.stderr);
    assert_eq!(server.end(), Vec::<Vec<u8>>::new());
}

#[cfg(target_os = "linux")]
#[test]
fn a10_plain_http_needs_no_certificate_authority() {
    let _run = without_authorities(Home::new()).run(&["demo", "--fast", "-q"]).exits(0);
}

#[test]
fn a10_tls_session_keys_are_not_logged() {
    if !has_program("openssl") {
        return;
    }
    let authority = Authority::new();
    let server = authority.serve(GOOD);
    let home = trusting(&authority, server.port);
    let keys = home.path().join("keys.log");
    let home = home.with("SSLKEYLOGFILE", &keys.display().to_string());
    assert_run!(test(&home).without_log());
    assert!(everything_below(home.path()).iter().all(|path| *path != keys), "the keys were written down");
}

#[test]
fn a10_certificate_checks_cannot_be_turned_off() {
    for option in ["--insecure", "-k", "--no-verify", "--skip-tls-verify"] {
        assert_run!(Home::new().run(&["auth", "test", option]).exits(3).prints_nothing(), option);
    }
    if !has_program("openssl") {
        return;
    }
    let authority = Authority::new();
    let server = authority.serve(GOOD);
    let home = ["MP_INSECURE", "SSL_VERIFY_NONE", "NODE_TLS_REJECT_UNAUTHORIZED", "PYTHONHTTPSVERIFY", "CURL_INSECURE"]
        .into_iter()
        .fold(home(server.port), |home, variable| home.with(variable, "0"));
    assert_run!(test(&home).without_log());
}

/// Returns a TLS `ServerHello` that selects this version.
fn hello(version: u8) -> Vec<u8> {
    let mut body = vec![3, version];
    body.extend([7; 32]);
    // No session, AES-128-CBC with SHA as in old versions, no compression.
    body.extend([0, 0xc0, 0x13, 0]);
    let length = u8::try_from(body.len()).expect("it is short");
    [&[0x16, 3, version, 0, length + 4, 2, 0, 0, length][..], &body].concat()
}

#[test]
fn a10_old_protocols_and_plain_text_are_refused() {
    let answers = [("TLS 1.0", hello(1)), ("TLS 1.1", hello(2)), ("plain", b"HTTP/1.1 200 OK\r\n\r\n[]".to_vec())];
    std::thread::scope(|scope| {
        for (case, answer) in answers {
            scope.spawn(move || {
                let server = Recorder::start(&[answer]);
                assert_run!(test(&home(server.address().port())).without_log(), case);
                for heard in server.end() {
                    assert_eq!(heard[0], 0x16, "a greeting comes first");
                    check_no_secret(&String::from_utf8_lossy(&heard));
                    // At most an alert follows the `ClientHello`.
                    let greeting = 5 + usize::from(u16::from_be_bytes([heard[3], heard[4]]));
                    let rest = &heard[greeting..];
                    assert!(rest.is_empty() || (rest[0] == 0x15 && rest.len() == 7), "{rest:?}");
                }
            });
        }
    });
}
