//! What the pages of a stage belong to: everything that a later process needs to go on with the run.

use serde::{Deserialize, Serialize};

use crate::counts::FetchCounts;
use crate::profile_query::{FetchMode, OnExisting, ProfileQuery};

/// The layout that this version writes.
pub(super) const FORMAT: u32 = 2;

/// Describes a run. Written before the first page, and again whenever something of it changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// The layout of the folder.
    pub(crate) format: u32,
    /// Names the run, and the folder.
    pub(crate) run_id: String,
    /// When it began, in UTC.
    pub(crate) started_at: jiff::Timestamp,
    /// Whose profiles.
    pub(crate) project_id: String,
    /// Where they live.
    pub(crate) region: String,
    /// The server: Mixpanel's host, or `loopback`.
    pub(crate) server: String,
    /// Which profiles, every filter as it is sent: `behaviors` with the moment they count back from.
    pub(crate) query: ProfileQuery,
    /// Where they are to go.
    pub(crate) table: String,
    /// What is to become of a table of that name.
    pub(crate) on_existing: OnExisting,
    /// Whether the run brings the table up to date from its last load on, so that it is nothing without that table.
    #[serde(default)]
    pub(crate) updates: bool,
    /// How pages are asked for.
    pub(crate) mode: FetchMode,
    /// Counts the sessions of the run; pages of two sessions are never mixed.
    #[serde(rename = "generation")]
    pub(crate) epoch: u32,
    /// What page 0 said, once it is here.
    pub(crate) session: Option<SessionFacts>,
    /// How far the run has come.
    pub(crate) progress: Progress,
    /// What an earlier load of this run has put into the table.
    pub(crate) loaded: Option<Loaded>,
    /// What a load that was begun puts into the table. Whether it was committed, the database knows.
    pub(crate) loading: Option<Loaded>,
    /// Why the present session has no more to give, if that is known: then the next process begins from page 0.
    #[serde(default)]
    pub(crate) session_over: Option<Over>,
    /// Times that the run gave up a table that another one made anew, to load into that one as if it were the first time.
    #[serde(default)]
    pub(crate) tables_left: u32,
    /// Profiles that a load has found missing although every page of the present session is here.
    #[serde(default)]
    pub(crate) lacking: u64,
    /// What the run has cost so far, with the short pages of the present session. A process that was killed could not add
    /// its share.
    #[serde(rename = "cost")]
    pub(crate) counts: FetchCounts,
}

/// How far a run has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Progress {
    /// Only page 0 was asked for, to see what the fetch would take.
    Planned,
    /// Pages are missing. A process that works on the run leaves the reason empty until it stops.
    Fetching { reason: String },
    /// All pages are here: this many.
    Complete { pages: u32 },
}

/// Why a session has no more to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Over {
    /// All its pages are here, and hold fewer profiles than the server announced.
    Short,
    /// The server refused every missing page in the same way.
    Refused,
}

impl Over {
    /// Says why the fetch begins again.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Short => "the earlier session had fewer profiles than the server announced",
            Self::Refused => "the server refused every missing page of the earlier session",
        }
    }
}

/// What page 0 said about the session that all pages belong to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SessionFacts {
    pub(crate) session_id: Option<String>,
    pub(crate) total: Option<u64>,
    /// What page 0 said a page has; the plan follows from it, the total and the records of page 0.
    pub(crate) declared_page_size: Option<u64>,
    /// Records of page 0.
    pub(crate) first_page_records: u64,
    /// When page 0 was here, by the server's clock.
    #[serde(default)]
    pub(crate) server_time: Option<jiff::Timestamp>,
}

/// Pages that are in the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Loaded {
    #[serde(rename = "generation")]
    pub(crate) epoch: u32,
    pub(crate) pages: Vec<u32>,
}

impl Manifest {
    /// Names the load of these pages of a session of this run.
    pub(crate) fn load_id(&self, epoch: u32, pages: &[u32]) -> String {
        let bytes: Vec<u8> = pages.iter().flat_map(|page| page.to_le_bytes()).collect();
        let again = if self.tables_left > 0 { format!("/{}", self.tables_left) } else { String::new() };
        format!("{}/{epoch}/{}/{:08x}{again}", self.run_id, pages.len(), crc32fast::hash(&bytes))
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
            table: String::new(),
            on_existing: OnExisting::Fail,
            updates: false,
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
        }
    }
}
