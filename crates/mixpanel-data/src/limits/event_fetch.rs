//! Limits and defaults of the arguments of a fetch, mostly of events.

use std::ops::RangeInclusive;

/// Number of requests in flight of a parallel fetch of events, if the caller names none. More do not help: Mixpanel
/// starts three exports per second, and parsing needs the processor.
pub const EVENT_WORKERS_DEFAULT: u32 = 10;

/// Mixpanel's limit on concurrent exports per project (`docs/mixpanel-api.md#export-limits`), and therefore the maximum
/// number of workers of a fetch of events.
pub const EVENT_WORKERS_MAX: u32 = 100;

/// Smallest and largest `limit` of a fetch of events; Mixpanel accepts no larger one
/// (`docs/mixpanel-api.md#export-request`).
pub const EVENT_LIMIT_RANGE: RangeInclusive<u32> = 1..=100_000;

/// Smallest and largest number of days in one request.
pub const CHUNK_DAYS_RANGE: RangeInclusive<u32> = 1..=100;

/// Maximum number of days of a sequential fetch, as in the Python package. A parallel fetch has no such limit.
pub const SEQUENTIAL_DAYS_MAX: u32 = 100;

/// Number of days after its end from which on a day counts as settled, if the caller names none: Mixpanel's SDKs send
/// events up to five days late (`docs/events.md#late-events`).
pub const REFRESH_DAYS_DEFAULT: u32 = 5;

/// Largest number of days after which a day counts as settled: ten years.
pub const REFRESH_DAYS_MAX: u32 = 3_650;

/// Largest number of days in a relative day such as `7d`: 100 years, further back than Mixpanel's data.
pub const DAYS_AGO_MAX: u32 = 36_500;

/// Maximum size of the event names in a request, in bytes of its address: as JSON, and percent-encoded. Servers
/// commonly accept addresses of 8 KB; the other parameters take less than 200 bytes, except for a filter.
pub const EVENT_NAMES_BYTES_MAX: usize = 7_900;

/// Smallest and largest accepted `batch_size`. It has no effect: pages and slices are the units of processing
/// (`docs/decisions/0004-differences-from-the-python-package.md`).
pub const BATCH_SIZE_RANGE: RangeInclusive<u32> = 100..=100_000;
