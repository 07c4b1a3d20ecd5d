//! The manifest of a stage: everything that a later process needs to resume the run.

use serde::{Deserialize, Serialize};

use crate::clock::{RunStart, corrected};
use crate::counts::FetchCounts;
use crate::dataset::{Dataset, EVENTS, PROFILES};
use crate::profile_query::{FetchMode, IfExists, ProfileQuery};
use crate::property_rules::PropertyRules;

use super::slice_plan::{EventRun, SlicePlan, SliceRecord};

/// The stage format that this version writes.
pub(super) const FORMAT: u32 = 2;

/// The format of a run that drops or hashes properties. Versions that would ignore these rules do not read it.
const FORMAT_WITH_RULES: u32 = 3;

/// The format of a run of events. Versions that know only profiles do not read it.
pub(super) const FORMAT_OF_EVENTS: u32 = 4;

/// Describes a run. Written before the first page, and again after every change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// The format version of the stage.
    pub(crate) format: u32,
    /// The run id, which is also the name of the directory.
    pub(crate) run_id: String,
    /// When the run began, in UTC.
    pub(crate) started_at: jiff::Timestamp,
    /// The Mixpanel project.
    pub(crate) project_id: String,
    /// The region of the project.
    pub(crate) region: String,
    /// The server: Mixpanel's host, or `loopback`.
    pub(crate) server: String,
    /// The filters as sent, including the reference time of `behaviors`.
    pub(crate) query: ProfileQuery,
    /// What the run fetches if its dataset is the events; `None` for profiles, which `query` selects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) events: Option<EventRun>,
    /// The slices of a run of events, in the order of their part numbers. They are written before the first request for
    /// them, and never change their meaning.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) slices: Vec<SliceRecord>,
    /// Which properties are dropped or hashed.
    #[serde(default, skip_serializing_if = "PropertyRules::are_none")]
    pub(crate) property_rules: PropertyRules,
    /// The target table.
    pub(crate) table: String,
    /// What to do if the table exists.
    #[serde(rename = "on_existing")]
    pub(crate) if_exists: IfExists,
    /// Whether the run only fetches changes since the table's last load, which makes it useless without that table.
    #[serde(default)]
    pub(crate) updates: bool,
    /// The loads of the table that preceded the run; `None` in manifests of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) known_loads: Option<KnownLoads>,
    /// How pages are requested.
    pub(crate) mode: FetchMode,
    /// The session epoch. Pages of different sessions are never mixed.
    #[serde(rename = "generation")]
    pub(crate) epoch: u32,
    /// The session facts from page 0, once it has arrived.
    pub(crate) session: Option<SessionFacts>,
    /// The state of the run.
    pub(crate) progress: Progress,
    /// The pages that earlier loads of this run put into the table.
    pub(crate) loaded: Option<Loaded>,
    /// The pages of the most recently started load. Only the database shows whether it was committed.
    pub(crate) loading: Option<Loaded>,
    /// Why the current session cannot deliver more pages, if known; the next process then starts over from page 0.
    #[serde(default)]
    pub(crate) session_over: Option<Over>,
    /// How many times the run abandoned its table because another run had recreated it. The next load then counts as
    /// the first.
    #[serde(default)]
    pub(crate) tables_left: u32,
    /// The number of profiles that a load found missing although every page of the current session is staged.
    #[serde(default)]
    pub(crate) lacking: u64,
    /// The counts of the run so far, including the short pages of the current session. Excludes what killed processes
    /// did not save, except for a request for each page that they staged.
    #[serde(rename = "cost")]
    pub(crate) counts: FetchCounts,
    /// The number of staged pages of the current session whose requests `counts` includes; `None` in manifests of earlier
    /// versions. A process that was killed leaves pages whose requests it did not record.
    #[serde(default)]
    pub(crate) counted_pages: Option<u64>,
}

/// The loads of a table that have older records than a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KnownLoads {
    /// The id of the newest load when the run began, if there was one.
    pub(crate) newest: Option<String>,
    /// The beginnings of the ids of later loads that are older nevertheless: their sessions began before the run.
    #[serde(default)]
    pub(crate) sessions: Vec<String>,
}

/// The state of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Progress {
    /// Only page 0 was requested, for an estimate.
    Planned,
    /// Pages are missing. The reason is empty while a process works on the run.
    Fetching { reason: String },
    /// All pages are staged.
    Complete { pages: u32 },
}

/// Why a session cannot deliver more pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Over {
    /// All its pages are staged, and hold fewer profiles than the server announced.
    Short,
    /// The server rejected every missing page in the same way.
    Refused,
}

impl Over {
    /// Returns the reason why the fetch starts over.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Short => "the earlier session had fewer profiles than the server announced",
            Self::Refused => "the server refused every missing page of the earlier session",
        }
    }
}

/// Facts from page 0 about the session that all pages belong to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SessionFacts {
    pub(crate) session_id: Option<String>,
    pub(crate) total: Option<u64>,
    /// The page size that page 0 declared. It determines the list of pages, together with the total and the number of
    /// records in page 0.
    pub(crate) declared_page_size: Option<u64>,
    /// The number of records in page 0.
    pub(crate) first_page_records: u64,
    /// When page 0 arrived, by the server's clock.
    #[serde(default)]
    pub(crate) server_time: Option<jiff::Timestamp>,
    /// Seconds by which the local clock was ahead of the server's when page 0 arrived, negative if it was behind; 0 if
    /// they agreed or the server reported no time.
    #[serde(default)]
    pub(crate) clock_ahead: i64,
}

/// The pages of a session that a load puts into the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Loaded {
    #[serde(rename = "generation")]
    pub(crate) epoch: u32,
    pub(crate) pages: Vec<u32>,
}

impl Manifest {
    /// Returns the load id for these pages of a session.
    pub(crate) fn load_id(&self, epoch: u32, pages: &[u32]) -> String {
        let bytes: Vec<u8> = pages.iter().flat_map(|page| page.to_le_bytes()).collect();
        let again = if self.tables_left > 0 { format!("/{}", self.tables_left) } else { String::new() };
        format!("{}/{epoch}/{}/{:08x}{again}", self.run_id, pages.len(), crc32fast::hash(&bytes))
    }

    /// Returns when the run began by the server's clock, if it differs from the local one. That is no later than page 0,
    /// so that a later update skips no profile.
    pub(crate) fn recorded_start(&self) -> jiff::Timestamp {
        let Some(session) = &self.session else { return self.started_at };
        let started_at = corrected(self.started_at, session.clock_ahead);
        session.server_time.map_or(started_at, |time| time.min(started_at))
    }

    /// Returns when the run began, for comparison with others.
    pub(crate) fn start(&self) -> RunStart<'_> {
        RunStart { at: self.recorded_start(), run_id: Some(&self.run_id) }
    }

    /// Sets the properties that are dropped or hashed.
    pub(crate) fn set_rules(&mut self, rules: PropertyRules) {
        self.property_rules = rules;
        self.set_format();
    }

    /// Makes this a run of events with these slices.
    pub(crate) fn set_events(&mut self, events: EventRun, slices: Vec<SliceRecord>) {
        (self.events, self.slices) = (Some(events), slices);
        self.set_format();
    }

    /// Sets the format to the oldest one that every version that reads it understands completely.
    fn set_format(&mut self) {
        self.format = match &self.events {
            Some(_) => FORMAT_OF_EVENTS,
            None if self.property_rules.are_none() => FORMAT,
            None => FORMAT_WITH_RULES,
        };
    }

    /// Returns the dataset that the run fetches.
    pub(crate) fn dataset(&self) -> &'static Dataset {
        if self.events.is_some() { &EVENTS } else { &PROFILES }
    }

    /// Returns the plan of a run of events, for a process that begins at `now`.
    pub(crate) fn slice_plan(&self, now: jiff::Timestamp) -> Option<SlicePlan> {
        self.events.as_ref().map(|events| events.plan(&self.slices, now))
    }

    pub(crate) fn new(run_id: String, started_at: jiff::Timestamp, project_id: &str, region: &str) -> Self {
        Self {
            format: FORMAT,
            run_id,
            started_at,
            project_id: project_id.to_owned(),
            region: region.to_owned(),
            server: String::new(),
            query: ProfileQuery::default(),
            events: None,
            slices: Vec::new(),
            property_rules: PropertyRules::default(),
            table: String::new(),
            if_exists: IfExists::Fail,
            updates: false,
            known_loads: None,
            mode: FetchMode::Sequential,
            epoch: 0,
            session: None,
            progress: Progress::Fetching { reason: String::new() },
            loaded: None,
            loading: None,
            session_over: None,
            tables_left: 0,
            lacking: 0,
            counts: FetchCounts::default(),
            counted_pages: Some(0),
        }
    }

    /// Adds a request for each of the staged pages whose requests no process recorded. Returns whether there were any.
    pub(crate) fn count_staged(&mut self, staged: u64) -> bool {
        let uncounted = staged.saturating_sub(self.counted_pages.unwrap_or(self.counts.requests));
        self.counts.requests += uncounted;
        self.counted_pages = Some(staged);
        uncounted > 0
    }
}
