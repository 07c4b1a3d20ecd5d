//! The facts about a run that a load records.

use jiff::Timestamp;

use crate::counts::FetchCounts;
use crate::dataset::Dataset;
use crate::error::{Error, Result};
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
    /// The filters.
    pub(crate) query: ProfileQuery,
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
            query: ProfileQuery::default(),
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

    /// Returns the filters as JSON.
    pub(crate) fn filters(&self) -> Result<String> {
        serde_json::to_string(&self.query)
            .map_err(|error| Error::internal("cannot write the filters").with_source(error))
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
