//! Data to standard output, words to standard error. What is shown, and how, is decided here once.

use std::fmt;
use std::io::{self, BufWriter, IsTerminal as _, Write as _};

use anstyle::{AnsiColor, Style};
use indicatif::{MultiProgress, ProgressDrawTarget};

use crate::env::Environment;
use crate::failure::{Failure, Label};
use crate::streams::{Stderr, Stdout};
use crate::terminal::draw_target;
use crate::text::{indented, is_unprintable};

/// Where everything that the command says goes through. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Output {
    quiet: bool,
    silent: bool,
    formulas: Formulas,
    colour: bool,
    stdout_is_terminal: bool,
    stderr_is_terminal: bool,
    width: u16,
    bars: MultiProgress,
}

/// How characters that could disturb a terminal are written to one. Elsewhere data are exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Escape {
    /// As JSON strings have them: `\u001b`.
    Json,
    /// As `\u{1b}`.
    Text,
}

/// What becomes of texts that a spreadsheet would take for a formula, in CSV.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Formulas {
    /// They are written as they are.
    Kept,
    /// They get a `'` before them.
    Defused,
}

impl Output {
    /// Decides, from the options and what the streams are.
    pub(crate) fn new(environment: &Environment, quiet: bool) -> Self {
        let stderr_is_terminal = io::stderr().is_terminal() && !environment.dumb_terminal;
        let target = if stderr_is_terminal && !quiet { draw_target() } else { ProgressDrawTarget::hidden() };
        Self {
            quiet,
            silent: false,
            formulas: Formulas::Kept,
            colour: stderr_is_terminal && !environment.no_color,
            stdout_is_terminal: io::stdout().is_terminal(),
            stderr_is_terminal,
            width: environment.terminal_width(),
            bars: MultiProgress::with_draw_target(target),
        }
    }

    #[must_use]
    pub(crate) fn with_formulas(self, formulas: Formulas) -> Self {
        Self { formulas, ..self }
    }

    /// The same, for what has been said already: neither notes nor warnings are shown.
    pub(crate) fn silent(&self) -> Self {
        Self { quiet: true, silent: true, ..self.clone() }
    }

    pub(crate) fn formulas(&self) -> Formulas {
        self.formulas
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    pub(crate) fn colour(&self) -> bool {
        self.colour
    }

    pub(crate) fn stdout_is_terminal(&self) -> bool {
        self.stdout_is_terminal
    }

    /// Returns the width of the terminal, in columns.
    pub(crate) fn width(&self) -> u16 {
        self.width
    }

    pub(crate) fn stderr_is_terminal(&self) -> bool {
        self.stderr_is_terminal
    }

    /// The bars on standard error; words appear above them.
    pub(crate) fn bars(&self) -> &MultiProgress {
        &self.bars
    }

    /// Shows something worth knowing, unless the user wants quiet.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            self.labelled("note:", Label::Note, text);
        }
    }

    /// Shows something that needs attention.
    pub(crate) fn warning(&self, text: &str) {
        if !self.silent {
            self.labelled("warning:", Label::Warning, text);
        }
    }

    /// Shows what to do.
    pub(crate) fn hint(&self, text: &str) {
        self.labelled("hint:", Label::Hint, text);
    }

    /// Shows a line of progress.
    pub(crate) fn progress_line(&self, text: &str) {
        if !self.quiet {
            self.words(&format!("{}\n", indented(text, 2)));
        }
    }

    /// Shows why the command failed.
    pub(crate) fn failure(&self, failure: &Failure) {
        if !failure.is_silent() {
            self.words(&failure.render(|text, label| self.styled(text, label)));
        }
    }

    /// Prints a help text with its colours to a terminal.
    pub(crate) fn styled_help(&self, text: &str) -> Result<(), Failure> {
        Stdout.write_all(text.as_bytes()).map_err(|error| write_failure(&error))
    }

    fn labelled(&self, label: &str, kind: Label, text: &str) {
        self.words(&format!("{} {}\n", self.styled(label, kind), indented(text, 2)));
    }

    /// Writes to standard error, above the bars. A closed standard error is nobody's concern.
    pub(crate) fn words(&self, text: &str) {
        self.bars.suspend(|| {
            // `std`'s lock keeps the words of one thread together.
            let _together = io::stderr().lock();
            let _closed = Stderr.write_all(text.as_bytes());
        });
    }

    fn styled(&self, text: &str, label: Label) -> String {
        if !self.colour {
            return text.to_owned();
        }
        let style = match label {
            Label::Error => Style::new().bold().fg_color(Some(AnsiColor::Red.into())),
            Label::Warning => Style::new().bold().fg_color(Some(AnsiColor::Yellow.into())),
            Label::Hint => Style::new().bold().fg_color(Some(AnsiColor::Cyan.into())),
            Label::Cause | Label::Note => Style::new().bold(),
        };
        format!("{style}{text}{style:#}")
    }

    /// Opens standard output for data. End with [`Data::finish`].
    pub(crate) fn data(&self, escape: Escape) -> Data {
        Data { out: BufWriter::with_capacity(64 << 10, Stdout), escape: self.stdout_is_terminal.then_some(escape) }
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Output")
            .field("quiet", &self.quiet)
            .field("colour", &self.colour)
            .finish_non_exhaustive()
    }
}

/// Standard output while data is written to it.
#[derive(Debug)]
pub(crate) struct Data {
    out: BufWriter<Stdout>,
    escape: Option<Escape>,
}

impl Data {
    /// Writes a text as it is, or escaped for a terminal.
    pub(crate) fn text(&mut self, text: &str) -> Result<(), Failure> {
        let result = match self.escape {
            Some(escape) if text.contains(disturbs) => self.out.write_all(escaped(text, escape).as_bytes()),
            _ => self.out.write_all(text.as_bytes()),
        };
        result.map_err(|error| write_failure(&error))
    }

    /// Writes a text and a line end.
    pub(crate) fn line(&mut self, text: &str) -> Result<(), Failure> {
        self.text(text)?;
        self.text("\n")
    }

    /// Writes what is left in memory.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        self.out.flush().map_err(|error| write_failure(&error))
    }

    /// Writes what is left in memory, for the last time.
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        self.flush()
    }
}

/// Line ends and tabs are layout here; a cell's or a string's own ones are dealt with by the formats.
fn disturbs(character: char) -> bool {
    is_unprintable(character) && !matches!(character, '\n' | '\t')
}

fn escaped(text: &str, escape: Escape) -> String {
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match escape {
            _ if !disturbs(character) => shown.push(character),
            Escape::Text => shown.extend(character.escape_unicode()),
            Escape::Json => {
                let mut units = [0; 2];
                for unit in character.encode_utf16(&mut units) {
                    shown.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    shown
}

fn write_failure(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Failure::reader_gone();
    }
    Failure::io("could not write to standard output", error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_gets_is_escaped_in_the_language_of_the_format() {
        assert_eq!(escaped("a\u{9b}\u{202e}b\n", Escape::Json), "a\\u009b\\u202eb\n");
        assert_eq!(escaped("a\u{1b}[0m", Escape::Text), "a\\u{1b}[0m");
    }
}
