//! The command as a process that runs in parallel with the test.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Home, Run};

/// Starts the command, and returns once standard error has a line that starts with `first`.
pub(crate) fn start(home: &Home, arguments: &[&str], first: &str) -> (Child, BufReader<std::process::ChildStderr>) {
    let mut command = home.command(arguments);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut line = String::new();
    while !line.starts_with(first) {
        line.clear();
        assert!(stderr.read_line(&mut line).expect("a line") > 0, "it ended without {first:?}");
    }
    (child, stderr)
}

/// Sends a signal to the process.
pub(crate) fn send(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("a process number")).expect("not zero");
    kill_process(pid, signal).expect("it lives");
}

/// Waits for the process to end and collects the rest of its output.
pub(crate) fn end(child: Child, mut stderr: BufReader<std::process::ChildStderr>) -> Run {
    let mut words = Vec::new();
    stderr.read_to_end(&mut words).expect("words");
    let mut output = child.wait_with_output().expect("it ends");
    output.stderr = words;
    Run::new(output)
}

/// Returns whether this process ignores the signal, as in the background of a script; children inherit that.
pub(crate) fn is_ignored(signal: Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let set = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
    set.is_some_and(|set| set & (1 << (signal.as_raw() - 1)) != 0)
}
