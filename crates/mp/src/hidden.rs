//! Reads a line from the terminal without echo. The terminal is restored whatever ends the prompt: an answer, Ctrl-C,
//! another signal, or Ctrl-Z.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use rustix::process::{getpgrp, getsid};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use signal_hook::consts::SIGSTOP;

use crate::failure::Failure;
use crate::output::Output;
use crate::signals::{self, SUSPEND};

/// The maximum length of a line that a terminal passes on; it drops the rest.
const LINE_BYTES_MAX: usize = 4_095;

/// The prompt that is waiting for an answer, if any.
static PROMPT: Mutex<Option<Prompt>> = Mutex::new(None);

/// A prompt.
#[derive(Debug)]
enum Prompt {
    Shown,
    Hidden { terminal: File, original: Box<Termios>, question: String },
}

impl Prompt {
    /// Turns echo off and asks the question.
    fn ask(&self) -> io::Result<()> {
        let Self::Hidden { terminal, original, question } = self else { return Ok(()) };
        let mut silent = Termios::clone(original);
        silent.local_modes.remove(LocalModes::ECHO | LocalModes::ECHOE | LocalModes::ECHOK | LocalModes::ECHONL);
        tcsetattr(terminal, OptionalActions::Now, &silent)?;
        (&*terminal).write_all(question.as_bytes())
    }

    /// Restores the terminal, and ends the line of the question.
    fn close(&self) {
        if let Self::Hidden { terminal, original, .. } = self {
            let _gone = tcsetattr(terminal, OptionalActions::Now, original);
            let _gone = (&*terminal).write_all(b"\n");
        }
    }
}

fn prompt() -> MutexGuard<'static, Option<Prompt>> {
    PROMPT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Handles signals as long as a prompt is waiting: says that nothing was saved, and ends the process.
pub(crate) fn while_prompting<T>(output: &Output, ask: impl FnOnce() -> T) -> Result<T, Failure> {
    handle_signals(output)?;
    *prompt() = Some(Prompt::Shown);
    let answer = ask();
    *prompt() = None;
    Ok(answer)
}

/// Reads a line without echo. Returns it without its line end; `None` at the end of the input.
///
/// # Errors
/// There is no terminal, or it cannot be read.
pub(crate) fn read(output: &Output, question: &str) -> Result<io::Result<Option<Vec<u8>>>, Failure> {
    handle_signals(output)?;
    Ok(read_line(question))
}

fn read_line(question: &str) -> io::Result<Option<Vec<u8>>> {
    let mut terminal = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
    let original = Box::new(tcgetattr(&terminal)?);
    let hidden = Prompt::Hidden { terminal: terminal.try_clone()?, original, question: question.to_owned() };
    {
        let mut prompt = prompt();
        prompt.insert(hidden).ask()?;
    }
    let answer = read_to_line_end(&mut terminal);
    if let Some(hidden) = prompt().take() {
        hidden.close();
    }
    answer
}

fn read_to_line_end(terminal: &mut File) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let mut bytes = [0; LINE_BYTES_MAX + 1];
    loop {
        // A terminal returns one line at most, and nothing for Ctrl-D at its start.
        match terminal.read(&mut bytes) {
            Ok(0) if line.is_empty() => return Ok(None),
            Ok(count) => line.extend_from_slice(&bytes[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        if line.pop_if(|last| *last == b'\n').is_some() {
            return Ok(Some(line));
        }
    }
}

/// Returns whether a line is as long as a terminal passes on, so that its end may be missing.
pub(crate) fn may_be_cut(line: &[u8]) -> bool {
    line.len() >= LINE_BYTES_MAX
}

/// Starts handling signals, once.
fn handle_signals(output: &Output) -> Result<(), Failure> {
    static STARTED: OnceLock<()> = OnceLock::new();
    if STARTED.set(()).is_err() {
        return Ok(());
    }
    let output = output.clone();
    signals::handle_each(move |number| {
        let waiting = prompt();
        if number == SUSPEND {
            return suspend(waiting.as_ref());
        }
        if let Some(prompt) = waiting.as_ref() {
            match prompt {
                Prompt::Shown => output.words("\n"),
                Prompt::Hidden { .. } => prompt.close(),
            }
            output.failure(&Failure::new("the prompt was interrupted, so nothing was saved"));
        }
        signals::end(number);
    })
}

/// Suspends the process, unless no shell can continue it.
fn suspend(prompt: Option<&Prompt>) {
    // A shell with job control leads the session, and gives each command a group of its own.
    if getsid(None).is_ok_and(|session| session == getpgrp()) {
        return;
    }
    if let Some(prompt) = prompt {
        prompt.close();
    }
    let _stopped = signal_hook::low_level::raise(SIGSTOP);
    if let Some(prompt) = prompt {
        let _gone = prompt.ask();
    }
}
