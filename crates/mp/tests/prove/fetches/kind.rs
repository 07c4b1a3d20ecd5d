//! The kinds of fetches that are disturbed.

use std::collections::BTreeSet;

use super::events::{self, PROJECT};
use super::{Table, server, staged, table};
use crate::support::{Home, Simulator};

/// What is fetched, whether the table exists before the fetch, and how the fetch changes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// There is no table.
    New,
    Replace,
    Append,
    Upsert,
    /// Events; there is no table.
    NewEvents,
    /// Events; `--refresh` creates the table.
    FirstRefresh,
    /// Events; `--since last` replaces the days that may have changed.
    SinceLast,
    /// Events; `--refresh` does, and resumes.
    Refresh,
}

impl Kind {
    pub(crate) const PROFILES: [Self; 4] = [Self::New, Self::Replace, Self::Append, Self::Upsert];
    pub(crate) const EVENTS: [Self; 4] = [Self::FirstRefresh, Self::SinceLast, Self::NewEvents, Self::Refresh];

    /// Returns the arguments of the fetch.
    pub(crate) fn fetch(self) -> Vec<&'static str> {
        let (records, options) = match self {
            Self::New => ("profiles", vec![]),
            Self::Replace => ("profiles", vec!["--replace"]),
            Self::Append => ("profiles", vec!["--append"]),
            Self::Upsert => ("profiles", vec!["--upsert"]),
            Self::NewEvents => ("events", vec!["--from", &PROJECT.first, "--to", &PROJECT.today]),
            Self::FirstRefresh => ("events", vec!["--from", &PROJECT.first, "--refresh"]),
            Self::SinceLast => ("events", vec!["--since", "last"]),
            Self::Refresh => ("events", vec!["--refresh"]),
        };
        [vec!["fetch", records, records, "--parallel"], options].concat()
    }

    /// Returns the arguments that resume the fetch.
    pub(crate) fn resume(self) -> Vec<&'static str> {
        match self {
            Self::FirstRefresh | Self::Refresh => self.fetch(),
            Self::NewEvents | Self::SinceLast => vec!["fetch", "resume", "events", "--parallel"],
            _ => vec!["fetch", "resume", "profiles", "--parallel"],
        }
    }

    /// Returns the arguments of a fetch that replaces the whole table.
    pub(crate) fn replace(self) -> Vec<&'static str> {
        match self.is_of_events() {
            true => [Self::NewEvents.fetch(), vec!["--replace"]].concat(),
            false => Self::Replace.fetch(),
        }
    }

    pub(super) fn is_of_events(self) -> bool {
        Self::EVENTS.contains(&self)
    }

    pub(super) fn is_new(self) -> bool {
        [Self::New, Self::NewEvents, Self::FirstRefresh].contains(&self)
    }

    /// Starts a server for the fetch.
    pub(crate) fn server(self) -> Simulator {
        if self.is_of_events() { PROJECT.server(1) } else { server() }
    }

    /// Returns the digest of the table.
    pub(crate) fn table(self, home: &Home) -> Table {
        if self.is_of_events() { events::table(home) } else { table(home) }
    }

    /// Returns the pages or days that the next process must not request: what is staged, and days that are settled.
    pub(crate) fn not_to_request(self, home: &Home) -> BTreeSet<String> {
        let mut parts = staged(home);
        if [Self::SinceLast, Self::Refresh].contains(&self) {
            parts.extend(PROJECT.settled());
        }
        parts
    }
}
