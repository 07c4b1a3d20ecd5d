//! Limits of a load of events.

/// Size of the days that a load looks at together, in bytes of the responses. A larger day is looked at alone. Fewer and
/// larger batches take fewer statements, and their rows are sorted in memory.
pub(crate) const BATCH_BYTES: u64 = 64 << 20;

/// Maximum number of slices that are read by one statement, unless one day has more.
pub(crate) const BATCH_SLICES_MAX: usize = 64;

/// Maximum number of properties of single events that are recorded: 200 for each of 250 events.
pub(crate) const EVENT_PROPERTIES_MAX: usize = 50_000;

/// Number of identities that are compared at once, as hashes. DuckDB takes about 40 bytes for each.
pub(crate) const IDENTITIES_AT_ONCE: u64 = 20_000_000;

/// Memory of a load of events that neither DuckDB's limit nor the shares of a load of profiles cover, in bytes: measured
/// with 10 million events, most of it while the rows of a batch of days are sorted.
pub(crate) const SORT_BYTES: u64 = 10_000_000;
