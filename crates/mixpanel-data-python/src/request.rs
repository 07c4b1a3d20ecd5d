//! Converts the arguments of a fetch from JSON. The library checks their values.

use std::time::Duration;

use mixpanel_data::{
    CancellationToken, Day, Dedupe, Error, ErrorKind, EventFetch, FetchEvent, IfExists, IncludeUsers, ProfileFetch,
    ProfileQuery, Result, ResumeFetch, RunOptions, Secret, Timestamp,
};
use mp::session::{PropertyRules, Session};
use serde::Deserialize;

/// The arguments of every fetch. Absent ones have the library's defaults.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Request {
    table: String,
    #[serde(rename = "where")]
    filter: Option<String>,
    cohort_id: Option<String>,
    output_properties: Option<Vec<String>>,
    distinct_id: Option<String>,
    distinct_ids: Option<Vec<String>>,
    group_id: Option<String>,
    behaviors: Option<String>,
    as_of_timestamp: Option<i64>,
    include_all_users: bool,
    page_size: Option<i64>,
    from_date: Option<String>,
    to_date: Option<String>,
    events: Option<Vec<String>>,
    dedupe: Option<Dedupe>,
    time_zone: Option<String>,
    refresh_days: Option<i64>,
    chunk_days: Option<i64>,
    limit: Option<i64>,
    since: Option<String>,
    full_every: Option<f64>,
    if_exists: Option<IfExists>,
    parallel: bool,
    max_workers: Option<i64>,
    batch_size: Option<i64>,
    drop_properties: Vec<String>,
    hash_properties: Vec<String>,
    hash_key: Option<String>,
    max_wait: Option<f64>,
    lock_wait: Option<f64>,
    memory: Option<u64>,
    allow_drift: Option<f64>,
    allow_empty: bool,
    pub(crate) run_id: Option<String>,
    accept_partial: bool,
    replace_newer: bool,
    pub(crate) raw: bool,
}

/// A callback for the events of a fetch.
pub(crate) type Listener = Box<dyn FnMut(&FetchEvent) + Send>;

impl Request {
    /// Returns the name of the table.
    pub(crate) fn table(&self) -> &str {
        &self.table
    }

    /// Returns the fetch of profiles.
    pub(crate) fn profiles(
        self,
        session: &Session,
        token: CancellationToken,
        listener: Listener,
    ) -> Result<ProfileFetch> {
        let rules = self.rules(session)?;
        let options = self.options(session)?;
        let query = ProfileQuery {
            where_: self.filter,
            cohort_id: self.cohort_id,
            output_properties: self.output_properties,
            distinct_id: self.distinct_id,
            distinct_ids: self.distinct_ids,
            group_id: self.group_id,
            behaviors: self.behaviors,
            as_of_timestamp: self.as_of_timestamp,
            include_all_users: if self.include_all_users { IncludeUsers::All } else { IncludeUsers::WithProfile },
            page_size: number("page_size", self.page_size)?,
            since: None,
            limit: number("limit", self.limit)?,
        };
        let mut fetch = ProfileFetch::new(self.table).query(query).options(options);
        if let Some(if_exists) = self.if_exists {
            fetch = fetch.if_exists(if_exists);
        }
        fetch = match self.since.as_deref() {
            None => fetch,
            Some("last") => fetch.since_last_load(),
            Some(time) => fetch.since(timestamp(time)?),
        };
        if let Some(period) = duration("full_every", self.full_every)? {
            fetch = fetch.full_every(period);
        }
        if let Some(rows) = number("batch_size", self.batch_size)? {
            fetch = fetch.batch_size(rows);
        }
        if let Some(key) = rules.key {
            fetch = fetch.hash_properties(rules.hash, key);
        }
        let fetch = fetch.drop_properties(rules.drop).cancel_with(token).on_event(listener);
        Ok(match (self.parallel, number("max_workers", self.max_workers)?) {
            (true, Some(workers)) => fetch.max_workers(workers),
            (true, None) => fetch.parallel(),
            (false, _) => fetch,
        })
    }

    /// Returns the fetch of events.
    pub(crate) fn events(self, session: &Session, token: CancellationToken, listener: Listener) -> Result<EventFetch> {
        let rules = self.rules(session)?;
        let mut fetch = EventFetch::new(&self.table)
            .events(self.events.clone().unwrap_or_default())
            .dedupe(self.dedupe.unwrap_or_default())
            .options(self.options(session)?);
        if let Some(if_exists) = self.if_exists {
            fetch = fetch.if_exists(if_exists);
        }
        fetch = match (day("from_date", self.from_date.as_deref())?, day("to_date", self.to_date.as_deref())?) {
            (Some(from), Some(to)) => fetch.days(from, to),
            (Some(from), None) => fetch.from_day(from),
            (None, _) => fetch,
        };
        fetch = match self.since.as_deref() {
            None => fetch,
            Some("last") => fetch.since_last_load(),
            Some(first) => fetch.since(first.parse::<Day>()?),
        };
        if let Some(filter) = self.filter {
            fetch = fetch.where_(filter);
        }
        if let Some(events) = number("limit", self.limit)? {
            fetch = fetch.limit(events);
        }
        if let Some(zone) = self.time_zone {
            fetch = fetch.project_time_zone(zone);
        }
        if let Some(days) = number("refresh_days", self.refresh_days)? {
            fetch = fetch.refresh_days(days);
        }
        if let Some(days) = number("chunk_days", self.chunk_days)? {
            fetch = fetch.chunk_days(days);
        }
        if let Some(rows) = number("batch_size", self.batch_size)? {
            fetch = fetch.batch_size(rows);
        }
        if let Some(key) = rules.key {
            fetch = fetch.hash_properties(rules.hash, key);
        }
        let fetch = fetch.drop_properties(rules.drop).cancel_with(token).on_event(listener);
        Ok(match (self.parallel, number("max_workers", self.max_workers)?) {
            (true, Some(workers)) => fetch.max_workers(workers),
            (true, None) => fetch.parallel(),
            (false, _) => fetch,
        })
    }

    /// Returns the fetch that resumes a run of `table`.
    pub(crate) fn resume(
        self,
        session: &Session,
        run: &mixpanel_data::UnfinishedRun,
        token: CancellationToken,
        listener: Listener,
    ) -> Result<ResumeFetch> {
        let table = run.table.clone().unwrap_or_else(|| self.table.clone());
        let mut resume = ResumeFetch::new(table).run(&run.run_id).options(self.options(session)?);
        if !run.hashed_properties.is_empty()
            && let Some(key) =
                session.property_rules(Vec::new(), run.hashed_properties.clone(), self.key()).map_err(refused)?.key
        {
            resume = resume.hash_key(key);
        }
        if let Some(if_exists) = self.if_exists {
            resume = resume.if_exists(if_exists);
        }
        if self.replace_newer {
            resume = resume.replace_newer();
        }
        if self.accept_partial {
            resume = resume.accept_partial();
        }
        let resume = resume.cancel_with(token).on_event(listener);
        Ok(match (self.parallel, number("max_workers", self.max_workers)?) {
            (true, Some(workers)) => resume.max_workers(workers),
            (true, None) => resume.parallel(),
            (false, _) => resume,
        })
    }

    fn rules(&self, session: &Session) -> Result<PropertyRules> {
        let (drop, hash) = (self.drop_properties.clone(), self.hash_properties.clone());
        session.property_rules(drop, hash, self.key()).map_err(refused)
    }

    fn key(&self) -> Option<Secret> {
        self.hash_key.clone().map(Secret::new)
    }

    fn options(&self, session: &Session) -> Result<RunOptions> {
        let mut options = RunOptions::new();
        if let Some(memory) = self.memory.or_else(|| session.memory()) {
            options = options.memory(memory);
        }
        if let Some(wait) = duration("max_wait", self.max_wait)? {
            options = options.max_wait(wait);
        }
        if let Some(wait) = duration("lock_wait", self.lock_wait)? {
            options = options.lock_wait(wait);
        }
        if let Some(percent) = self.allow_drift {
            options = options.allow_drift(percent);
        }
        Ok(if self.allow_empty { options.allow_empty() } else { options })
    }
}

fn refused(error: mp::session::SessionError) -> Error {
    Error::new(ErrorKind::InvalidInput, error.message)
}

fn wrong(name: &str, value: impl std::fmt::Display, expected: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("{name} is {value}, not {expected}"))
}

fn number<T: TryFrom<i64>>(name: &str, value: Option<i64>) -> Result<Option<T>> {
    let converted = |number| T::try_from(number).map_err(|_| wrong(name, number, "a positive number in its range"));
    value.map(converted).transpose()
}

fn duration(name: &str, seconds: Option<f64>) -> Result<Option<Duration>> {
    let converted = |seconds| {
        Duration::try_from_secs_f64(seconds).map_err(|_| wrong(name, seconds, "a positive number of seconds"))
    };
    seconds.map(converted).transpose()
}

/// Parses a day; `name` is the argument's.
pub(crate) fn day(name: &str, text: Option<&str>) -> Result<Option<Day>> {
    let parsed = |text: &str| {
        text.parse().map_err(|error: Error| Error::new(ErrorKind::InvalidInput, format!("{name} `{text}`: {error}")))
    };
    text.map(parsed).transpose()
}

fn timestamp(text: &str) -> Result<Timestamp> {
    text.parse().map_err(|_| wrong("since", format!("`{text}`"), "`last` or a time such as 2026-11-23T10:00:00Z"))
}
