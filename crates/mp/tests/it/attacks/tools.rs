//! Tools for attacks: hostile servers, tracing, and inspection of running processes.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crate::support::{Home, Run};

/// Returns a response that closes the connection.
pub(crate) fn reply(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}").into_bytes()
}

/// A server that records every byte it receives. It responds to each read with its next reply, and only reads after the
/// last one.
pub(crate) struct Recorder {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    connections: JoinHandle<Vec<Vec<u8>>>,
}

impl Recorder {
    pub(crate) fn start(replies: &[Vec<u8>]) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let stop = Arc::new(AtomicBool::new(false));
        let (replies, stopped) = (replies.to_vec(), Arc::clone(&stop));
        let connections = std::thread::spawn(move || {
            let mut talks = Vec::new();
            for connection in listener.incoming() {
                let connection = connection.expect("a connection");
                if stopped.load(Ordering::SeqCst) {
                    break;
                }
                let replies = replies.clone();
                talks.push(std::thread::spawn(move || talk(connection, &replies)));
            }
            talks.into_iter().map(|talk| talk.join().expect("a talk")).collect()
        });
        Self { address, stop, connections }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the bytes received, by connection. Call it after the command has ended.
    pub(crate) fn end(self) -> Vec<Vec<u8>> {
        self.stop.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
        self.connections.join().expect("the server")
    }
}

fn talk(mut connection: TcpStream, replies: &[Vec<u8>]) -> Vec<u8> {
    let mut heard = Vec::new();
    let mut replies = replies.iter();
    let mut part = [0; 16 << 10];
    // A connection reset ends the recording like a regular close.
    while let Ok(length @ 1..) = connection.read(&mut part) {
        heard.extend_from_slice(&part[..length]);
        if let Some(reply) = replies.next() {
            let _gone = connection.write_all(reply);
        }
        if replies.len() == 0 {
            let _gone = connection.shutdown(Shutdown::Write);
        }
    }
    heard
}

/// A listener that must not receive a connection.
pub(crate) struct ForbiddenListener(TcpListener);

impl ForbiddenListener {
    pub(crate) fn listen(host: &str) -> Self {
        let listener = TcpListener::bind((host, 0)).expect("a port");
        listener.set_nonblocking(true).expect("a socket option");
        Self(listener)
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.local_addr().expect("an address").port()
    }

    /// Checks that there was no connection. Call it after the command has ended.
    pub(crate) fn check(&self) {
        assert!(self.0.accept().is_err(), "a connection to port {}", self.port());
    }
}

/// Returns whether a program is installed. If not, the test is skipped with a note; in CI it fails.
pub(crate) fn has_program(name: &str) -> bool {
    let found = ["/usr/bin", "/bin", "/usr/local/bin", "/usr/sbin", "/opt/homebrew/bin"]
        .iter()
        .any(|directory| Path::new(directory).join(name).is_file());
    skip_unless(found, &format!("`{name}` is not installed"))
}

/// Returns whether the tests run as root, which some of them require.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Returns whether the test can run. If not, shows the reason, and fails in CI.
pub(crate) fn skip_unless(possible: bool, reason: &str) -> bool {
    if !possible {
        assert!(std::env::var_os("CI").is_none(), "{reason}, and CI needs it");
        let _unseen = writeln!(std::io::stderr(), "skipped: {reason}");
    }
    possible
}

/// Returns the same command started by another program, which receives it as its last arguments: `"$0" "$@"` in a
/// shell.
pub(crate) fn started_by(launcher: &[&str], command: &Command) -> Command {
    let mut outer = Command::new(launcher[0]);
    outer.args(&launcher[1..]).arg(command.get_program()).args(command.get_args()).env_clear().stdin(Stdio::null());
    outer.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    outer.current_dir(command.get_current_dir().expect("tests choose one"));
    outer
}

/// Runs a command and waits for it to end.
pub(crate) fn finish(mut command: Command) -> Run {
    Run::new(command.output().expect("it runs"))
}

/// A running command that has shown a given line.
pub(crate) struct Running {
    child: Child,
    stderr: BufReader<ChildStderr>,
}

impl Running {
    pub(crate) fn until(mut command: Command, line_start: &str) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        let mut running = Self { child, stderr };
        running.wait_for(line_start);
        running
    }

    /// Waits for a line on standard error that starts with `line_start`.
    pub(crate) fn wait_for(&mut self, line_start: &str) {
        let mut line = String::new();
        while !line.starts_with(line_start) {
            line.clear();
            assert!(self.stderr.read_line(&mut line).expect("a line") > 0, "it ended without {line_start:?}");
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn send(&self, signal: rustix::process::Signal) {
        let id = i32::try_from(self.id()).ok().and_then(rustix::process::Pid::from_raw).expect("a process number");
        rustix::process::kill_process(id, signal).expect("it lives");
    }

    /// Waits for the end; returns the exit status and the rest of the output.
    pub(crate) fn end(mut self) -> (std::process::ExitStatus, Run) {
        let mut words = Vec::new();
        self.stderr.read_to_end(&mut words).expect("words");
        let mut output = self.child.wait_with_output().expect("it ends");
        output.stderr = words;
        (output.status, Run::new(output))
    }
}

/// Returns every file and directory below a home except the quota ledger, which any command that sends a request may
/// create.
pub(crate) fn all_but_state(home: &Path) -> Vec<PathBuf> {
    let state = home.join(".mp/state");
    let mut found = everything_below(home);
    found.retain(|path| !path.starts_with(&state));
    if state.exists() && std::fs::read_dir(home.join(".mp")).expect("a directory").count() == 1 {
        found.retain(|path| *path != home.join(".mp"));
    }
    found
}

/// Returns everything below a directory, without following links.
pub(crate) fn everything_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(&directory).expect("a directory") {
            let entry = entry.expect("an entry");
            if entry.file_type().expect("its type").is_dir() {
                directories.push(entry.path());
            }
            found.push(entry.path());
        }
    }
    found
}

pub(crate) fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).expect("it exists").permissions().mode() & 0o7777
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("permissions");
}

/// Runs a command and returns the network addresses that it or its children tried to reach; `None` if it cannot be
/// traced.
pub(crate) fn run_watched(home: &Home, command: &Command) -> Option<(Run, Vec<String>)> {
    if !has_program("strace") || !skip_unless(is_root(), "only root can watch a process that hides its memory") {
        return None;
    }
    let log = home.path().join("strace.log");
    let log_name = log.display().to_string();
    let calls = "trace=connect,sendto,sendmsg,sendmmsg";
    let run = finish(started_by(&["strace", "-f", "-qq", "-e", calls, "-e", "signal=none", "-o", &log_name], command));
    let log = std::fs::read_to_string(log).expect("a log of system calls");
    // strace prints a number instead of an address that it could not read.
    let is_network =
        |line: &&str| line.contains("sa_family=AF_INET") || line.contains("connect(") && line.contains(", 0x");
    let reached = log.lines().filter(is_network).map(str::to_owned).collect();
    Some((run, reached))
}
