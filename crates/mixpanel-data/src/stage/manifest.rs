//! What the pages of a stage belong to: everything that a later process needs to go on with the run.

use serde::{Deserialize, Serialize};

use crate::profile_query::{OnExisting, ProfileQuery};

/// The layout that this version writes.
const FORMAT: u32 = 1;

/// Describes a run. Written before the first page and again when the session is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Which profiles, every filter as it is sent: `behaviors` with the moment they count back from.
    pub(crate) query: ProfileQuery,
    /// Where they are to go.
    pub(crate) table: String,
    /// What is to become of a table of that name.
    pub(crate) on_existing: OnExisting,
    /// Counts the sessions of the run; pages of two sessions are never mixed.
    pub(crate) generation: u32,
    /// What page 0 said, once it is here.
    pub(crate) session: Option<SessionFacts>,
}

/// What page 0 said about the session that all pages belong to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SessionFacts {
    pub(crate) session_id: Option<String>,
    pub(crate) total: Option<u64>,
    pub(crate) page_size: u64,
}

impl Manifest {
    pub(crate) fn new(run_id: String, started_at: jiff::Timestamp, project_id: &str, region: &str) -> Self {
        Self {
            format: FORMAT,
            run_id,
            started_at,
            project_id: project_id.to_owned(),
            region: region.to_owned(),
            query: ProfileQuery::default(),
            table: String::new(),
            on_existing: OnExisting::Fail,
            generation: 0,
            session: None,
        }
    }
}
