//! Logging for `--verbose`, on standard error.
//!
//! Only this project's crates log: an HTTP library would log headers, and credentials with them.

use std::io;

use mixpanel_data::EVENT_TARGET;
use tracing::Level;
use tracing_subscriber::filter::{FilterFn, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::output::Output;
use crate::text::indented;

/// Installs the logger.
pub(crate) fn install(output: &Output) {
    let targets = Targets::new()
        .with_target("mixpanel_data", Level::DEBUG)
        .with_target("mixpanel_simulator", Level::DEBUG)
        .with_target("mp", Level::DEBUG);
    // Warnings that are also fetch events are already shown as warnings.
    let not_shown_already = FilterFn::new(|event| *event.level() != Level::WARN || event.target() != EVENT_TARGET);
    let layer = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_timer(tracing_subscriber::fmt::time::uptime())
        .with_writer(LogWriter(output.clone()))
        .with_filter(targets)
        .with_filter(not_shown_already);
    // `install` is called once, so this cannot fail.
    let _first = tracing_subscriber::registry().with(layer).try_init();
}

/// Writes log lines above the progress bar.
struct LogWriter(Output);

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(&self.0)
    }
}

/// A log line, which the subscriber writes in one call.
struct Line<'a>(&'a Output);

impl io::Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.words(&format!("{}\n", indented(&String::from_utf8_lossy(bytes), 4)));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
