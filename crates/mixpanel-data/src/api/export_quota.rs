//! Opens the quota ledgers of a client.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::error::{ErrorKind, Result};
use crate::quota::{Pool, Quota, RateLimiter};

/// A rate limiter, and why its ledger could not be opened; `None` if it was opened or no directory is configured.
type Opened = (RateLimiter, Option<String>);

/// Opens the ledger of a pool. If that fails, the limiter counts only the requests of this client.
///
/// # Errors
/// `InvalidInput` if the quota is out of range.
pub(super) fn open_ledger(
    pool: Pool,
    directory: Option<&Path>,
    host: &str,
    project: &str,
    quota: Quota,
) -> Result<Opened> {
    let what = pool.nouns().1;
    let open = |directory| RateLimiter::open(pool, directory, host, project, quota);
    match open(directory) {
        Ok(limiter) => Ok((limiter, None)),
        Err(error) if directory.is_some() && error.kind() != ErrorKind::InvalidInput => {
            let cause = std::error::Error::source(&error).map_or_else(String::new, |cause| format!(": {cause}"));
            let failure = format!("the {what} of this fetch are not recorded in the quota ledger: {error}{cause}");
            Ok((open(None)?, Some(failure)))
        }
        Err(error) => Err(error),
    }
}

/// The quota of the export API. Its ledger is opened on first use, so that other commands create no files for it.
#[derive(Debug)]
pub(super) struct ExportQuota {
    directory: Option<PathBuf>,
    quota: Quota,
    opened: Mutex<Option<Opened>>,
}

impl ExportQuota {
    pub(super) fn new(directory: Option<PathBuf>, quota: Quota) -> Self {
        Self { directory, quota, opened: Mutex::new(None) }
    }

    pub(super) fn quota(&self) -> Quota {
        self.quota
    }

    /// Returns the limiter, and opens its ledger if this is the first call.
    ///
    /// # Errors
    /// `InvalidInput` if the quota is out of range.
    pub(super) fn limiter(&self, host: &str, project: &str) -> Result<RateLimiter> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((limiter, _)) = &*opened {
            return Ok(limiter.clone());
        }
        let (limiter, failure) = open_ledger(Pool::EXPORT, self.directory.as_deref(), host, project, self.quota)?;
        *opened = Some((limiter.clone(), failure));
        Ok(limiter)
    }

    /// Returns why the ledger is not shared, or was reset.
    pub(super) fn notice(&self) -> Option<String> {
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let (limiter, failure) = opened.as_ref()?;
        failure.clone().or_else(|| limiter.notice())
    }
}
