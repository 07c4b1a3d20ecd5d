//! The facts about a run that a load records.

use jiff::Timestamp;
use jiff::civil::Date;

use crate::counts::FetchCounts;
use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::event_query::EventQuery;
use crate::profile_query::{FetchMode, ProfileQuery};
use crate::property_rules::PropertyRules;

/// What a load records about its run. The caller supplies times and counts, because the store has no clock.
#[derive(Debug, Clone)]
pub(crate) struct RunRecord {
    /// The dataset of its rows.
    pub(crate) dataset: &'static Dataset,
    /// Identifies the run. A partial run is loaded again after it is resumed.
    pub(crate) run_id: String,
    /// Identifies this load of the run by its contents, so that it is applied only once.
    pub(crate) load_id: String,
    /// When the fetch began.
    pub(crate) started_at: Timestamp,
    /// When the last page was staged; recorded as `fetched_at`.
    pub(crate) finished_at: Timestamp,
    /// The project.
    pub(crate) project_id: String,
    /// Its region, such as `us`.
    pub(crate) region: String,
    /// What was fetched.
    pub(crate) query: RunQuery,
    /// Which properties were dropped or hashed.
    pub(crate) property_rules: PropertyRules,
    /// Whether the run fetched what changed since the table's last complete load.
    pub(crate) updates: bool,
    /// Sequential or parallel.
    pub(crate) mode: FetchMode,
    /// Counts of the records and requests of the run; excludes duplicates, which the load finds.
    pub(crate) counts: FetchCounts,
    /// The number of staged pages, excluding failed ones.
    pub(crate) page_count: u32,
    /// The pages that failed permanently; if there are any, the table is partial.
    pub(crate) failed_pages: Vec<u32>,
}

/// What a run fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RunQuery {
    Profiles(ProfileQuery),
    Events(EventLoad),
}

/// What a load of events needs to know about its run, besides what the staged slices say about themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EventLoad {
    pub(crate) query: EventQuery,
    /// A day is settled if its fetch began at least this many days after it ended.
    pub(crate) refresh_days: u32,
    /// First and last of the days whose rows in the table the fetched ones replace, even those that were not fetched
    /// again. A day is replaced only if it was fetched completely; otherwise its rows are appended.
    pub(crate) replaced_days: Option<(Date, Date)>,
    /// First and last day of every slice that failed permanently.
    pub(crate) failed_days: Vec<(Date, Date)>,
}

impl EventLoad {
    /// Returns whether a slice of this day failed.
    pub(crate) fn is_failed(&self, day: Date) -> bool {
        self.failed_days.iter().any(|(from, to)| (*from..=*to).contains(&day))
    }
}

impl RunRecord {
    /// Returns the record of a run without pages.
    pub(crate) fn empty(dataset: &'static Dataset, run_id: &str, load_id: &str) -> Self {
        Self {
            dataset,
            run_id: run_id.to_owned(),
            load_id: load_id.to_owned(),
            started_at: Timestamp::UNIX_EPOCH,
            finished_at: Timestamp::UNIX_EPOCH,
            project_id: "12345".to_owned(),
            region: "us".to_owned(),
            query: RunQuery::Profiles(ProfileQuery::default()),
            property_rules: PropertyRules::default(),
            updates: false,
            mode: FetchMode::Sequential,
            counts: FetchCounts::default(),
            page_count: 0,
            failed_pages: Vec::new(),
        }
    }

    /// Returns whether profiles are missing.
    pub(crate) fn is_partial(&self) -> bool {
        !self.failed_pages.is_empty() || self.counts.shortfall > 0
    }

    /// Returns what a load of events needs; `None` for another dataset.
    pub(crate) fn events(&self) -> Option<&EventLoad> {
        match &self.query {
            RunQuery::Events(events) => Some(events),
            RunQuery::Profiles(_) => None,
        }
    }

    /// Returns the query of a run that fetched profiles.
    #[cfg(test)]
    pub(crate) fn profiles(&mut self) -> &mut ProfileQuery {
        match &mut self.query {
            RunQuery::Profiles(query) => query,
            RunQuery::Events(_) => panic!("the run fetched events"),
        }
    }

    /// Returns the filters as JSON.
    pub(crate) fn filters(&self) -> Result<String> {
        let text = match &self.query {
            RunQuery::Profiles(query) => serde_json::to_string(query),
            RunQuery::Events(events) => serde_json::to_string(&events.query),
        };
        text.map_err(|error| Error::internal("cannot write the filters").with_source(error))
    }

    /// Returns the rules for properties as JSON, if there are any.
    pub(crate) fn rules(&self) -> Result<Option<String>> {
        let rules = Some(&self.property_rules).filter(|rules| !rules.are_none());
        rules
            .map(serde_json::to_string)
            .transpose()
            .map_err(|error| Error::internal("cannot write the rules for properties").with_source(error))
    }
}
