//! Test support: a home directory, a simulated Mixpanel, and checks of the command's output.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use mixpanel_simulator::{SentPage, Server, SimulatorConfig};
use serde_json::Value;
use tempfile::TempDir;

use crate::conservation;
use crate::program::MP;

/// The secret in all tests. No output may contain it in any form. Some of its characters are escaped in URLs.
pub(crate) const CANARY: &str = "CANARY-Zq7/never+show&this";
pub(crate) const USERNAME: &str = "sa.canary";
pub(crate) const PROJECT: &str = "12345";

/// The home directory of a user who has never run the command.
pub(crate) struct Home {
    directory: TempDir,
    variables: Vec<(String, String)>,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self { directory: TempDir::new().expect("a temporary directory"), variables: Vec::new() }
    }

    /// Adds an environment variable.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds environment variables for the credentials and this server.
    pub(crate) fn with_server(self, simulator: &Simulator) -> Self {
        self.with("MP_BASE_URL", &simulator.base_url())
            .with("MP_USERNAME", USERNAME)
            .with("MP_SECRET", CANARY)
            .with("MP_PROJECT_ID", PROJECT)
            .with("MP_REGION", "us")
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.path().join(".mp/accounts.toml")
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.path().join(".mp/data").join(format!("{PROJECT}.db"))
    }

    /// Writes a config file with mode 0600.
    pub(crate) fn write_config(&self, text: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let config = self.config();
        std::fs::create_dir_all(config.parent().expect("it has a directory")).expect("a directory");
        std::fs::write(&config, text).expect("a config file");
        std::fs::set_permissions(&config, std::fs::Permissions::from_mode(0o600)).expect("its permissions");
    }

    /// Returns the command with an empty environment except for the library path of DuckDB and the test's own
    /// variables.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&MP);
        command
            .env_clear()
            .env("HOME", self.path())
            .env("TMPDIR", self.path())
            .env("TERM", "xterm")
            .env("COLUMNS", "80");
        for name in ["LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.args(arguments).current_dir(self.path()).stdin(Stdio::null());
        command
    }

    /// Runs the command and waits for it to end.
    #[must_use = "look at the exit code, at least"]
    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        let run = Run::of(assert_cmd::Command::from_std(self.command(arguments))).called(arguments);
        self.check_conservation(arguments, &run);
        run
    }

    /// After a successful fetch, compares the table with what the server sent.
    fn check_conservation(&self, arguments: &[&str], run: &Run) {
        let is_fetch =
            arguments.contains(&"fetch") && ["profiles", "resume"].iter().any(|name| arguments.contains(name));
        let is_partial = arguments.iter().any(|argument| ["--plan", "--help", "--limit"].contains(argument));
        if !is_fetch || run.code != Some(0) || is_partial {
            return;
        }
        let option = |name: &str| arguments.iter().skip_while(|argument| **argument != name).nth(1).copied();
        let variable =
            |name: &str| self.variables.iter().rev().find(|(of, _)| of == name).map(|(_, value)| value.as_str());
        let sent = option("--base-url").or_else(|| variable("MP_BASE_URL")).map(sent_by).unwrap_or_default();
        if arguments.contains(&"--stdout") {
            return conservation::check_stream(&run.stdout, &sent);
        }
        let named = option("--db").or_else(|| variable("MP_DATABASE")).map(|path| self.path().join(path));
        conservation::check(&named.unwrap_or_else(|| self.database()), &sent);
    }

    /// Runs a shell command line, such as one from a hint, in the environment of the command.
    #[must_use = "look at the exit code, at least"]
    pub(crate) fn shell(&self, line: &str) -> Run {
        let direct = self.command(&[]);
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", line]).env_clear().current_dir(self.path()).stdin(Stdio::null());
        shell.envs(direct.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("PATH", "/usr/bin:/bin");
        Run { command: line.to_owned(), ..Run::of(assert_cmd::Command::from_std(shell)) }
    }

    /// Runs a shell script in which `mp` is the command, also for programs that the script starts.
    #[must_use = "look at the exit code, at least"]
    pub(crate) fn shell_with_mp(&self, script: &str) -> Run {
        let bin = self.path().join(".bin");
        std::fs::create_dir_all(&bin).expect("a directory");
        let link = bin.join("mp");
        if !link.is_symlink() {
            std::os::unix::fs::symlink(&MP, &link).expect("a link");
        }
        let run = self.shell(&format!("PATH='{}':$PATH; export PATH\n{script}", bin.display()));
        Run { command: script.to_owned(), ..run }
    }

    /// Runs the command with `input` on its standard input.
    #[must_use = "look at the exit code, at least"]
    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &str) -> Run {
        let mut command = assert_cmd::Command::from_std(self.command(arguments));
        command.write_stdin(input);
        Run::of(command).called(arguments)
    }
}

impl Drop for Home {
    /// Keeps the directory of a failed test if `MP_TEST_KEEP` is set.
    fn drop(&mut self) {
        if std::thread::panicking() && std::env::var_os("MP_TEST_KEEP").is_some() {
            self.directory.disable_cleanup(true);
            let _unseen = writeln!(std::io::stderr(), "what the test has left is in {}", self.path().display());
        }
    }
}

/// The outcome of a call.
#[derive(Debug)]
pub(crate) struct Run {
    /// The command line; empty if unknown.
    pub(crate) command: String,
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    fn of(mut command: assert_cmd::Command) -> Self {
        let output = command.timeout(Duration::from_secs(120)).output().expect("the command runs");
        Self::new(output)
    }

    pub(crate) fn new(output: std::process::Output) -> Self {
        let stdout = String::from_utf8(output.stdout).expect("UTF-8");
        let stderr = String::from_utf8(output.stderr).expect("UTF-8");
        for text in [&stdout, &stderr] {
            check_no_secret(text);
            assert!(!text.contains("panicked"), "{text}");
        }
        check_numbers(&stderr);
        Self { command: String::new(), code: output.status.code(), stdout, stderr }
    }

    fn called(self, arguments: &[&str]) -> Self {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
        let quoted = arguments.iter().map(|argument| match argument.chars().all(is_plain) && !argument.is_empty() {
            true => (*argument).to_owned(),
            false => format!("{argument:?}"),
        });

        let command = std::iter::once("mp".to_owned()).chain(quoted).collect::<Vec<_>>().join(" ");
        Self { command: command.replace(CANARY, "[SECRET]"), ..self }
    }

    /// Omits the command, for several commands that must have the same output.
    pub(crate) fn of_any_command(self) -> Self {
        Self { command: String::new(), ..self }
    }

    /// Omits log lines, which begin with the time since the start.
    pub(crate) fn without_log(&self) -> Self {
        let is_log = |line: &&str| {
            let time = line.strip_prefix(' ').and_then(|line| line.trim_start().split(' ').next());
            time.and_then(|time| time.strip_suffix('s')).is_some_and(|seconds| seconds.parse::<f64>().is_ok())
        };
        let stderr = self.stderr.split_inclusive('\n').filter(|line| !is_log(line)).collect();
        Self { stderr, stdout: self.stdout.clone(), command: self.command.clone(), ..*self }
    }

    /// Replaces standard output with its number of lines, for snapshots of messages only.
    pub(crate) fn counting_lines(&self) -> Self {
        let stdout = format!("[{} lines]\n", self.stdout.lines().count());
        Self { stdout, stderr: self.stderr.clone(), command: self.command.clone(), ..*self }
    }

    /// Checks the exit code, and shows the output if it differs.
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Checks that standard error contains these texts.
    pub(crate) fn says(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(self.stderr.contains(text), "no {text:?} in:\n{}", self.stderr);
        }
        self
    }

    /// Checks that nothing went to standard output.
    pub(crate) fn prints_nothing(self) -> Self {
        assert_eq!(self.stdout, "");
        self
    }

    /// Returns the command that resumes the fetch, which must be shown exactly once, in a hint.
    pub(crate) fn resume_command(&self) -> String {
        let hints: Vec<_> = self.stderr.lines().filter(|line| line.contains(" fetch resume ")).collect();
        let [hint] = hints[..] else { panic!("not one resume command in:\n{}", self.stderr) };
        assert!(hint.starts_with("hint: "), "{hint}");
        hint.split('`').find(|part| part.contains(" fetch resume ")).expect("a command in backticks").to_owned()
    }

    /// Returns the number of lines on standard output.
    pub(crate) fn json_lines(&self) -> usize {
        self.stdout.lines().count()
    }

    /// Reads standard output as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}:\n{}", self.stdout))
    }
}

/// Checks that no plural follows the number 1.
fn check_numbers(text: &str) {
    let nouns = [
        "pages", "batches", "events", "days", "profiles", "rows", "records", "requests", "files", "bytes", "members",
        "tables", "runs",
    ];
    for noun in
        nouns.into_iter().chain(["retries", "attempts", "columns", "threads", "accounts", "are", "were rejected"])
    {
        let wrong = format!(" 1 {noun}");
        assert!(!format!(" {}", text.replace(['\n', '('], " ")).contains(&wrong), "{wrong:?} in:\n{text}");
    }
}

/// Checks that a text does not contain the secret in any form.
pub(crate) fn check_no_secret(text: &str) {
    if let Some(form) = secret_in(text.as_bytes()) {
        panic!("the secret is there, {form}:\n{text}");
    }
}

/// Returns the form in which the bytes contain the secret, if any: unchanged, percent-encoded, or in Base64 as in HTTP
/// Basic, at any offset in a group of three bytes.
pub(crate) fn secret_in(bytes: &[u8]) -> Option<&'static str> {
    let has = |form: &str| bytes.windows(form.len()).any(|window| window.eq_ignore_ascii_case(form.as_bytes()));
    if has(CANARY) {
        return Some("as it is");
    }
    let escaped: String = CANARY.bytes().fold(String::new(), |text, byte| match byte {
        b'-' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => text + &char::from(byte).to_string(),
        _ => text + &format!("%{byte:02X}"),
    });
    if has(&escaped) {
        return Some("percent-encoded");
    }
    for before in ["", "a", "ab"] {
        let encoded = STANDARD_NO_PAD.encode(format!("{before}{CANARY}"));
        // The first and last characters depend on the neighboring bytes.
        let core = &encoded[4..encoded.len() - 4];
        if has(core) || has(&core.replace('+', "-").replace('/', "_")) {
            return Some("in Base64");
        }
    }
    None
}

/// The simulated Mixpanels of this process, by their base URL.
static SERVERS: Mutex<BTreeMap<String, Arc<Mutex<Option<Server>>>>> = Mutex::new(BTreeMap::new());

/// Returns the pages that a simulated Mixpanel of this process has sent; none for any other server.
fn sent_by(base_url: &str) -> Vec<SentPage> {
    let servers = SERVERS.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(server) = servers.get(base_url.trim_end_matches('/')) else { return Vec::new() };
    server.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(Server::sent_pages).unwrap_or_default()
}

/// A simulated Mixpanel whose secret is the canary.
pub(crate) struct Simulator {
    server: Arc<Mutex<Option<Server>>>,
    runtime: tokio::runtime::Runtime,
}

impl Simulator {
    pub(crate) fn start(config: SimulatorConfig) -> Self {
        Self::start_for(USERNAME, config)
    }

    /// Starts a simulator for this service account, whose secret is the canary.
    pub(crate) fn start_for(username: &str, mut config: SimulatorConfig) -> Self {
        username.clone_into(&mut config.username);
        CANARY.clone_into(&mut config.secret);
        PROJECT.clone_into(&mut config.project_id);
        config.keep_sent = true;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let server = runtime.block_on(Server::start(config, ([127, 0, 0, 1], 0).into()));
        let server = server.expect("a server");
        let base_url = server.base_url();
        let server = Arc::new(Mutex::new(Some(server)));
        SERVERS.lock().unwrap_or_else(PoisonError::into_inner).insert(base_url, Arc::clone(&server));
        Self { server, runtime }
    }

    /// Starts a simulator with pages of 100 profiles and these faults.
    pub(crate) fn with_faults(profiles: u64, faults: &[&str]) -> Self {
        let mut config = SimulatorConfig { page_size: 100, ..SimulatorConfig::default() }.with_profiles(profiles);
        config.faults = faults.iter().map(|fault| fault.parse().expect("a fault")).collect();
        Self::start(config)
    }

    pub(crate) fn base_url(&self) -> String {
        self.server().as_ref().expect("it runs").base_url()
    }

    pub(crate) fn stats(&self) -> mixpanel_simulator::Stats {
        self.server().as_ref().expect("it runs").stats()
    }

    fn server(&self) -> MutexGuard<'_, Option<Server>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        let server = self.server().take();
        if let Some(server) = server {
            self.runtime.block_on(server.shutdown());
        }
    }
}
