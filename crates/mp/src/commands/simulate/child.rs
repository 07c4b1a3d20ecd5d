//! Runs the command of `mp simulate -- COMMAND`.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, getpgrp, kill_process, waitid};
use rustix::termios::tcgetpgrp;
use tokio::signal::unix::{SignalKind, signal};

use crate::env::{MP_ACCOUNT, MP_CONFIG_PATH, MP_DB};
use crate::failure::{Exit, Failure};
use crate::signals::{INTERRUPT, QUIT, Signals};
use crate::text::shell_quoted;

/// Exit codes of shells, `env` and `timeout` for a command that cannot be run.
const NOT_EXECUTABLE: u8 = 126;
const NOT_FOUND: u8 = 127;

/// Variables that would select another account or database than those of the simulated project.
const HIDDEN: [&str; 3] = [MP_ACCOUNT, MP_CONFIG_PATH, MP_DB];

/// Runs a command with these variables until it ends, and returns its exit code. It inherits the standard streams.
///
/// Signals are passed on to the command, so this process never ends before it.
pub(super) async fn run(words: &[OsString], variables: &[(&str, String)]) -> Result<Exit, Failure> {
    let (program, arguments) = words.split_first().expect("the caller checks that there is a command");
    let mut signals = Signals::open_all()?;
    // If SIGCHLD is ignored, as it may have been inherited, the system discards exit codes. A handler prevents that.
    let _handled = signal(SignalKind::child()).map_err(|error| waiting_failed(&error))?;
    let mut command = Command::new(program);
    command.args(arguments).envs(variables.iter().map(|(name, value)| (name, value)));
    for name in HIDDEN {
        command.env_remove(name);
    }
    let mut child = command.spawn().map_err(|error| cannot_run(program, words.len() == 1, &error))?;
    let pid = Pid::from_child(&child);
    let mut ended = tokio::task::spawn_blocking(move || wait_for_end(pid));
    loop {
        tokio::select! {
            // The process still has its number, so a signal cannot reach another process that was given the same one.
            number = signals.next() => pass_on(pid, number),
            result = &mut ended => {
                result.map_err(io::Error::from).flatten().map_err(|error| waiting_failed(&error))?;
                break;
            }
        }
    }
    child.wait().map(exit_of).map_err(|error| waiting_failed(&error))
}

/// Waits until the process has ended, without releasing its number.
fn wait_for_end(pid: Pid) -> io::Result<()> {
    loop {
        match waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
            Err(Errno::INTR) => {}
            result => return result.map(drop).map_err(io::Error::from),
        }
    }
}

/// Passes a signal on to the command. Ctrl-C and Ctrl-\ reach it by themselves if both are in the terminal's foreground,
/// and a second one may have another effect.
fn pass_on(pid: Pid, number: u8) {
    if matches!(number, INTERRUPT | QUIT) && is_in_foreground() {
        return;
    }
    if let Some(signal) = Signal::from_named_raw(number.into()) {
        // It can only fail if the command has changed its user; it then ends by itself.
        let _not_permitted = kill_process(pid, signal);
    }
}

/// Returns whether this process belongs to the foreground process group of its terminal.
fn is_in_foreground() -> bool {
    let foreground = File::open("/dev/tty").and_then(|terminal| Ok(tcgetpgrp(terminal)?));
    foreground.is_ok_and(|group| group == getpgrp())
}

fn exit_of(status: ExitStatus) -> Exit {
    let number = |number: i32| u8::try_from(number).unwrap_or(1);
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Command(number(code)),
        (None, Some(signal)) => Exit::Signal(number(signal)),
        (None, None) => Exit::Failure,
    }
}

fn cannot_run(program: &OsStr, is_alone: bool, error: &io::Error) -> Failure {
    let shown = program.to_string_lossy();
    let failure = Failure::new(format!("cannot run `{shown}`")).caused_by(error);
    if error.kind() != io::ErrorKind::NotFound {
        return failure
            .exit(Exit::Command(NOT_EXECUTABLE))
            .hint("check that it is a program, and that you have the permission to execute it");
    }
    let failure = failure.exit(Exit::Command(NOT_FOUND));
    if is_alone && shown.contains(char::is_whitespace) {
        return failure.hint(format!(
            "give the command and its arguments as separate words, or use a shell: mp simulate -- sh -c {}",
            shell_quoted(&shown)
        ));
    }
    if shown.contains('/') {
        return failure.hint("check the path; in a script, also that of the interpreter in its first line");
    }
    failure.hint("check the spelling, and that the directory of the program is in PATH")
}

fn waiting_failed(error: &io::Error) -> Failure {
    Failure::new("could not wait for the command").caused_by(error)
}
