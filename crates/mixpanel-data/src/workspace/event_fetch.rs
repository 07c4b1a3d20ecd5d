//! The builder of a fetch of events.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::Date;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};
use crate::event_query::{Day, Dedupe, EventArguments, check_no_upsert};
use crate::fetch::{Control, EventsRequest, FetchEvent, RunOptions};
use crate::hash_key::HashKey;
use crate::limits::REFRESH_DAYS_DEFAULT;
use crate::note::Note;
use crate::profile_query::{FetchMode, IfExists};
use crate::project_time_zone::ProjectTimeZone;
use crate::property_rules::RequestedRules;
use crate::types::BatchProgress;

/// Builder for a fetch of events into a table; pass it to [`Workspace::fetch_events`](crate::Workspace::fetch_events).
///
/// ```
/// use mixpanel_data::{Day, EventFetch};
///
/// let fetch = EventFetch::new("events")
///     .days(Day::Ago(7), Day::Ago(0))
///     .events(["Sign Up", "Purchase"])
///     .parallel()
///     .on_batch_complete(|batch| println!("{} to {}: {} events", batch.from_date, batch.to_date, batch.rows));
/// # let _ = fetch;
/// ```
pub struct EventFetch {
    pub(super) table: String,
    pub(super) arguments: EventArguments,
    pub(super) time_zone: Option<String>,
    pub(super) if_exists: IfExists,
    pub(super) start: Start,
    pub(super) rules: RequestedRules,
    pub(super) control: Control,
}

/// Which days a fetch begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Start {
    /// The first of the given days.
    #[default]
    Given,
    /// The first day of the table that may still change.
    LastLoad,
    /// This day, and all days since.
    Day(Day),
    /// The first of the given days, whose rows are replaced.
    Again,
}

impl EventFetch {
    /// Creates a sequential fetch of all events into a new table. It needs [`days`](Self::days),
    /// [`since`](Self::since) or [`since_last_load`](Self::since_last_load).
    pub fn new(table: impl Into<String>) -> Self {
        Self {
            table: table.into(),
            arguments: EventArguments {
                from: None,
                to: None,
                events: Vec::new(),
                filter: None,
                limit: None,
                dedupe: Dedupe::default(),
                mode: FetchMode::Sequential,
                chunk_days: None,
                batch_size: None,
                refresh_days: REFRESH_DAYS_DEFAULT,
            },
            time_zone: None,
            if_exists: IfExists::default(),
            start: Start::default(),
            rules: RequestedRules::default(),
            control: Control::default(),
        }
    }

    /// Fetches these days of the project's time zone, both inclusive. A last day after the project's today is reduced to
    /// it, with a [`Note`](crate::Note). A sequential fetch can have
    /// [`SEQUENTIAL_DAYS_MAX`](crate::limits::SEQUENTIAL_DAYS_MAX) days.
    #[must_use]
    pub fn days(mut self, from: impl Into<Day>, to: impl Into<Day>) -> Self {
        (self.arguments.from, self.arguments.to) = (Some(from.into()), Some(to.into()));
        self
    }

    /// Sets the first day alone: where [`Workspace::refresh_events`](crate::Workspace::refresh_events) begins if the
    /// table does not exist.
    #[must_use]
    pub fn from_day(mut self, from: impl Into<Day>) -> Self {
        self.arguments.from = Some(from.into());
        self
    }

    /// Fetches the days of the table that may still change, and those that came after; each replaces the rows of that
    /// day in one transaction. The other filters must match those of the table's last load.
    #[must_use]
    pub fn since_last_load(mut self) -> Self {
        self.start = Start::LastLoad;
        self
    }

    /// Fetches this day and all days since, up to today. If the table exists, each day replaces the rows of that day, in
    /// one transaction; otherwise the table is created.
    #[must_use]
    pub fn since(mut self, day: impl Into<Day>) -> Self {
        self.start = Start::Day(day.into());
        self
    }

    /// Fetches these days again: each replaces the rows that the table has of that day, in one transaction.
    #[must_use]
    pub(super) fn replacing_days(mut self, from: Date, to: Date) -> Self {
        self.start = Start::Again;
        self.days(from, to)
    }

    /// Fetches only events with these names, which take up to
    /// [`EVENT_NAMES_BYTES_MAX`](crate::limits::EVENT_NAMES_BYTES_MAX) bytes in a request.
    #[must_use]
    pub fn events(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.arguments.events = names.into_iter().map(Into::into).collect();
        self
    }

    /// Fetches only events that match this expression in Mixpanel's language, such as `properties["plan"] == "pro"`.
    #[must_use]
    pub fn where_(mut self, expression: impl Into<String>) -> Self {
        self.arguments.filter = Some(expression.into());
        self
    }

    /// Fetches only a sample of at most this many events, in
    /// [`EVENT_LIMIT_RANGE`](crate::limits::EVENT_LIMIT_RANGE), which the server chooses. Cannot be combined with
    /// `parallel`, and does not replace a table.
    #[must_use]
    pub fn limit(mut self, events: u32) -> Self {
        self.arguments.limit = Some(events);
        self
    }

    /// Sets the time zone of the project, an IANA name such as `Europe/Lisbon`. The default is that of the table, if it
    /// exists, else UTC.
    ///
    /// Projects created before 2023 count days, and send times, in the time zone of their settings; the times are
    /// converted to UTC (`docs/events.md#time-zones`).
    #[must_use]
    pub fn project_time_zone(mut self, name: impl Into<String>) -> Self {
        self.time_zone = Some(name.into());
        self
    }

    /// Sets which of several events with one identity are kept; the default is [`Dedupe::Exact`].
    ///
    /// A fetch that appends events or replaces days needs the rule of the table's last load; another one is
    /// `InvalidInput`, with [`Error::dedupe`](crate::Error::dedupe).
    #[must_use]
    pub fn dedupe(mut self, dedupe: Dedupe) -> Self {
        self.arguments.dedupe = dedupe;
        self
    }

    /// Sets what to do if the table exists: fail, which is the default, append or replace.
    #[must_use]
    pub fn if_exists(mut self, if_exists: IfExists) -> Self {
        self.if_exists = if_exists;
        self
    }

    /// Requests several date ranges at a time.
    #[must_use]
    pub fn parallel(mut self) -> Self {
        if self.arguments.mode == FetchMode::Sequential {
            self.arguments.mode = FetchMode::Parallel { max_workers: None };
        }
        self
    }

    /// Requests up to this many date ranges at a time, 1 to
    /// [`EVENT_WORKERS_MAX`](crate::limits::EVENT_WORKERS_MAX); implies `parallel`. The default is
    /// [`EVENT_WORKERS_DEFAULT`](crate::limits::EVENT_WORKERS_DEFAULT).
    #[must_use]
    pub fn max_workers(mut self, workers: u32) -> Self {
        self.arguments.mode = FetchMode::Parallel { max_workers: Some(workers) };
        self
    }

    /// Requests this many days at a time, in [`CHUNK_DAYS_RANGE`](crate::limits::CHUNK_DAYS_RANGE). By default, the
    /// number depends on the quota and on the size of the days.
    #[must_use]
    pub fn chunk_days(mut self, days: u32) -> Self {
        self.arguments.chunk_days = Some(days);
        self
    }

    /// Accepts a batch size of 100 to 100,000 rows, for compatibility with the Python package. It has no effect, because
    /// all rows are loaded in one transaction.
    #[must_use]
    pub fn batch_size(mut self, rows: u32) -> Self {
        self.arguments.batch_size = Some(rows);
        self
    }

    /// Sets the number of days after its end from which on a day counts as settled, and is not fetched again by
    /// [`since_last_load`](Self::since_last_load): 0 to [`REFRESH_DAYS_MAX`](crate::limits::REFRESH_DAYS_MAX), by default
    /// [`REFRESH_DAYS_DEFAULT`](crate::limits::REFRESH_DAYS_DEFAULT).
    #[must_use]
    pub fn refresh_days(mut self, days: u32) -> Self {
        self.arguments.refresh_days = days;
        self
    }

    /// Drops these properties from every event before anything is stored, in addition to those of earlier calls
    /// (`docs/privacy.md`). The columns of the table cannot be dropped.
    #[must_use]
    pub fn drop_properties(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.rules.drop.extend(names.into_iter().map(Into::into));
        self
    }

    /// Replaces the values of these properties by keyed hashes before anything is stored, like
    /// [`ProfileFetch::hash_properties`](crate::ProfileFetch::hash_properties). `distinct_id` hashes the id, with the
    /// same result as in profiles.
    #[must_use]
    pub fn hash_properties(mut self, names: impl IntoIterator<Item = impl Into<String>>, key: HashKey) -> Self {
        self.rules.hash.extend(names.into_iter().map(Into::into));
        self.rules.key = Some(key);
        self
    }

    /// Sets how long to wait, how much memory to use, and which results to accept.
    #[must_use]
    pub fn options(mut self, options: RunOptions) -> Self {
        self.control.options = options;
        self
    }

    /// Calls `callback` for every date range, including failed ones, in order of completion and never concurrently. A
    /// callback that panics is not called again and does not affect the fetch.
    #[must_use]
    pub fn on_batch_complete(mut self, callback: impl FnMut(&BatchProgress) + Send + 'static) -> Self {
        self.control.callbacks.batch = Some(Box::new(callback));
        self
    }

    /// Calls `callback` for every [`FetchEvent`], such as finished date ranges, retries, waits, warnings and the load.
    /// The rules of [`on_batch_complete`](Self::on_batch_complete) apply.
    #[must_use]
    pub fn on_event(mut self, callback: impl FnMut(&FetchEvent) + Send + 'static) -> Self {
        self.control.callbacks.event = Some(Box::new(callback));
        self
    }

    /// Stops the fetch when the token is cancelled, like
    /// [`ProfileFetch::cancel_with`](crate::ProfileFetch::cancel_with).
    #[must_use]
    pub fn cancel_with(mut self, token: CancellationToken) -> Self {
        self.control.cancel = token;
        self
    }

    /// Checks everything that depends on neither the calendar nor the table.
    ///
    /// # Errors
    /// `InvalidInput` that names the argument and the rule.
    pub(super) fn check(&self) -> Result<()> {
        self.arguments.check()?;
        check_no_upsert(self.if_exists)?;
        if self.arguments.limit.is_some() && self.if_exists == IfExists::Replace {
            return Err(Error::invalid("a sample does not replace a table; fetch it into a new table, or append it"));
        }
        if self.start == Start::Given {
            return Ok(());
        }
        if self.if_exists != IfExists::Fail {
            return Err(Error::invalid(
                "a fetch since a day replaces whole days of the table; leave out whether to append or replace",
            ));
        }
        if self.arguments.limit.is_some() {
            return Err(Error::invalid("a sample cannot bring a table up to date; leave out the limit"));
        }
        Ok(())
    }

    /// Returns the request, with the days resolved, and the callbacks. The rows that `replaces` the days have in the
    /// table are replaced.
    ///
    /// # Errors
    /// Those of [`EventArguments::query`].
    pub(super) fn into_request(
        mut self,
        time_zone: ProjectTimeZone,
        now: Timestamp,
        replaces: Replaces,
    ) -> Result<(EventsRequest, Control)> {
        let today = time_zone.today(now);
        let requested = self.arguments.to.map(|to| to.on(today));
        let EventArguments { mode, chunk_days, refresh_days, .. } = self.arguments;
        let query = self.arguments.query(time_zone, today)?;
        if let Some(requested) = requested.filter(|requested| *requested > query.to) {
            let note = Note::LastDayReduced { requested: requested.to_string(), today: today.to_string() };
            self.control.callbacks.tell(&FetchEvent::Note(note));
        }
        let replaced_days = (replaces == Replaces::Days).then_some((query.from, query.to));
        let request = EventsRequest {
            table: self.table,
            query,
            if_exists: if replaced_days.is_some() { IfExists::Append } else { self.if_exists },
            mode,
            chunk_days,
            replaced_days,
            refresh_days,
            rules: self.rules,
        };
        Ok((request, self.control))
    }

    /// Sets the days from `from` to today.
    pub(super) fn until_today(&mut self, from: impl Into<Day>) {
        (self.arguments.from, self.arguments.to) = (Some(from.into()), Some(Day::Ago(0)));
    }
}

/// What a fetch replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Replaces {
    /// Nothing, or the whole table.
    Nothing,
    /// The rows of the fetched days.
    Days,
}

impl fmt::Debug for EventFetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventFetch")
            .field("table", &self.table)
            .field("arguments", &self.arguments)
            .field("time_zone", &self.time_zone)
            .field("if_exists", &self.if_exists)
            .field("start", &self.start)
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}
