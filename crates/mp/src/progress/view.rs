//! Displays the state of a fetch on standard error.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use console::measure_text_width;
use indicatif::{ProgressBar, ProgressStyle};
use mixpanel_data::FetchEvent;
use tokio::time::MissedTickBehavior;

use super::state::{State, Status, Timestamps, announcement};
use super::words::Records;
use crate::output::Output;
use crate::terminal;
use crate::text::wrapped;

const REFRESH: Duration = Duration::from_millis(100);

/// A pause between attempts that is longer than this is shown as a wait.
const LONG_PAUSE: Duration = Duration::from_secs(10);

/// From this number of remaining pages on, a sequential fetch is told about `--parallel`.
const PAGES_FOR_PARALLEL: u32 = 6;

/// The width of the bar on a terminal of 80 columns. On a wider one, the bar and the status share the rest equally.
const BAR_COLUMNS: usize = 12;

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
    /// Whether to mention `--parallel` once the number of pages is known.
    suggests_parallel: bool,
}

#[derive(Debug)]
enum View {
    Nothing,
    Lines,
    Bar { bar: ProgressBar, head: Option<Head> },
}

/// What precedes the status on its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Head {
    Nothing,
    Spinner,
    /// A bar with this many columns.
    Bar(usize),
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
                View::Bar { bar: output.bars().add(ProgressBar::new_spinner()), head: None }
            }
            Shown::Yes => View::Lines,
        };
        let state = State::new(target.into(), pages);
        let shared = Shared { output: output.clone(), state, view, suggests_parallel: false };
        Self { shared: Arc::new(Mutex::new(shared)) }
    }

    /// Counts events and batches instead of profiles and pages.
    pub(crate) fn of_events(self) -> Self {
        self.lock().state.count(Records::Events);
        self
    }

    /// Says that the requests are estimated, and none is sent.
    pub(crate) fn of_estimate(self) -> Self {
        self.lock().state.estimate();
        self
    }

    /// Mentions `--parallel` if many pages are fetched one at a time, and `is_wanted`.
    pub(crate) fn suggest_parallel(self, is_wanted: bool) -> Self {
        self.lock().suggests_parallel = is_wanted;
        self
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
        if let Some(text) = announcement(event, self.state.records()) {
            self.output.note(&text);
        }
        if is_slow(event, self.state.on_disk()) && std::mem::take(&mut self.suggests_parallel) {
            self.output.note(self.state.records().suggestion());
        }
        match (&self.view, line) {
            (View::Lines, Some(line)) => self.output.progress_line(&line),
            // Waits are announced even if progress is hidden; otherwise the command would seem to hang.
            (View::Nothing, Some(line)) if is_wait(event) => {
                self.output.note(&line);
            }
            // The library logs retries itself.
            (_, Some(line)) if !matches!(event, FetchEvent::Retry { .. } | FetchEvent::BatchRetry { .. }) => {
                tracing::debug!("{line}");
            }
            _ => {}
        }
        self.refresh(now.at);
    }

    fn refresh(&mut self, now: Instant) {
        let View::Bar { bar, head } = &mut self.view else { return };
        let (total, done) = (self.state.total_pages(), self.state.on_disk());
        let (new_head, message) = layout(&self.state.status(now), total.is_some(), terminal::width().into());
        // A style that is set again would be parsed again.
        if *head != Some(new_head) {
            bar.set_style(new_head.style(&self.output));
            *head = Some(new_head);
        }
        bar.set_message(message);
        match total {
            None => bar.tick(),
            Some(total) => bar.update(|state| {
                state.set_len(u64::from(total));
                state.set_pos(u64::from(done));
            }),
        }
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
        FetchEvent::Retry { pause, .. } | FetchEvent::BatchRetry { pause, .. } => *pause > LONG_PAUSE,
        _ => false,
    }
}

/// Returns whether many pages are about to be fetched one at a time. `on_disk` is the number of pages that are there.
fn is_slow(event: &FetchEvent, on_disk: u32) -> bool {
    match event {
        FetchEvent::BatchesPlanned { total_batches, workers: 1, .. } => {
            total_batches.saturating_sub(on_disk) >= PAGES_FOR_PARALLEL
        }
        FetchEvent::Planned { total_pages: Some(total), workers: 1, .. } => {
            // Page 0 has arrived when the fetch is planned.
            total.saturating_sub(on_disk.max(1)) >= PAGES_FOR_PARALLEL
        }
        _ => false,
    }
}

/// Returns how to show a status on a terminal of `width` columns: what precedes it, and its lines.
fn layout(status: &Status, knows_total: bool, width: usize) -> (Head, String) {
    let wanted = match (knows_total, width) {
        (false, _) => Head::Spinner,
        (true, 0..50) => Head::Nothing,
        (true, 50..80) => Head::Bar(8),
        (true, _) => Head::Bar(BAR_COLUMNS + (width - 80) / 2),
    };
    let room = width - wanted.columns();
    let line = status.line(room);
    let (head, line) = match measure_text_width(&line) <= room {
        true => (wanted, line),
        false => (Head::Nothing, wrapped(&status.line(width), width, 2)),
    };
    (head, status.reason(width).map_or_else(|| line.clone(), |reason| format!("{line}\n{reason}")))
}

impl Head {
    /// Returns its width, including the space after it.
    fn columns(self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Spinner => 2,
            Self::Bar(columns) => columns + 1,
        }
    }

    fn style(self, output: &Output) -> ProgressStyle {
        let template = match (self, output.colour()) {
            (Self::Nothing, _) => "{msg}".to_owned(),
            (Self::Spinner, true) => "{spinner:.cyan} {msg}".to_owned(),
            (Self::Spinner, false) => "{spinner} {msg}".to_owned(),
            (Self::Bar(columns), true) => format!("{{bar:{columns}.cyan/dim}} {{msg}}"),
            (Self::Bar(columns), false) => format!("{{bar:{columns}}} {{msg}}"),
        };
        ProgressStyle::with_template(&template).expect("the templates are valid").progress_chars("━╸─")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REASON: &str = "the server answered 429 Too Many Requests: Query rate limit exceeded for project_id: 12345. \
                          The project has exceeded the rate limit (61/60 queries running in the last hour).";

    fn waiting() -> Status {
        Status::Waiting { text: "10/30 pages, waiting 58s until 14:46:17".to_owned(), reason: REASON.to_owned() }
    }

    fn working() -> Status {
        let parts = ["1,234/9,999 pages, 1 failed", "1,234,000 profiles", "10,000/s", "14m 37s left", "12 retries"];
        Status::Working(parts.iter().zip([0, 2, 3, 1, 4]).map(|(part, rank)| (rank, (*part).to_owned())).collect())
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_and_no_reason_is_cut() {
        for width in 20..=200 {
            for knows_total in [false, true] {
                let (head, shown) = layout(&waiting(), knows_total, width);
                let widths = shown.lines().map(measure_text_width).collect::<Vec<_>>();
                assert!(head.columns() + widths[0] <= width, "{width}: {shown}");
                assert!(widths.iter().all(|columns| *columns <= width), "{width}: {shown}");
                let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
                assert!(words(&shown).ends_with(REASON), "{width}: {shown}");
                let (head, shown) = layout(&working(), knows_total, width.max(28));
                assert!(head.columns() + measure_text_width(&shown) <= width.max(28), "{width}: {shown}");
                assert!(shown.starts_with("1,234/9,999 pages, 1 failed"), "{width}: {shown}");
            }
        }
    }

    #[test]
    fn the_bar_uses_the_room_and_the_least_important_parts_are_left_out() {
        let all = "1,234/9,999 pages, 1 failed, 1,234,000 profiles, 10,000/s, 14m 37s left, 12 retries";
        let table = [
            (200, Head::Bar(72), all),
            (80, Head::Bar(12), "1,234/9,999 pages, 1 failed, 1,234,000 profiles, 14m 37s left"),
            (60, Head::Bar(8), "1,234/9,999 pages, 1 failed, 14m 37s left"),
            (40, Head::Nothing, "1,234/9,999 pages, 1 failed"),
        ];
        for (width, head, text) in table {
            assert_eq!(layout(&working(), true, width), (head, text.to_owned()), "{width}");
        }
    }

    #[test]
    fn parallel_is_suggested_if_more_than_five_pages_remain() {
        let planned =
            |total_pages, workers| FetchEvent::Planned { total_pages, expected_rows: None, workers, staged_pages: 0 };
        for (total, on_disk, workers, expected) in [
            (Some(7), 0, 1, true),
            (Some(7), 1, 1, true),
            (Some(6), 0, 1, false),
            (Some(80), 74, 1, true),
            (Some(80), 75, 1, false),
            (Some(80), 90, 1, false),
            (Some(80), 0, 2, false),
            (None, 0, 1, false),
        ] {
            assert_eq!(is_slow(&planned(total, workers), on_disk), expected, "{total:?} {on_disk} {workers}");
        }
        assert!(!is_slow(&FetchEvent::Resumed, 0));
    }
}
