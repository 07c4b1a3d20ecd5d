//! Groups of requests that the server counts together.

use crate::limits::WORKERS_MAX;

/// A group of requests that the server counts together and apart from all others, with their own window and
/// concurrency slots (`docs/mixpanel-api.md#quotas`).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pool {
    /// Prefix of the pool's file names.
    pub(super) prefix: &'static str,
    /// Maximum number of requests in flight.
    pub(super) slots: usize,
}

impl Pool {
    /// The query API.
    pub(crate) const QUERY: Self = Self { prefix: "quota", slots: WORKERS_MAX as usize };
}
