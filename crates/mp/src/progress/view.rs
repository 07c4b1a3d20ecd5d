//! Displays the state of a fetch on standard error.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use mixpanel_data::FetchEvent;
use tokio::time::MissedTickBehavior;

use super::state::{State, Timestamps, announcement};
use crate::output::Output;

const REFRESH: Duration = Duration::from_millis(100);

/// A pause between attempts that is longer than this is shown as a wait.
const LONG_PAUSE: Duration = Duration::from_secs(10);

/// Whether to show progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    Yes,
    No,
}

/// The progress of one fetch. Warnings are shown even if progress is hidden.
#[derive(Debug, Clone)]
pub(crate) struct Progress {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug)]
struct Shared {
    output: Output,
    state: State,
    view: View,
}

#[derive(Debug)]
enum View {
    Nothing,
    Lines,
    Bar { bar: ProgressBar, knows_total: bool },
}

impl Progress {
    /// Starts to show the progress of a fetch into `target`.
    pub(crate) fn begin(output: &Output, target: impl Into<String>, shown: Shown) -> Self {
        Self::begin_with(output, target, shown, 0)
    }

    /// Starts to show the progress of a fetch into `target`, with `pages` pages already on disk.
    pub(crate) fn begin_with(output: &Output, target: impl Into<String>, shown: Shown, pages: u32) -> Self {
        let view = match shown {
            _ if output.is_quiet() => View::Nothing,
            Shown::No => View::Nothing,
            Shown::Yes if output.stderr_is_terminal() => {
                let bar = output.bars().add(ProgressBar::new_spinner());
                bar.set_style(spinner(output));
                View::Bar { bar, knows_total: false }
            }
            Shown::Yes => View::Lines,
        };
        let shared = Shared { output: output.clone(), state: State::new(target.into(), pages), view };
        Self { shared: Arc::new(Mutex::new(shared)) }
    }

    /// Returns the callback for the events of the fetch.
    pub(crate) fn listener(&self) -> impl FnMut(&FetchEvent) + Send + 'static + use<> {
        let progress = self.clone();
        move |event| progress.lock().apply(event, &Timestamps::now())
    }

    /// Waits for `work` while refreshing the bar. The bar is removed when this future completes or is dropped.
    pub(crate) async fn watch<T>(&self, work: impl Future<Output = T>) -> T {
        let _end = End(self);
        let mut work = std::pin::pin!(work);
        let mut ticks = tokio::time::interval(REFRESH);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                result = &mut work => return result,
                _ = ticks.tick() => self.lock().refresh(Instant::now()),
            }
        }
    }

    /// Returns whether the load has begun and is not waiting for another process.
    pub(crate) fn is_loading(&self) -> bool {
        self.lock().state.is_loading()
    }

    /// Returns the number of pages on disk.
    pub(crate) fn on_disk(&self) -> u32 {
        self.lock().state.on_disk()
    }

    /// Returns the failed pages with the reasons.
    pub(crate) fn failures(&self) -> Vec<(u32, String)> {
        self.lock().state.failures().to_vec()
    }

    /// Ignores poisoning: at worst, a panic in another thread leaves outdated text behind.
    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes the bar when dropped.
struct End<'a>(&'a Progress);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.lock().end();
    }
}

impl Shared {
    fn apply(&mut self, event: &FetchEvent, now: &Timestamps) {
        let line = self.state.apply(event, now);
        if let FetchEvent::Warning(warning) = event {
            self.output.warning(&warning.to_string());
        }
        if let Some(text) = announcement(event) {
            self.output.note(&text);
        }
        match (&self.view, line) {
            (View::Lines, Some(line)) => self.output.progress_line(&line),
            // Waits are announced even if progress is hidden; otherwise the command would seem to hang.
            (View::Nothing, Some(line)) if is_wait(event) => {
                self.output.note(&line);
            }
            // The library logs retries itself.
            (_, Some(line)) if !matches!(event, FetchEvent::Retry { .. }) => tracing::debug!("{line}"),
            _ => {}
        }
        self.refresh(now.at);
    }

    fn refresh(&mut self, now: Instant) {
        let View::Bar { bar, knows_total } = &mut self.view else { return };
        bar.set_message(self.state.status(now));
        let Some(total) = self.state.total_pages() else { return bar.tick() };
        if !*knows_total {
            bar.set_style(bar_style(&self.output));
            *knows_total = true;
        }
        let pages = self.state.pages();
        bar.update(|state| {
            state.set_len(u64::from(total.max(pages)));
            state.set_pos(u64::from(pages));
        });
    }

    fn end(&mut self) {
        if let View::Bar { bar, .. } = &self.view {
            bar.finish_and_clear();
        }
        self.view = View::Nothing;
    }
}

/// Returns whether an event is a wait to announce even if progress is hidden. Short pauses between attempts are not.
fn is_wait(event: &FetchEvent) -> bool {
    match event {
        FetchEvent::Waiting { .. } | FetchEvent::Resumed => true,
        FetchEvent::Retry { pause, .. } => *pause > LONG_PAUSE,
        _ => false,
    }
}

fn bar_style(output: &Output) -> ProgressStyle {
    let bar = if output.colour() { "{bar:12.cyan/dim} {wide_msg}" } else { "{bar:12} {wide_msg}" };
    ProgressStyle::with_template(bar).expect("the template is a constant").progress_chars("━╸─")
}

fn spinner(output: &Output) -> ProgressStyle {
    let spinner = if output.colour() { "{spinner:.cyan} {wide_msg}" } else { "{spinner} {wide_msg}" };
    ProgressStyle::with_template(spinner).expect("the template is a constant")
}
