//! A1 to A4: places where a secret could be visible.

use std::os::unix::process::ExitStatusExt as _;

use rustix::process::Signal;

use super::tools::{Recorder, Running, everything_below, has_program, reply, started_by};
use crate::program::MP;
use crate::snapshot::assert_run;
use crate::support::{CANARY, Home, PROJECT, Simulator, USERNAME, secret_in};

#[test]
fn a01_a_secret_cannot_be_an_argument() {
    let home = Home::new();
    let arguments = ["auth", "add", "prod", "-u", USERNAME, "-p", PROJECT, "--no-test"];
    let joined = format!("--secret={CANARY}");
    let stdin_value = format!("--secret-stdin={CANARY}");
    for wrong in [&["--secret", CANARY][..], &["--secret-stdin", CANARY], &[&joined], &["-s", CANARY], &[CANARY]] {
        assert_run!(home.run(&[&arguments[..], wrong].concat()).exits(3).prints_nothing());
    }
    home.run(&[&arguments[..], &[&stdin_value]].concat()).exits(3).prints_nothing();
    assert_run!(home.run(&["--secret", CANARY, "auth", "list"]).exits(3).prints_nothing());
    home.run(&["fetch", "profiles", "--secret", CANARY]).exits(3).prints_nothing();
    // Nor is there an option for a command that prints it.
    for option in ["--secret-command", "--password", "--token"] {
        home.run(&[&arguments[..], &[option, "x"]].concat()).exits(3).prints_nothing();
    }
    assert!(!home.config().exists());
}

#[test]
fn a01_secret_is_read_from_stdin_or_the_environment() {
    let home = Home::new().with("MP_SECRET", CANARY);
    home.run(&["auth", "add", "env", "-u", USERNAME, "-p", PROJECT, "--no-test"]).exits(0);
    assert!(std::fs::read_to_string(home.config()).expect("a config file").contains(CANARY));

    let home = Home::new();
    let arguments = ["auth", "add", "prod", "-u", USERNAME, "-p", PROJECT, "--no-test"];
    assert_run!(home.run(&arguments).exits(3));
    let piped = [&arguments[..], &["--secret-stdin"]].concat();
    assert_run!(home.run_with_input(&piped, "\n").exits(3));
    assert_run!(home.run_with_input(&piped, &"x".repeat(8 << 10)).exits(3));
    assert!(!home.config().exists());
    home.run_with_input(&piped, &format!("{CANARY}\r\n")).exits(0);
    assert!(std::fs::read_to_string(home.config()).expect("a config file").contains(CANARY));
}

#[cfg(target_os = "linux")]
#[test]
fn a01_a_secret_that_is_typed_is_not_echoed() {
    use std::io::{Read as _, Write as _};
    use std::process::{Command, Stdio};
    if !super::tools::has_program("script") {
        return;
    }
    let home = Home::new();
    let line = format!("tty > tty.txt; {} auth add prod -u {USERNAME} -p {PROJECT} -r us --no-test", MP);
    let direct = home.command(&[]);
    let mut command = Command::new("script");
    command.args(["--quiet", "--return", "--command", &line, "/dev/null"]).env_clear().current_dir(home.path());
    command.envs(direct.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("PATH", "/usr/bin:/bin");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut screen = child.stdout.take().expect("a pipe");
    let mut shown = Vec::new();
    while !shown.ends_with(b"Secret: ") {
        let mut byte = [0];
        screen.read_exact(&mut byte).expect("the question comes");
        shown.push(byte[0]);
    }
    // The prompt may appear shortly before echo is disabled.
    let terminal = std::fs::read_to_string(home.path().join("tty.txt")).expect("its name");
    let is_silent = || {
        let settings = Command::new("stty").args(["-a", "-F", terminal.trim()]).output().expect("stty runs");
        String::from_utf8_lossy(&settings.stdout).split_whitespace().any(|word| word == "-echo")
    };
    while !is_silent() {
        assert!(child.try_wait().expect("a state").is_none(), "it ended without waiting for the secret");
        std::thread::yield_now();
    }
    let mut keyboard = child.stdin.take().expect("a pipe");
    keyboard.write_all(format!("{CANARY}\n").as_bytes()).expect("it is typed");
    screen.read_to_end(&mut shown).expect("the rest");
    assert!(child.wait().expect("it ends").success());
    drop(keyboard);
    crate::support::check_no_secret(&String::from_utf8_lossy(&shown));
    assert!(std::fs::read_to_string(home.config()).expect("a config file").contains(CANARY));
}

#[test]
fn a02_no_log_at_any_level_shows_a_secret() {
    for filter in ["trace", "hyper=trace,h2=trace,rustls=trace,reqwest=trace,hyper_util=trace", "mp=trace"] {
        let simulator = Simulator::with_faults(300, &["pages=1 status=503 times=1"]);
        let home = Home::new().with_server(&simulator).with("RUST_LOG", filter).with("RUST_BACKTRACE", "full");
        let run = home.run(&["fetch", "profiles", "-vvvv", "--parallel"]).exits(0);
        assert!(run.stderr.contains("DEBUG"), "{}", run.stderr);
        assert!(!run.stderr.to_lowercase().contains("authorization"), "{}", run.stderr);
        home.run(&["auth", "test", "-vvvv"]).exits(0);
    }
    assert_run!(Home::new().run(&["--json-errors", "auth", "list"]).exits(3).prints_nothing());
}

#[test]
fn a02_no_file_but_the_config_file_holds_a_secret() {
    let simulator = Simulator::with_faults(300, &["pages=2 status=404"]);
    let home = Home::new().with("MP_BASE_URL", &simulator.base_url());
    let add = ["auth", "add", "prod", "-u", USERNAME, "-p", PROJECT, "--secret-stdin", "--no-test"];
    home.run_with_input(&add, CANARY).exits(0);
    home.run(&["fetch", "profiles"]).exits(1);
    home.run(&["fetch", "profiles", "--replace"]).exits(1);
    let files = everything_below(home.path());
    assert!(files.iter().any(|path| path.ends_with("manifest.json")), "the stage stays: {files:?}");
    for path in files.iter().filter(|path| path.is_file() && **path != home.config()) {
        let bytes = std::fs::read(path).expect("a file");
        assert_eq!(secret_in(&bytes), None, "{}", path.display());
    }
}

#[test]
fn a02_a_server_cannot_have_a_secret_shown() {
    // Unchanged, percent-encoded, and across the position at which long text is truncated.
    let echoes = [CANARY.to_owned(), CANARY.replace('/', "%2F").replace('+', "%2B").replace('&', "%26")];
    let basic = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(format!("{USERNAME}:{CANARY}"))
    };
    let each = |write: fn(u8) -> String| -> [String; 2] {
        [CANARY, basic.as_str()].map(|text| text.bytes().map(write).collect())
    };
    let encoded = [
        each(|byte| format!("%{byte:02x}")),
        each(|byte| format!("%25{byte:02X}")),
        each(|byte| format!("&#{byte};")),
        each(|byte| format!("&#x{byte:X};")),
        each(|byte| format!("\\u{byte:04x}")),
        each(|byte| format!("\\\\u{byte:04x}")),
        each(|byte| format!("{byte:02x}")),
        each(|byte| format!("{} ", char::from(byte))),
        [basic.trim_end_matches('=').to_owned(), basic.replace('+', "-").replace('/', "_")],
        [basic.to_lowercase(), basic.split_at(10).0.to_owned() + "\r\n" + basic.split_at(10).1],
    ];
    let cut = (276..300).step_by(4).map(|length| format!("{}{CANARY}", "x".repeat(length)));
    let all = echoes.into_iter().chain([basic.clone()]).chain(encoded.into_iter().flatten()).chain(cut);
    let all: Vec<String> = all.collect();
    std::thread::scope(|scope| {
        for part in all.chunks(8) {
            scope.spawn(move || part.iter().for_each(|echo| check_is_not_shown(echo)));
        }
    });
}

fn check_is_not_shown(echo: &str) {
    for (status, body) in [
        ("400 Bad Request", format!("{{\"error\": \"{echo}\"}}")),
        ("400 Bad Request", echo.to_owned()),
        ("400 Bad Request", format!("<html><title>{echo}</title>")),
        ("400 Bad Request", format!("{{\"message\": {{\"sent\": [\"{echo}\"]}}}}")),
    ] {
        let headers = "Content-Type: application/json\r\n";
        let server = Recorder::start(&[reply(status, headers, &body)]);
        let home = Home::new()
            .with("MP_BASE_URL", &server.base_url())
            .with("MP_USERNAME", USERNAME)
            .with("MP_SECRET", CANARY)
            .with("MP_PROJECT_ID", PROJECT)
            .with("MP_REGION", "us");
        let run = home.run(&["auth", "test", "-v"]).exits(3).prints_nothing();
        // Not even a part: the first letters would make it easier to guess.
        assert!(!run.stderr.contains("CANARY"), "{body}: {}", run.stderr);
        let start: String = echo.chars().take(24).collect();
        assert!(!run.stderr.contains(&start) || start.starts_with("xxx"), "{body}: {}", run.stderr);
        assert_eq!(server.end().len(), 1);
    }
}

/// Other parts of a response than the error text appear in messages too.
#[test]
fn a02_no_part_of_a_reply_carries_a_secret_into_a_message() {
    use base64::Engine as _;
    let basic = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(format!("{USERNAME}:{CANARY}"));
    let digits: String = CANARY.bytes().map(|byte| format!("{byte:02x}")).collect();
    let percent: String = CANARY.bytes().map(|byte| format!("%{byte:02X}")).collect();
    std::thread::scope(|scope| {
        for echo in [basic, digits, percent] {
            scope.spawn(move || check_no_part_carries(&echo));
        }
    });
}

fn check_no_part_carries(echo: &str) {
    for (status, headers, body) in [
        ("302 Found", format!("Location: http://{echo}.example.org/\r\n"), String::new()),
        ("200 OK", format!("Content-Encoding: {echo}\r\n"), "[]".to_owned()),
        ("200 OK", String::new(), format!("<html><title>{echo}</title>")),
        ("200 OK", String::new(), format!("{{\"error\": \"{echo}\"}}")),
        ("200 OK", String::new(), format!("{{\"results\": \"{echo}\"}}")),
        ("200 OK", String::new(), format!("\"{echo}\"")),
        (&format!("500 {echo}"), String::new(), echo.to_owned()),
        ("429 Too Many Requests", format!("Retry-After: {echo}\r\n"), echo.to_owned()),
    ] {
        let server = Recorder::start(&[reply(status, &headers, &body)]);
        let home = Home::new()
            .with("MP_BASE_URL", &server.base_url())
            .with("MP_USERNAME", USERNAME)
            .with("MP_SECRET", CANARY)
            .with("MP_PROJECT_ID", PROJECT)
            .with("MP_REGION", "us");
        for arguments in
            [&["auth", "test", "-vv", "--max-wait", "100ms"][..], &["fetch", "profiles", "-vv", "--max-wait", "300ms"]]
        {
            let run = home.run(arguments).prints_nothing();
            assert!(!run.stderr.to_ascii_lowercase().contains(&echo[..16].to_ascii_lowercase()), "{}", run.stderr);
        }
        drop(server.end());
    }
}

/// Starts a fetch with these limits and waits for page 0.
fn fetching(home: &Home, limits: &str) -> Running {
    let direct = home.command(&["fetch", "profiles", "--parallel", "-vv"]);
    let script = format!("{limits}; exec \"$0\" \"$@\"");
    Running::until(started_by(&["sh", "-c", &script], &direct), "page 0")
}

fn slow() -> Simulator {
    Simulator::with_faults(1_000, &["pages=5 delay=60s"])
}

#[test]
fn a03_a_crash_leaves_no_core_file() {
    let simulator = slow();
    for signal in [Signal::ABORT, Signal::QUIT, Signal::ILL, Signal::FPE] {
        let home = Home::new().with_server(&simulator).with("RUST_BACKTRACE", "full");
        let fetch = fetching(&home, "ulimit -c unlimited");
        fetch.send(signal);
        let (status, _run) = fetch.end();
        assert_eq!(status.signal(), Some(signal.as_raw()));
        assert!(!status.core_dumped(), "{signal:?}");
        let files = everything_below(home.path());
        let is_core = |name: &str| name.starts_with("core") || name.ends_with(".core");
        assert!(!files.iter().any(|path| is_core(&path.file_name().expect("a name").to_string_lossy())), "{files:?}");
        for path in files.iter().filter(|path| path.is_file()) {
            assert_eq!(secret_in(&std::fs::read(path).expect("a file")), None, "{}", path.display());
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a03_memory_is_closed_to_core_files_and_debuggers() {
    let simulator = slow();
    let home = Home::new().with_server(&simulator);
    let fetch = fetching(&home, "ulimit -c unlimited");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", fetch.id())).expect("its limits");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a limit");
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    // The files in /proc of a process that is not dumpable belong to root.
    let owner = std::fs::metadata(format!("/proc/{}/environ", fetch.id())).expect("its environment");
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&owner), 0);
    fetch.send(Signal::KILL);
    let _ended = fetch.end();
}

#[cfg(target_os = "linux")]
#[test]
fn a03_running_out_of_memory_shows_nothing() {
    if !has_program("prlimit") {
        return;
    }
    let simulator = Simulator::with_faults(1_000, &["pages=all delay=200ms"]);
    let outcomes = [100, 150, 200, 300].map(|megabytes| {
        let home = Home::new().with_server(&simulator).with("RUST_BACKTRACE", "full").with("PATH", "/usr/bin:/bin");
        let direct = home.command(&["fetch", "profiles", "--parallel", "-vv"]);
        // A limit in place from the start is rejected early, so it is set later.
        let limit = format!("prlimit --pid $! --as={}", megabytes << 20);
        let script = format!("ulimit -c unlimited; \"$0\" \"$@\" & sleep 0.2; {limit}; wait $!");
        (megabytes, started_by(&["sh", "-c", &script], &direct).output().expect("it runs"))
    });
    for (megabytes, output) in &outcomes {
        crate::support::check_no_secret(&String::from_utf8_lossy(&output.stderr));
        assert!(!output.status.core_dumped(), "{megabytes}");
    }
    assert!(outcomes.iter().any(|(_, output)| !output.status.success()), "no limit was too small");
}

#[cfg(target_os = "linux")]
#[test]
fn a04_the_process_table_does_not_show_a_secret() {
    let simulator = slow();
    let home = Home::new().with("MP_BASE_URL", &simulator.base_url());
    let add = ["auth", "add", "prod", "-u", USERNAME, "-p", PROJECT, "--secret-stdin", "--no-test"];
    home.run_with_input(&add, CANARY).exits(0);
    let fetch = fetching(&home, "true");
    let look = |file: &str| std::fs::read(format!("/proc/{}/{file}", fetch.id())).expect("it lives");
    for file in ["cmdline", "comm", "stat"] {
        assert_eq!(secret_in(&look(file)), None, "{file}");
    }
    // Only root can read the environment, and it does not contain the config file.
    match std::fs::read(format!("/proc/{}/environ", fetch.id())) {
        Ok(environment) => assert_eq!(secret_in(&environment), None),
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied),
    }
    assert!(String::from_utf8_lossy(&look("cmdline")).contains(&*MP));
    // There are no child processes that could inherit the secret.
    for task in std::fs::read_dir(format!("/proc/{}/task", fetch.id())).expect("its threads") {
        let children = std::fs::read_to_string(task.expect("a thread").path().join("children"));
        assert_eq!(children.unwrap_or_default(), "");
    }
    fetch.send(Signal::KILL);
    let _ended = fetch.end();
}
