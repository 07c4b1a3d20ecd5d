//! Puts the state of a fetch on the screen.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use mixpanel_data::FetchEvent;
use tokio::time::MissedTickBehavior;

use super::state::State;
use crate::output::Output;

const REFRESH: Duration = Duration::from_millis(100);

/// Whether progress is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    Yes,
    No,
}

/// The progress of one fetch. Warnings are shown whether or not progress is.
#[derive(Debug, Clone)]
pub(crate) struct Progress {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug)]
struct Shared {
    output: Output,
    /// Where the profiles go, as words.
    target: String,
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
    /// Begins to show progress towards `target`.
    pub(crate) fn begin(output: &Output, target: impl Into<String>, shown: Shown) -> Self {
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
        let shared = Shared { output: output.clone(), target: target.into(), state: State::default(), view };
        Self { shared: Arc::new(Mutex::new(shared)) }
    }

    /// Returns what is to be called with every event.
    pub(crate) fn listener(&self) -> impl FnMut(&FetchEvent) + Send + 'static + use<> {
        let progress = self.clone();
        move |event| progress.lock().apply(event, Instant::now())
    }

    /// Waits for `work` and keeps the bar moving meanwhile; then the bar goes.
    pub(crate) async fn watch<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        let mut ticks = tokio::time::interval(REFRESH);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let result = loop {
            tokio::select! {
                result = &mut work => break result,
                _ = ticks.tick() => self.lock().refresh(Instant::now()),
            }
        };
        self.lock().end();
        result
    }

    /// Returns why pages failed.
    pub(crate) fn failures(&self) -> Vec<(u32, String)> {
        self.lock().state.failures().to_vec()
    }

    /// A panic elsewhere left words behind at worst.
    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn apply(&mut self, event: &FetchEvent, now: Instant) {
        self.state.apply(event, now);
        if let FetchEvent::Warning(text) = event {
            self.output.warning(text);
        }
        match self.view {
            View::Nothing => {}
            View::Lines => {
                if let Some(line) = self.state.line(&self.target, event) {
                    self.output.progress_line(&line);
                }
            }
            View::Bar { .. } => self.refresh(now),
        }
    }

    fn refresh(&mut self, now: Instant) {
        let View::Bar { bar, knows_total } = &mut self.view else { return };
        bar.set_message(self.state.status(&self.target, now));
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

fn bar_style(output: &Output) -> ProgressStyle {
    let bar = if output.colour() { "{bar:12.cyan/dim} {wide_msg}" } else { "{bar:12} {wide_msg}" };
    ProgressStyle::with_template(bar).expect("the template is a constant").progress_chars("━╸─")
}

fn spinner(output: &Output) -> ProgressStyle {
    let spinner = if output.colour() { "{spinner:.cyan} {wide_msg}" } else { "{spinner} {wide_msg}" };
    ProgressStyle::with_template(spinner).expect("the template is a constant")
}
