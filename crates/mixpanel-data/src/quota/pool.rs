//! Which requests the server counts together.

use crate::limits::WORKERS_MAX;

/// Requests that the server counts together, apart from all others: they have a window and concurrency slots of their
/// own (`docs/mixpanel-api.md#quotas`).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pool {
    /// What the names of its files begin with.
    pub(super) prefix: &'static str,
    /// Requests that may be in flight at once.
    pub(super) slots: usize,
}

impl Pool {
    /// The query API.
    pub(crate) const QUERY: Self = Self { prefix: "quota", slots: WORKERS_MAX as usize };
}
