//! Defaults and limits of the statistics over a table.

/// Smallest numbers of events in the default ranges of an engagement distribution, as in the Python package.
pub(crate) const ENGAGEMENT_BUCKETS: [u64; 7] = [1, 2, 5, 10, 25, 50, 100];

/// Maximum number of ranges in an engagement distribution. More are not readable, and each adds a comparison per user.
pub(crate) const ENGAGEMENT_BUCKETS_MAX: usize = 1_000;

/// Default percentiles of a numeric summary, as in the Python package.
pub(crate) const PERCENTILES: [f64; 6] = [25.0, 50.0, 75.0, 90.0, 95.0, 99.0];
