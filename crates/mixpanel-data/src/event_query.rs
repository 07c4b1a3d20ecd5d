//! Which events to fetch: the days as a caller writes them, and the validated query that is recorded with a run.

use std::fmt;
use std::str::FromStr;

use jiff::ToSpan as _;
use jiff::civil::{Date, date};
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::limits::{
    BATCH_SIZE_RANGE, CHUNK_DAYS_RANGE, DAYS_AGO_MAX, EVENT_LIMIT_RANGE, EVENT_NAMES_BYTES_MAX, EVENT_WORKERS_MAX,
    REFRESH_DAYS_MAX, SEQUENTIAL_DAYS_MAX,
};
use crate::profile_query::{FetchMode, IfExists};
use crate::project_time_zone::ProjectTimeZone;

/// The first day that Mixpanel accepts; it answers "bad year" to earlier ones (`docs/mixpanel-api.md#export-request`).
const FIRST_DAY: Date = date(2000, 1, 1);

/// Checks what happens to an existing table of events.
///
/// # Errors
/// `InvalidInput` for `Upsert`.
pub(crate) fn check_no_upsert(if_exists: IfExists) -> Result<()> {
    if if_exists == IfExists::Upsert {
        return Err(Error::invalid("events cannot be upserted; append them, or replace whole days"));
    }
    Ok(())
}

/// A day of the project's time zone, absolute or relative to the day on which the fetch starts.
///
/// ```
/// use mixpanel_data::Day;
///
/// let today: jiff::civil::Date = "2026-11-26".parse()?;
/// assert_eq!("7d".parse::<Day>()?.on(today).to_string(), "2026-11-19");
/// assert_eq!("yesterday".parse::<Day>()?, Day::Ago(1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Day {
    /// This date.
    Date(Date),
    /// This many days before the day on which the fetch starts; 0 is that day. More than
    /// [`DAYS_AGO_MAX`](crate::limits::DAYS_AGO_MAX) count as that many.
    Ago(u32),
}

impl Day {
    /// Returns the date if the fetch starts on `today`.
    #[must_use]
    pub fn on(self, today: Date) -> Date {
        match self {
            Self::Date(date) => date,
            Self::Ago(days) => today.saturating_sub(i64::from(days.min(DAYS_AGO_MAX)).days()),
        }
    }
}

impl From<Date> for Day {
    fn from(date: Date) -> Self {
        Self::Date(date)
    }
}

impl FromStr for Day {
    type Err = Error;

    /// Parses `2026-11-01`, `today`, `yesterday`, or a number of days ago such as `7d`.
    ///
    /// # Errors
    /// `InvalidInput` with the accepted forms.
    fn from_str(text: &str) -> Result<Self> {
        let wrong =
            || Error::invalid("expected a date such as 2026-11-01, `today`, `yesterday` or days ago such as 7d");
        match text {
            "today" => return Ok(Self::Ago(0)),
            "yesterday" => return Ok(Self::Ago(1)),
            _ => {}
        }
        if let Some(days) = text.strip_suffix('d').filter(|days| days.bytes().all(|digit| digit.is_ascii_digit())) {
            let days = days.parse().ok().filter(|days| *days <= DAYS_AGO_MAX);
            return days.map(Self::Ago).ok_or_else(wrong);
        }
        // jiff also accepts other forms of ISO 8601, such as `20261101` and times.
        let is_plain = text.len() == 10 && text.bytes().filter(|byte| *byte == b'-').count() == 2;
        text.parse().ok().filter(|_| is_plain).map(Self::Date).ok_or_else(wrong)
    }
}

/// Which of several events with one identity are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dedupe {
    /// One of those with equal name, `distinct_id`, time and `$insert_id`: the one ingested last. Mixpanel does the
    /// same when it answers queries.
    #[default]
    Exact,
    /// One of those with equal name, `distinct_id`, `$insert_id` and day of the project, even if their times differ.
    /// Mixpanel does the same when it compacts its data.
    Day,
    /// All of them.
    None,
}

impl fmt::Display for Dedupe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exact => "exact",
            Self::Day => "day",
            Self::None => "none",
        })
    }
}

/// The events to fetch, validated: what every slice of a run has in common, and what is recorded with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EventQuery {
    /// First day.
    pub(crate) from: Date,
    /// Last day, inclusive.
    pub(crate) to: Date,
    /// Only events with these names, sorted, each once; empty means all.
    pub(crate) events: Vec<String>,
    /// A filter in Mixpanel's expression language.
    pub(crate) filter: Option<String>,
    /// At most this many events.
    pub(crate) limit: Option<u32>,
    pub(crate) timezone: ProjectTimeZone,
    pub(crate) dedupe: Dedupe,
}

impl EventQuery {
    /// Returns the number of days, at least 1.
    pub(crate) fn days(&self) -> u32 {
        days_between(self.from, self.to)
    }

    /// Returns what differs from another query, except for the days.
    pub(crate) fn difference(&self, other: &Self) -> Option<&'static str> {
        let parts = [
            ("event names", self.events != other.events),
            ("where expression", self.filter != other.filter),
            ("limit", self.limit != other.limit),
            ("project time zone", self.timezone != other.timezone),
            ("deduplication", self.dedupe != other.dedupe),
        ];
        parts.into_iter().find(|(_, differs)| *differs).map(|(part, _)| part)
    }

    /// Describes a part that [`difference`](Self::difference) returned.
    pub(crate) fn in_words(&self, part: &str) -> String {
        match part {
            "event names" if self.events.is_empty() => "all events".to_owned(),
            "event names" => format!("the events {}", self.events.join(", ")),
            "where expression" => match &self.filter {
                Some(filter) => format!("the where expression `{filter}`"),
                None => "no where expression".to_owned(),
            },
            "limit" => self.limit.map_or_else(|| "no limit".to_owned(), |limit| format!("the limit {limit}")),
            "project time zone" => format!("the project time zone {}", self.timezone.name()),
            _ => match self.dedupe {
                Dedupe::Exact => "duplicates removed by time".to_owned(),
                Dedupe::Day => "duplicates removed by day".to_owned(),
                Dedupe::None => "duplicates kept".to_owned(),
            },
        }
    }

    /// Returns whether the query leaves out events of its days.
    pub(crate) fn selects_some(&self) -> bool {
        !self.events.is_empty() || self.filter.is_some() || self.limit.is_some()
    }
}

/// Counts the days of an inclusive range; 0 if it is empty.
fn days_between(from: Date, to: Date) -> u32 {
    // The calendar of jiff has about 7.3 million days.
    u32::try_from(from.until(to).map_or(0, |span| span.get_days()) + 1).unwrap_or(0)
}

/// The arguments of a fetch of events as the caller gave them.
#[derive(Debug, Clone)]
pub(crate) struct EventArguments {
    pub(crate) from: Option<Day>,
    pub(crate) to: Option<Day>,
    pub(crate) events: Vec<String>,
    pub(crate) filter: Option<String>,
    pub(crate) limit: Option<u32>,
    pub(crate) dedupe: Dedupe,
    pub(crate) mode: FetchMode,
    pub(crate) chunk_days: Option<u32>,
    pub(crate) batch_size: Option<u32>,
    pub(crate) refresh_days: u32,
}

impl EventArguments {
    /// Checks everything that depends on neither the calendar nor the table.
    ///
    /// # Errors
    /// `InvalidInput` that names the argument and the rule.
    pub(crate) fn check(&self) -> Result<()> {
        let range = |what: &str, value: Option<u32>, range: &std::ops::RangeInclusive<u32>| match value {
            Some(value) if !range.contains(&value) => {
                Err(Error::invalid(format!("{what} {value}: use {} to {}", range.start(), range.end())))
            }
            _ => Ok(()),
        };
        range("batch size", self.batch_size, &BATCH_SIZE_RANGE)?;
        range("limit", self.limit, &EVENT_LIMIT_RANGE)?;
        range("chunk days", self.chunk_days, &CHUNK_DAYS_RANGE)?;
        range("refresh days", Some(self.refresh_days), &(0..=REFRESH_DAYS_MAX))?;
        if self.filter.as_ref().is_some_and(|filter| filter.trim().is_empty()) {
            return Err(Error::invalid("where: the expression is empty"));
        }
        if self.events.iter().any(|name| name.is_empty()) {
            return Err(Error::invalid("one of the event names is empty"));
        }
        let bytes = encoded_bytes(&self.events);
        if bytes > EVENT_NAMES_BYTES_MAX {
            return Err(Error::invalid(format!(
                "the event names take {bytes} percent-encoded bytes, and a request can hold {EVENT_NAMES_BYTES_MAX}; \
                 fetch fewer, or all events"
            )));
        }
        match self.mode {
            FetchMode::Parallel { .. } if self.limit.is_some() => {
                Err(Error::invalid("a limit cannot be combined with parallel mode; leave out one of them"))
            }
            FetchMode::Parallel { max_workers: Some(workers) } if !(1..=EVENT_WORKERS_MAX).contains(&workers) => {
                Err(Error::invalid(format!("{workers} workers: use 1 to {EVENT_WORKERS_MAX}")))
            }
            _ => Ok(()),
        }
    }

    /// Determines the days and returns the query. `today` is the project's.
    ///
    /// # Errors
    /// `InvalidInput` if the range is missing, empty or too early, or begins after today; `DateRangeTooLarge` for a
    /// sequential fetch of more than [`SEQUENTIAL_DAYS_MAX`] days.
    pub(crate) fn query(self, timezone: ProjectTimeZone, today: Date) -> Result<EventQuery> {
        let (Some(from), Some(to)) = (self.from, self.to) else {
            return Err(Error::invalid("the first and the last day are required"));
        };
        let (from, asked) = (from.on(today), to.on(today));
        if from > asked {
            return Err(Error::invalid(format!("the first day {from} is after the last day {asked}")));
        }
        if from < FIRST_DAY {
            return Err(Error::invalid(format!("the first day {from} is before {FIRST_DAY}, the earliest possible")));
        }
        if from > today {
            return Err(Error::invalid(format!(
                "the first day {from} is after today, which is {today} in the project"
            )));
        }
        let to = asked.min(today);
        let days = days_between(from, to);
        if self.mode == FetchMode::Sequential && days > SEQUENTIAL_DAYS_MAX {
            let message =
                format!("{from} to {to} are {days} days, and a sequential fetch can have {SEQUENTIAL_DAYS_MAX}");
            return Err(Error::new(ErrorKind::DateRangeTooLarge, message)
                .with_detail("from_date", from.to_string())
                .with_detail("to_date", to.to_string())
                .with_detail("days_requested", days)
                .with_detail("max_days", SEQUENTIAL_DAYS_MAX));
        }
        let mut events = self.events;
        events.sort();
        events.dedup();
        Ok(EventQuery { from, to, events, filter: self.filter, limit: self.limit, timezone, dedupe: self.dedupe })
    }
}

/// Returns the size of these event names in the address of a request, in bytes: as JSON, and encoded as in a form
/// (<https://url.spec.whatwg.org/#application/x-www-form-urlencoded>), where most punctuation and every byte of other
/// than ASCII characters take three.
pub(crate) fn encoded_bytes(names: &[String]) -> usize {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b" *-._".contains(&byte);
    serde_json::json!(names).to_string().bytes().map(|byte| if is_plain(byte) { 1 } else { 3 }).sum()
}

#[cfg(test)]
mod tests;
