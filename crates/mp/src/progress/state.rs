//! What happened so far, and how to say it. Pure: times are given.

use std::time::{Duration, Instant};

use mixpanel_data::{FetchEvent, ProfileProgress};

use crate::text::{counted, duration, thousands};

/// The state of a fetch as it is shown.
#[derive(Debug, Default)]
pub(super) struct State {
    total_pages: Option<u32>,
    pages: u32,
    rows: u64,
    retries: u64,
    failures: Vec<(u32, String)>,
    first_page: Option<Mark>,
    last_page: Option<Mark>,
    wait: Option<(String, Instant)>,
    load: Option<(u64, Instant)>,
}

/// What there was when a page was done.
#[derive(Debug, Clone, Copy)]
struct Mark {
    at: Instant,
    pages: u32,
    rows: u64,
}

impl State {
    /// Takes note of an event.
    pub(super) fn apply(&mut self, event: &FetchEvent, now: Instant) {
        match event {
            FetchEvent::Planned { total_pages, .. } => self.total_pages = *total_pages,
            FetchEvent::Page(page) => self.page(page, now),
            FetchEvent::Retry { .. } => self.retries += 1,
            FetchEvent::Waiting { reason, pause } => self.wait = Some((reason.clone(), now + *pause)),
            FetchEvent::Resumed => self.wait = None,
            FetchEvent::Loading { rows } => self.load = Some((*rows, now)),
            _ => {}
        }
    }

    fn page(&mut self, page: &ProfileProgress, now: Instant) {
        self.pages += 1;
        self.total_pages = page.total_pages.or(self.total_pages);
        self.rows = page.cumulative_rows;
        if !page.success {
            self.failures.push((page.page_index, page.error.clone().unwrap_or_default()));
        }
        let mark = Mark { at: now, pages: self.pages, rows: self.rows };
        self.first_page.get_or_insert(mark);
        self.last_page = Some(mark);
    }

    /// Pages done, staged and failed ones.
    pub(super) fn pages(&self) -> u32 {
        self.pages
    }

    pub(super) fn total_pages(&self) -> Option<u32> {
        self.total_pages
    }

    /// The pages that failed for good, and why.
    pub(super) fn failures(&self) -> &[(u32, String)] {
        &self.failures
    }

    /// Says in a few words how things stand; the most important ones come first.
    pub(super) fn status(&self, target: &str, now: Instant) -> String {
        if let Some((rows, since)) = self.load {
            let elapsed = duration(now.duration_since(since));
            return format!("loading {} into {target}, {elapsed}", counted(rows, "profile"));
        }
        let mut parts = vec![self.pages_done()];
        if let Some((reason, until)) = &self.wait {
            // What is waited for matters more than what was fetched, and 80 columns are not much.
            let left = until.saturating_duration_since(now).as_secs();
            parts.push(format!("waiting {left}s: {reason}"));
        } else if self.pages > 0 {
            parts.push(counted(self.rows, "profile"));
            parts.extend(self.rate().map(|rate| format!("{}/s", thousands(rate))));
            parts.extend(self.time_left(now).map(|left| format!("{} left", whole_seconds(left))));
            parts.extend((!self.failures.is_empty()).then(|| format!("{} failed", self.failures.len())));
        }
        parts.extend((self.retries > 0 && self.wait.is_none()).then(|| counted_retries(self.retries)));
        parts.join(", ")
    }

    fn pages_done(&self) -> String {
        match self.total_pages {
            Some(total) => format!("{}/{} pages", self.pages, total.max(self.pages)),
            None if self.pages == 0 => "asking for the first page".to_owned(),
            None => counted(u64::from(self.pages), "page"),
        }
    }

    /// Profiles a second, from the first page to the last one.
    fn rate(&self) -> Option<u64> {
        let (first, last) = (self.first_page?, self.last_page?);
        let milliseconds = last.at.duration_since(first.at).as_millis();
        let rows = u128::from(last.rows.saturating_sub(first.rows));
        (rows * 1_000).checked_div(milliseconds).and_then(|rate| u64::try_from(rate).ok())
    }

    /// The pages to come at the pace of those that came.
    fn time_left(&self, now: Instant) -> Option<Duration> {
        let (first, last) = (self.first_page?, self.last_page?);
        let pages = last.pages.checked_sub(first.pages).filter(|pages| *pages > 0)?;
        let pace = last.at.duration_since(first.at) / pages;
        let to_come = self.total_pages?.checked_sub(self.pages).filter(|pages| *pages > 0)?;
        Some((pace * to_come).saturating_sub(now.duration_since(last.at)))
    }

    /// Says an event in a line for a log; `None` for what a log need not hear.
    pub(super) fn line(&self, target: &str, event: &FetchEvent) -> Option<String> {
        match event {
            FetchEvent::Planned { total_pages: Some(pages), expected_rows: Some(rows), workers } => {
                let at_once = if *workers > 1 { format!(", up to {workers} at a time") } else { String::new() };
                let pages = counted(u64::from(*pages), "page");
                Some(format!("fetching {} in {pages}{at_once}", counted(*rows, "profile")))
            }
            FetchEvent::Page(page) => Some(self.page_line(page)),
            FetchEvent::Retry { page_index, attempt, reason, pause } => {
                Some(format!("page {page_index}: attempt {attempt} failed, next in {}: {reason}", duration(*pause)))
            }
            FetchEvent::Waiting { reason, pause } => Some(format!("waiting {}: {reason}", duration(*pause))),
            FetchEvent::Resumed => Some("going on".to_owned()),
            FetchEvent::Loading { rows } => Some(format!("loading {} into {target}", counted(*rows, "profile"))),
            _ => None,
        }
    }

    fn page_line(&self, page: &ProfileProgress) -> String {
        let done = match self.total_pages {
            Some(total) => format!("{} of {total} pages", self.pages),
            None => counted(u64::from(self.pages), "page"),
        };
        let all = counted(page.cumulative_rows, "profile");
        match &page.error {
            None => format!("page {}: {} ({done}, {all})", page.page_index, counted(page.rows, "profile")),
            Some(error) => format!("page {}: failed: {error} ({done}, {all})", page.page_index),
        }
    }
}

/// Guesses are not given in tenths.
fn whole_seconds(time: Duration) -> String {
    let seconds = time.as_secs_f64().ceil();
    if seconds < 60.0 { format!("{seconds}s") } else { duration(Duration::from_secs_f64(seconds)) }
}

fn counted_retries(retries: u64) -> String {
    if retries == 1 { "1 retry".to_owned() } else { format!("{} retries", thousands(retries)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(page_index: u32, rows: u64, total_pages: u32) -> FetchEvent {
        FetchEvent::Page(ProfileProgress {
            page_index,
            total_pages: Some(total_pages),
            rows,
            success: true,
            error: None,
            cumulative_rows: rows * u64::from(page_index + 1),
        })
    }

    fn run(events: &[(u64, FetchEvent)], now: u64) -> String {
        let start = Instant::now();
        let mut state = State::default();
        for (second, event) in events {
            state.apply(event, start + Duration::from_secs(*second));
        }
        state.status("`users`", start + Duration::from_secs(now))
    }

    #[test]
    fn the_status_says_how_far_how_fast_and_how_long() {
        let retry =
            FetchEvent::Retry { page_index: 1, attempt: 1, reason: "status 503".to_owned(), pause: Duration::ZERO };
        let events = [(1, page(0, 1_000, 25)), (2, page(1, 1_000, 25)), (2, retry), (3, page(2, 1_000, 25))];
        assert_eq!(run(&[], 0), "asking for the first page");
        assert_eq!(run(&events[..1], 1), "1/25 pages, 1,000 profiles");
        assert_eq!(run(&events, 5), "3/25 pages, 3,000 profiles, 1,000/s, 20s left, 1 retry");
    }

    #[test]
    fn a_wait_counts_down_with_its_reason() {
        let wait =
            FetchEvent::Waiting { reason: "rate limited by the server".to_owned(), pause: Duration::from_secs(60) };
        let events = [(1, page(0, 1_000, 25)), (1, wait)];
        assert_eq!(run(&events, 3), "1/25 pages, waiting 58s: rate limited by the server");
        let resumed = [events[0].clone(), events[1].clone(), (61, FetchEvent::Resumed)];
        assert_eq!(run(&resumed, 61), "1/25 pages, 1,000 profiles");
    }

    #[test]
    fn the_load_has_its_own_line() {
        let events = [(1, page(0, 1_000, 1)), (1, FetchEvent::Loading { rows: 1_000 })];
        assert_eq!(run(&events, 3), "loading 1,000 profiles into `users`, 2.0s");
    }

    #[test]
    fn eighty_columns_are_enough() {
        // The bar has 12, and there is a blank after it.
        let page_of_many = |index: u32| page(index, 40_000, 9_999);
        let events: Vec<_> = (0..200).map(|index| (u64::from(index), page_of_many(index))).collect();
        let status = run(&events, 200);
        assert!(status.len() < 80 - 13, "{status}");
    }
}
