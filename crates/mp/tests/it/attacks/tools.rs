//! What attacks are made with: servers that are no Mixpanel, programs that watch, processes that can be looked into.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crate::support::{Home, Run};

/// A reply that ends the connection.
pub(crate) fn reply(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}").into_bytes()
}

/// A server that notes every byte it gets. To each thing it is told it answers with the next of its replies, and after
/// the last one it only listens.
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

    /// Returns what came, connection by connection. Call it when the command has ended.
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
    // A peer that goes away without a word has said all it wanted to.
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

/// A listener that nobody may connect to.
pub(crate) struct Untouched(TcpListener);

impl Untouched {
    pub(crate) fn listen(host: &str) -> Self {
        let listener = TcpListener::bind((host, 0)).expect("a port");
        listener.set_nonblocking(true).expect("a socket option");
        Self(listener)
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.local_addr().expect("an address").port()
    }

    /// Call it when the command has ended.
    pub(crate) fn check(&self) {
        assert!(self.0.accept().is_err(), "somebody connected to port {}", self.port());
    }
}

/// Says whether a program is there. Where it is not, the test is skipped with a note; in CI it fails.
pub(crate) fn has_program(name: &str) -> bool {
    let found = ["/usr/bin", "/bin", "/usr/local/bin", "/usr/sbin", "/opt/homebrew/bin"]
        .iter()
        .any(|directory| Path::new(directory).join(name).is_file());
    skip_unless(found, &format!("`{name}` is not installed"))
}

/// Says whether this is root, who alone can do what some tests need.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Says whether the test goes on. A test that does not says why, and fails in CI.
pub(crate) fn skip_unless(possible: bool, reason: &str) -> bool {
    if !possible {
        assert!(std::env::var_os("CI").is_none(), "{reason}, and CI needs it");
        let _unseen = writeln!(std::io::stderr(), "skipped: {reason}");
    }
    possible
}

/// The same command, started by another program. What stands for it there is `"$0" "$@"` for a shell, or nothing.
pub(crate) fn started_by(launcher: &[&str], command: &Command) -> Command {
    let mut outer = Command::new(launcher[0]);
    outer.args(&launcher[1..]).arg(command.get_program()).args(command.get_args()).env_clear().stdin(Stdio::null());
    outer.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    outer.current_dir(command.get_current_dir().expect("tests choose one"));
    outer
}

/// Runs a command to its end.
pub(crate) fn finish(mut command: Command) -> Run {
    Run::new(command.output().expect("it runs"))
}

/// A command under way, from the moment that it has shown a line of its progress.
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

    /// Waits for a line of its words that begins like this.
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

    /// Waits for the end; returns how it went, and all that was said since.
    pub(crate) fn end(mut self) -> (std::process::ExitStatus, Run) {
        let mut words = Vec::new();
        self.stderr.read_to_end(&mut words).expect("words");
        let mut output = self.child.wait_with_output().expect("it ends");
        output.stderr = words;
        (output.status, Run::new(output))
    }
}

/// Every file and directory below a home, but for the ledger of the quota, which every call that sends something may make.
pub(crate) fn all_but_state(home: &Path) -> Vec<PathBuf> {
    let state = home.join(".mp/state");
    let mut found = everything_below(home);
    found.retain(|path| !path.starts_with(&state));
    if state.exists() && std::fs::read_dir(home.join(".mp")).expect("a directory").count() == 1 {
        found.retain(|path| *path != home.join(".mp"));
    }
    found
}

/// Everything below a directory, without links followed.
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

/// Runs a command and says which addresses of the network it or a child of it tried to reach; `None` where that cannot
/// be watched.
pub(crate) fn run_watched(home: &Home, command: &Command) -> Option<(Run, Vec<String>)> {
    if !has_program("strace") || !skip_unless(is_root(), "only root can watch a process that hides its memory") {
        return None;
    }
    let log = home.path().join("strace.log");
    let log_name = log.display().to_string();
    let calls = "trace=connect,sendto,sendmsg,sendmmsg";
    let run = finish(started_by(&["strace", "-f", "-qq", "-e", calls, "-e", "signal=none", "-o", &log_name], command));
    let log = std::fs::read_to_string(log).expect("a log of system calls");
    // A number in place of an address: it could not be read.
    let is_network =
        |line: &&str| line.contains("sa_family=AF_INET") || line.contains("connect(") && line.contains(", 0x");
    let reached = log.lines().filter(is_network).map(str::to_owned).collect();
    Some((run, reached))
}
