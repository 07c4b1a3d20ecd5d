//! The state of a fetch and its description as text. The current time is an argument.

use std::time::{Duration, Instant, SystemTime};

use console::measure_text_width;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ZonedDateTime};
use mixpanel_data::limits::SESSION_RESTARTS_MAX;
use mixpanel_data::{BatchProgress, FetchEvent, Note, ProfileProgress};

use super::words::{Records, planned_batches, planned_pages, range_of, retries};
use crate::text::{about, counted, day_range, duration, thousands, wrapped};

/// A wait is reported again only if its end moves by more than this.
const SAME_END: Duration = Duration::from_secs(2);

/// The state of a fetch, as displayed.
#[derive(Debug)]
pub(super) struct State {
    records: Records,
    /// Whether no request is sent.
    is_estimate: bool,
    /// The name of the destination.
    target: String,
    total_pages: Option<u32>,
    /// Pages that are finished, staged or failed, including those of earlier calls.
    pages: u32,
    /// Pages on disk.
    on_disk: u32,
    rows: u64,
    retries: u64,
    failures: Vec<(u32, String)>,
    first_page: Option<PageCounts>,
    last_page: Option<PageCounts>,
    wait: Option<Wait>,
    load: Option<(u64, Instant)>,
}

/// A time, on both the monotonic clock and the wall clock.
#[derive(Debug, Clone)]
pub(super) struct Timestamps {
    pub(super) at: Instant,
    pub(super) wall: ZonedDateTime,
}

impl Timestamps {
    /// Returns the current time.
    pub(super) fn now() -> Self {
        // `ZonedDateTime::now` panics if the clock is outside its supported range of years.
        let wall = Timestamp::try_from(SystemTime::now()).unwrap_or_default().to_zoned_datetime(TimeZone::system());
        Self { at: Instant::now(), wall }
    }
}

/// The counts at the time a page was done.
#[derive(Debug, Clone, Copy)]
struct PageCounts {
    at: Instant,
    pages: u32,
    rows: u64,
}

/// A wait that blocks the fetch.
#[derive(Debug)]
struct Wait {
    since: Instant,
    until: Instant,
    /// The local time at which the wait ends.
    end: String,
    reason: String,
    for_what: WaitFor,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WaitFor {
    /// The server, the quota or the network.
    Request,
    /// Another process that has the database open.
    Database,
}

impl State {
    /// Creates the state with this number of pages already on disk.
    pub(super) fn new(target: String, pages: u32) -> Self {
        Self {
            records: Records::Profiles,
            is_estimate: false,
            target,
            total_pages: None,
            pages,
            on_disk: pages,
            rows: 0,
            retries: 0,
            failures: Vec::new(),
            first_page: None,
            last_page: None,
            wait: None,
            load: None,
        }
    }

    /// Sets what is counted.
    pub(super) fn count(&mut self, records: Records) {
        self.records = records;
    }

    /// Declares that no request is sent.
    pub(super) fn estimate(&mut self) {
        self.is_estimate = true;
    }

    /// Returns what is counted.
    pub(super) fn records(&self) -> Records {
        self.records
    }

    /// Applies an event and returns its progress line, or `None` if the event is not worth one.
    pub(super) fn apply(&mut self, event: &FetchEvent, now: &Timestamps) -> Option<String> {
        match event {
            FetchEvent::Planned { total_pages, expected_rows, workers, staged_pages } => {
                self.total_pages = *total_pages;
                (self.pages, self.on_disk) = (*staged_pages, *staged_pages);
                planned_pages((*total_pages)?, (*expected_rows)?, *workers)
            }
            FetchEvent::BatchesPlanned { from_date, to_date, total_batches, staged_batches, workers } => {
                self.total_pages = Some(*total_batches);
                (self.pages, self.on_disk) = (*staged_batches, *staged_batches);
                Some(planned_batches(&day_range(from_date, to_date), *total_batches, *staged_batches, *workers))
            }
            FetchEvent::Page(page) => {
                self.page(page, now.at);
                self.finished_line(page.success, || self.page_line(page))
            }
            FetchEvent::Batch(batch) => {
                self.batch(batch, now.at);
                self.finished_line(batch.success, || self.batch_line(batch))
            }
            FetchEvent::BatchRetry { from_date, to_date, attempt, reason, pause } => {
                self.retries += 1;
                let (days, pause) = (day_range(from_date, to_date), duration(*pause));
                Some(format!("{days}: attempt {attempt} failed, retrying in {pause}: {reason}"))
            }
            FetchEvent::BatchSplit { from_date, to_date, into, reason } => {
                Some(format!("{}: split into {into} batches: {reason}", day_range(from_date, to_date)))
            }
            FetchEvent::Retry { page_index, attempt, reason, pause } => {
                self.retries += 1;
                Some(format!("page {page_index}: attempt {attempt} failed, retrying in {}: {reason}", duration(*pause)))
            }
            FetchEvent::Waiting { reason, pause } => self.wait(WaitFor::Request, reason, *pause, now),
            FetchEvent::Resumed => {
                let wait = self.wait.take()?;
                Some(format!("resumed after {}", duration(now.at.saturating_duration_since(wait.since))))
            }
            FetchEvent::Restarted { .. } => {
                self.start_again();
                None
            }
            FetchEvent::Note(
                Note::Resuming { pages_done, .. } | Note::ResumingEvents { batches_done: pages_done, .. },
            ) => {
                (self.pages, self.on_disk) = (*pages_done, *pages_done);
                None
            }
            FetchEvent::DatabaseBusy { reason, at_most } => self.wait(WaitFor::Database, reason, *at_most, now),
            FetchEvent::Loading { rows } => {
                self.wait = None;
                self.load = Some((*rows, now.at));
                Some(format!("loading {} into {}", self.records.counted(*rows), self.target))
            }
            _ => None,
        }
    }

    /// Returns the line of a finished part. Once a fetch has given up, most parts fail for the same reason, which the
    /// summary names.
    fn finished_line(&self, success: bool, line: impl FnOnce() -> String) -> Option<String> {
        match self.failures.len() {
            REPORTED_FAILURES_MAX.. if !success => {
                let parts = self.records.plural();
                (self.failures.len() == REPORTED_FAILURES_MAX)
                    .then(|| format!("further failed {parts} are not listed here"))
            }
            _ => Some(line()),
        }
    }

    fn page(&mut self, page: &ProfileProgress, at: Instant) {
        if !page.success {
            self.failures.push((page.page_index, page.error.clone().unwrap_or_default()));
        }
        self.finished(page.success, page.total_pages, page.cumulative_rows, at);
    }

    fn batch(&mut self, batch: &BatchProgress, at: Instant) {
        if !batch.success {
            let reason = format!("{}: {}", range_of(batch), batch.error.as_deref().unwrap_or_default());
            self.failures.push((batch.batch_index, reason));
        }
        self.finished(batch.success, Some(batch.total_batches), batch.cumulative_rows, at);
    }

    fn finished(&mut self, success: bool, total: Option<u32>, rows: u64, at: Instant) {
        self.pages += 1;
        self.on_disk += u32::from(success);
        self.total_pages = total.or(self.total_pages);
        self.rows = rows;
        let mark = PageCounts { at, pages: self.pages, rows: self.rows };
        self.first_page.get_or_insert(mark);
        self.last_page = Some(mark);
    }

    fn wait(&mut self, for_what: WaitFor, reason: &str, pause: Duration, now: &Timestamps) -> Option<String> {
        let until = now.at + pause;
        let before = self.wait.take().filter(|wait| wait.for_what == for_what);
        let is_new_end = before.as_ref().is_none_or(|wait| until > wait.until + SAME_END);
        let since = before.map_or(now.at, |wait| wait.since);
        let end = wall_time(&now.wall, pause);
        let line = is_new_end.then(|| format!("waiting until {end} ({}): {reason}", about(pause)));
        self.wait = Some(Wait { since, until, end, reason: reason.to_owned(), for_what });
        // A wait for the database is announced separately, even if progress is hidden.
        line.filter(|_| for_what == WaitFor::Request)
    }

    /// Resets the counts: the pages received so far belong to a lost session.
    fn start_again(&mut self) {
        let target = std::mem::take(&mut self.target);
        let (retries, records) = (self.retries, self.records);
        *self = Self::new(target, 0);
        (self.retries, self.records) = (retries, records);
    }

    /// Returns the number of pages on disk.
    pub(super) fn on_disk(&self) -> u32 {
        self.on_disk
    }

    /// Returns the number of pages, if known, including pages beyond the announced ones.
    pub(super) fn total_pages(&self) -> Option<u32> {
        self.total_pages.map(|total| total.max(self.pages))
    }

    /// Returns whether the load has begun and is not waiting for another process.
    pub(super) fn is_loading(&self) -> bool {
        self.load.is_some() && self.wait.is_none()
    }

    /// Returns the pages that failed permanently, with the reasons.
    pub(super) fn failures(&self) -> &[(u32, String)] {
        &self.failures
    }

    /// Returns the current status.
    pub(super) fn status(&self, now: Instant) -> Status {
        let wait = self.wait.as_ref().map(|wait| (wait, about(wait.until.saturating_duration_since(now))));
        if let Some((wait, left)) = wait.as_ref().filter(|(wait, _)| wait.for_what == WaitFor::Database) {
            let text = format!("waiting {left} for the database, until {}", wait.end);
            return Status::Waiting { text, reason: wait.reason.clone() };
        }
        if let Some((rows, since)) = self.load {
            let elapsed = duration(now.saturating_duration_since(since));
            return Status::Working(vec![
                (0, format!("loading {} into {}", self.records.counted(rows), self.target)),
                (1, elapsed),
            ]);
        }
        if let Some((wait, left)) = wait {
            // The wait matters more than the counts, and both do not fit into 80 columns.
            let text = format!("{}, waiting {left} until {}", self.pages_done("/"), wait.end);
            return Status::Waiting { text, reason: wait.reason.clone() };
        }
        let mut parts = vec![(0, self.pages_done("/"))];
        if self.last_page.is_some() {
            parts.push((2, self.records.counted(self.rows)));
            parts.extend(self.rate().map(|rate| (3, format!("{}/s", thousands(rate)))));
            parts.extend(self.time_left(now).map(|left| (1, format!("{} left", whole_seconds(left)))));
        }
        parts.extend((self.retries > 0).then(|| (4, retries(self.retries))));
        Status::Working(parts)
    }

    /// Returns how many pages are on disk and how many failed: `27/30 pages, 1 failed`.
    fn pages_done(&self, of: &str) -> String {
        let done = match self.total_pages() {
            Some(total) => format!("{}{of}{}", self.on_disk, self.records.parts(total.into())),
            None if self.is_estimate => "estimating the requests".to_owned(),
            None if self.pages == 0 => self.records.beginning().to_owned(),
            None => self.records.parts(self.on_disk.into()),
        };
        match self.failures.len() {
            0 => done,
            failed => format!("{done}, {} failed", thousands(failed as u64)),
        }
    }

    /// Returns the profiles per second between the first and the last page.
    fn rate(&self) -> Option<u64> {
        let (first, last) = (self.first_page?, self.last_page?);
        let milliseconds = last.at.duration_since(first.at).as_millis();
        let rows = u128::from(last.rows.saturating_sub(first.rows));
        (rows * 1_000).checked_div(milliseconds).and_then(|rate| u64::try_from(rate).ok())
    }

    /// Returns the estimated time for the remaining pages.
    fn time_left(&self, now: Instant) -> Option<Duration> {
        let (first, last) = (self.first_page?, self.last_page?);
        let pages = last.pages.checked_sub(first.pages).filter(|pages| *pages > 0)?;
        let pace = last.at.duration_since(first.at) / pages;
        let to_come = self.total_pages?.checked_sub(self.pages).filter(|pages| *pages > 0)?;
        Some((pace * to_come).saturating_sub(now.duration_since(last.at)))
    }

    fn batch_line(&self, batch: &BatchProgress) -> String {
        let (range, done, all) =
            (range_of(batch), self.pages_done(" of "), self.records.counted(batch.cumulative_rows));
        match &batch.error {
            None => format!("{range}: {} ({done}, {all})", self.records.counted(batch.rows)),
            Some(error) => format!("{range}: failed: {error} ({done}, {all})"),
        }
    }

    fn page_line(&self, page: &ProfileProgress) -> String {
        let done = self.pages_done(" of ");
        let all = counted(page.cumulative_rows, "profile");
        match &page.error {
            None => format!("page {}: {} ({done}, {all})", page.page_index, counted(page.rows, "profile")),
            Some(error) => format!("page {}: failed: {error} ({done}, {all})", page.page_index),
        }
    }
}

/// The status of a fetch, from which the text for a terminal is composed.
#[derive(Debug)]
pub(super) enum Status {
    /// The parts in the order in which they are shown, each with its rank: those with the highest ranks are left out
    /// first.
    Working(Vec<(u8, String)>),
    /// A wait, and its reason, which is never cut.
    Waiting { text: String, reason: String },
}

impl Status {
    /// Returns the first line, which is at most `room` columns wide unless that is too narrow even for the most important
    /// part.
    pub(super) fn line(&self, room: usize) -> String {
        let parts = match self {
            Self::Waiting { text, .. } => return text.clone(),
            Self::Working(parts) => parts,
        };
        let join = |most: u8| {
            let shown = parts.iter().filter(|(rank, _)| *rank <= most).map(|(_, part)| part.as_str());
            shown.collect::<Vec<_>>().join(", ")
        };
        let ranks = (0..=u8::MAX).take_while(|rank| parts.iter().any(|(of_part, _)| of_part >= rank));
        ranks.map(join).take_while(|line| measure_text_width(line) <= room).last().unwrap_or_else(|| join(0))
    }

    /// Returns the reason of a wait, wrapped to `width` columns.
    pub(super) fn reason(&self, width: usize) -> Option<String> {
        match self {
            Self::Working(_) => None,
            Self::Waiting { reason, .. } => Some(wrapped(&format!("  {}", reason.replace('\n', " ")), width, 2)),
        }
    }
}

/// Maximum number of failed pages with a line of their own.
const REPORTED_FAILURES_MAX: usize = 30;

/// Returns the message for an event that is announced even if progress is hidden.
pub(super) fn announcement(event: &FetchEvent, records: Records) -> Option<String> {
    match event {
        FetchEvent::Restarted { restart, reason } => Some(format!(
            "restarting from page 0 in a new session (restart {restart} of {SESSION_RESTARTS_MAX})\n{reason}"
        )),
        FetchEvent::Note(note) => Some(note.to_string()),
        FetchEvent::DatabaseBusy { reason, at_most } => Some(format!(
            "waiting up to {} for the database: {reason}; all {} are on disk",
            about(*at_most),
            records.plural()
        )),
        _ => None,
    }
}

/// Returns the local time at the end of a pause, with the date if that is not today.
fn wall_time(now: &ZonedDateTime, pause: Duration) -> String {
    let pause = SignedDuration::try_from(pause).ok();
    let Some(end) = pause.and_then(|pause| now.checked_add(pause).ok()) else { return "further notice".to_owned() };
    let format = if end.date() == now.date() { "%H:%M:%S" } else { "%b %-d %H:%M" };
    end.strftime(format).to_string()
}

/// Formats an estimate, rounded up to whole seconds.
fn whole_seconds(time: Duration) -> String {
    let seconds = time.as_secs_f64().ceil();
    if seconds < 60.0 { format!("{seconds}s") } else { duration(Duration::from_secs_f64(seconds)) }
}
