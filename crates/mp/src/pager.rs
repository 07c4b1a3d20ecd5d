//! Shows long output in the program that PAGER names, as `gh` and `git` do.

use std::io::{self, Write as _};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGINT, SIGQUIT};

use crate::ctrl_c::ForAnother;

/// The options of `less` unless LESS is set: quit if the text fits on the screen, show colors, and keep the text on the
/// screen.
const LESS_OPTIONS: &str = "FRX";

/// The exit code of a shell that cannot find a program.
const NOT_FOUND: i32 = 127;

/// A pager and its environment.
#[derive(Debug, Clone)]
pub(crate) struct Pager {
    /// A shell command line.
    pub(crate) command: String,
    /// Whether the user has set options for `less`.
    pub(crate) has_less_options: bool,
}

/// Whether the pager has shown the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paged {
    Yes,
    /// There is no such program.
    No,
}

impl Pager {
    /// Shows a text and waits until the user closes the pager. A pager that ends early, or is killed, is no error.
    pub(crate) fn show(&self, text: &str) -> io::Result<Paged> {
        // Ctrl-C is for the pager; otherwise, it would end this process and leave the terminal to two programs.
        let _for_pager = ForAnother::begin();
        for signal in [SIGINT, SIGQUIT] {
            let _default = signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)));
        }
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", &self.command]).stdin(Stdio::piped()).env_remove("MP_SECRET");
        if !self.has_less_options {
            shell.env("LESS", LESS_OPTIONS);
        }
        let mut pager = shell.spawn()?;
        if let Some(mut input) = pager.stdin.take() {
            let _closed_early = input.write_all(text.as_bytes());
        }
        let status = pager.wait()?;
        Ok(if status.code() == Some(NOT_FOUND) { Paged::No } else { Paged::Yes })
    }
}
