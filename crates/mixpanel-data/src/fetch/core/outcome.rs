//! The outcome of a fetch.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::api::Failure;
use crate::counts::FetchCounts;
use crate::stage::Over;
use crate::text::counted;

/// Why a fetch ends before every page is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    /// No further request can succeed in time; the pages that arrived are kept.
    Halted(Failure),
    /// The caller requested a stop.
    Stopped,
    /// The run cannot continue, and nothing is loaded.
    Fatal(Failure),
    /// The writer failed; it reports the reason itself.
    WriterFailed,
}

/// How a fetch ended.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) ending: Option<Ending>,
    /// Staged pages, in order.
    pub(crate) staged: Vec<u32>,
    /// Pages that failed for good, and why.
    pub(crate) failed: BTreeMap<u32, Failure>,
    /// The failed page of which it is unknown whether it exists: the one after the last announced page, or after the
    /// last full one if the server announced no number.
    pub(crate) unchecked_page: Option<u32>,
    /// What happened to every record, and the costs of this process. Excludes duplicates, which only the load detects.
    pub(crate) counts: FetchCounts,
    /// Profiles received more than once because pages overlap; 0 until a load has checked.
    pub(crate) repeated: u64,
    /// How long this process waited for other processes that had the database open.
    pub(crate) waited_for_database: Duration,
    /// Why the session is over, if known.
    pub(crate) session_over: Option<Over>,
    /// Whether the stage holds pages of an earlier session that this run did not use.
    pub(crate) has_unused_pages: bool,
}

impl Outcome {
    /// Returns whether everything that the server announced has arrived, apart from drift.
    pub(crate) fn is_whole(&self) -> bool {
        self.failed.is_empty() && self.counts.shortfall == 0
    }

    /// Describes the shortfall, if there is one.
    pub(crate) fn shortfall_text(&self) -> Option<String> {
        let expected = self.counts.expected_rows.filter(|_| self.counts.shortfall > 0)?;
        let again = match self.repeated {
            0 => String::new(),
            repeated => format!(" ({repeated} of them more than once)"),
        };
        Some(format!(
            "the server announced {} and sent {}{again}; {} missing, more than the allowed drift",
            counted(expected, "profile"),
            self.counts.received,
            if self.counts.shortfall == 1 { "1 is".to_owned() } else { format!("{} are", self.counts.shortfall) },
        ))
    }

    /// Records that profiles are missing because others were sent more than once. Only a new session can return them.
    pub(crate) fn lacks(&mut self, shortfall: u64) {
        self.counts.shortfall = self.counts.shortfall.max(shortfall);
        self.repeated = self
            .counts
            .expected_rows
            .map_or(0, |total| (self.counts.received + self.counts.shortfall).saturating_sub(total));
        self.counts.drift = 0;
        self.session_over = Some(Over::Short);
    }

    /// Returns the outcome of a fetch that had nothing to request.
    pub(crate) fn empty() -> Self {
        Self {
            ending: None,
            staged: Vec::new(),
            failed: BTreeMap::new(),
            unchecked_page: None,
            counts: FetchCounts { expected_rows: Some(0), ..FetchCounts::default() },
            repeated: 0,
            waited_for_database: Duration::ZERO,
            session_over: None,
            has_unused_pages: false,
        }
    }
}
