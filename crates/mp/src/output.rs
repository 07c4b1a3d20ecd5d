//! Writes data to standard output and messages to standard error. Applies `--quiet`, colors and escaping.

use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::sync::{Arc, Mutex, PoisonError};

use anstyle::{AnsiColor, Style};
use indicatif::{MultiProgress, ProgressDrawTarget};

use crate::env::Environment;
use crate::failure::{Failure, Label};
use crate::pager::{Paged, Pager};
use crate::streams::{Stderr, Stdout};
use crate::terminal::draw_target;
use crate::text::{indented, is_unprintable};

/// The ANSI sequences in tables.
const STYLE_DIM: &str = "\u{1b}[2m";
const STYLE_RESET: &str = "\u{1b}[0m";

/// The output of the command. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Output {
    quiet: bool,
    silent: bool,
    formulas: Formulas,
    colour: bool,
    stdout_is_terminal: bool,
    stderr_is_terminal: bool,
    width: u16,
    height: u16,
    styles_tables: bool,
    pager: Option<Pager>,
    jq: Option<String>,
    /// Where data goes instead of standard output.
    file: Option<Arc<File>>,
    bars: MultiProgress,
    /// Where notes and warnings go instead of standard error.
    messages: Option<Messages>,
}

/// How control characters are escaped on a terminal. Elsewhere, data is written unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Escape {
    /// As in JSON strings: `\u001b`.
    Json,
    /// As `\u{1b}`.
    Text,
}

/// How CSV output treats text that a spreadsheet would read as a formula.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Formulas {
    /// Written unchanged.
    Kept,
    /// Prefixed with `'`.
    Escaped,
}

impl Output {
    /// Creates the output. What it shows depends on the options and on which streams are terminals.
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
            height: Environment::terminal_height(),
            styles_tables: io::stdout().is_terminal() && !environment.no_color && !environment.dumb_terminal,
            pager: environment.pager.clone(),
            jq: None,
            file: None,
            bars: MultiProgress::with_draw_target(target),
            messages: None,
        }
    }

    /// Creates an output that shows nothing and collects the notes and warnings.
    pub(crate) fn collecting(environment: &Environment, messages: &Messages) -> Self {
        Self { quiet: false, messages: Some(messages.clone()), ..Self::new(environment, true) }
    }

    #[must_use]
    pub(crate) fn with_formulas(self, formulas: Formulas) -> Self {
        Self { formulas, ..self }
    }

    /// Sets the filter through which JSON is written.
    #[must_use]
    pub(crate) fn with_jq(self, jq: Option<String>) -> Self {
        Self { jq, ..self }
    }

    /// Returns a copy that writes data to a file, unchanged, as to a pipe.
    pub(crate) fn redirected_to(&self, file: Arc<File>) -> Self {
        Self { file: Some(file), stdout_is_terminal: false, styles_tables: false, pager: None, ..self.clone() }
    }

    /// Returns the filter of `--jq`.
    pub(crate) fn jq(&self) -> Option<&str> {
        self.jq.as_deref()
    }

    /// Returns a copy without notes and warnings, for steps whose messages were already shown.
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

    /// Returns whether tables may contain ANSI styles.
    pub(crate) fn styles_tables(&self) -> bool {
        self.styles_tables
    }

    pub(crate) fn stderr_is_terminal(&self) -> bool {
        self.stderr_is_terminal
    }

    /// Returns the progress bars on standard error; messages appear above them.
    pub(crate) fn bars(&self) -> &MultiProgress {
        &self.bars
    }

    /// Shows a note, unless `--quiet` is given.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            self.labelled("note:", Label::Note, text);
        }
    }

    /// Shows a warning.
    pub(crate) fn warning(&self, text: &str) {
        if !self.silent {
            self.labelled("warning:", Label::Warning, text);
        }
    }

    /// Shows a hint.
    pub(crate) fn hint(&self, text: &str) {
        self.labelled("hint:", Label::Hint, text);
    }

    /// Shows a line of progress, unless `--quiet` is given.
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

    /// Prints help text that already contains ANSI styles.
    pub(crate) fn styled_help(&self, text: &str) -> Result<(), Failure> {
        Stdout.write_all(text.as_bytes()).map_err(|error| write_failure(&error))
    }

    fn labelled(&self, label: &str, kind: Label, text: &str) {
        if let Some(messages) = &self.messages {
            return messages.add(kind, text);
        }
        self.words(&format!("{} {}\n", self.styled(label, kind), indented(text, 2)));
    }

    /// Writes to standard error, above the bars. Write errors are ignored.
    pub(crate) fn words(&self, text: &str) {
        self.bars.suspend(|| {
            // The lock keeps the output of concurrent threads from interleaving.
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

    /// Shows a table whose cells are already escaped for a terminal. If it is longer than the screen, it is shown by the
    /// pager, if there is one.
    pub(crate) fn show(&self, table: &str) -> Result<(), Failure> {
        let is_long = self.stdout_is_terminal && table.lines().count() >= usize::from(self.height);
        if let Some(pager) = self.pager.as_ref().filter(|_| is_long) {
            // Not every pager shows styles.
            let plain = table.replace(STYLE_DIM, "").replace(STYLE_RESET, "");
            let paged = pager.show(&plain).map_err(|error| Failure::io("could not start PAGER", &error))?;
            if paged == Paged::Yes {
                return Ok(());
            }
        }
        let mut data = Data { escape: None, ..self.data(Escape::Text) };
        data.text(table)?;
        data.finish()
    }

    /// Opens standard output, or the file in its place, for data. Call [`Data::finish`] at the end.
    pub(crate) fn data(&self, escape: Escape) -> Data {
        let sink = self.file.clone().map_or(Sink::Stdout, Sink::File);
        Data { out: BufWriter::with_capacity(64 << 10, sink), escape: self.stdout_is_terminal.then_some(escape) }
    }
}

/// Notes and warnings, each of them once. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Messages(Arc<Mutex<Vec<(Label, String)>>>);

impl Messages {
    fn add(&self, label: Label, text: &str) {
        let mut messages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let message = (label, indented(text, 0));
        if !messages.contains(&message) {
            messages.push(message);
        }
    }

    /// Returns the messages with this label.
    pub(crate) fn of(&self, label: Label) -> Vec<String> {
        let messages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        messages.iter().filter(|(own, _)| *own == label).map(|(_, text)| text.clone()).collect()
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

/// Where data goes.
#[derive(Debug)]
enum Sink {
    Stdout,
    File(Arc<File>),
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout => Stdout.write(bytes),
            Self::File(file) => file.as_ref().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Buffered output for data.
#[derive(Debug)]
pub(crate) struct Data {
    out: BufWriter<Sink>,
    escape: Option<Escape>,
}

impl Data {
    /// Writes text unchanged, or escaped for a terminal.
    pub(crate) fn text(&mut self, text: &str) -> Result<(), Failure> {
        let result = match self.escape {
            Some(escape) if text.contains(needs_escape) => self.out.write_all(escaped(text, escape).as_bytes()),
            _ => self.out.write_all(text.as_bytes()),
        };
        result.map_err(|error| self.write_failure(&error))
    }

    /// Writes text and a line end.
    pub(crate) fn line(&mut self, text: &str) -> Result<(), Failure> {
        self.text(text)?;
        self.text("\n")
    }

    /// Flushes the buffer.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        self.out.flush().map_err(|error| self.write_failure(&error))
    }

    /// Flushes the buffer and ends the output.
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        self.flush()
    }

    fn write_failure(&self, error: &io::Error) -> Failure {
        match self.out.get_ref() {
            Sink::File(_) => Failure::io("could not write the file", error),
            Sink::Stdout => write_failure(error),
        }
    }
}

/// Returns whether a character must be escaped on a terminal. Line ends and tabs are layout: the formats handle those
/// inside values.
fn needs_escape(character: char) -> bool {
    is_unprintable(character) && !matches!(character, '\n' | '\t')
}

fn escaped(text: &str, escape: Escape) -> String {
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match escape {
            _ if !needs_escape(character) => shown.push(character),
            Escape::Text => shown.extend(character.escape_default()),
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
        return Failure::closed_pipe();
    }
    Failure::io("could not write to standard output", error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_output_is_escaped_for_its_format() {
        assert_eq!(escaped("a\u{9b}\u{202e}b\n", Escape::Json), "a\\u009b\\u202eb\n");
        assert_eq!(escaped("a\u{1b}[0m", Escape::Text), "a\\u{1b}[0m");
    }
}
