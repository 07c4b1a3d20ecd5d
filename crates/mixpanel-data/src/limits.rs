//! All limits and defaults of the library, with units and sources. The public ones are those
//! that a caller can set or may want to show.

mod analysis;
mod event_fetch;
mod event_load;
mod events;
mod load;
mod slices;

use std::time::Duration;

pub(crate) use analysis::{ENGAGEMENT_BUCKETS, ENGAGEMENT_BUCKETS_MAX, PERCENTILES};
pub use event_fetch::*;
pub(crate) use event_load::*;
pub use events::*;
pub(crate) use load::*;
pub(crate) use slices::*;

/// Mixpanel's concurrency limit per project (`docs/mixpanel-api.md#quotas`), and therefore the maximum number of
/// workers of one fetch.
pub const WORKERS_MAX: u32 = 5;

/// Counted queries that Mixpanel allows per project in a rolling hour (`docs/mixpanel-api.md#quotas`).
pub(crate) const QUERIES_PER_HOUR: u32 = 60;

/// Time after which a counted query leaves Mixpanel's window: a rolling hour, not a clock hour
/// (`docs/mixpanel-api.md#quotas`).
pub(crate) const QUOTA_WINDOW: Duration = Duration::from_secs(3600);

/// Maximum number of requests in a quota. The ledger keeps up to twice as many entries (70 bytes each) and rewrites all
/// of them for every request.
pub const QUOTA_REQUESTS_MAX: u32 = 10_000;

/// Minimum and maximum length of a quota window.
pub const QUOTA_WINDOW_RANGE: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(31 * 86_400);

/// Safety margin, as a divisor of the window: a counted request stays in the window this much longer (6 s for a
/// one-hour window). Covers clock differences and late responses.
pub(crate) const QUOTA_MARGIN_DIVISOR: u32 = 600;

/// Minimum safety margin, for short windows.
pub(crate) const QUOTA_MARGIN_MIN: Duration = Duration::from_millis(50);

/// Grace period, as a divisor of the window (one minute for a one-hour window). If a process is killed before a
/// response arrives, the server may have counted the request up to this long after it was sent. An unanswered probe is
/// abandoned after the same time, and if the clock is set back by less than this, the limiter waits for it to catch up.
pub(crate) const QUOTA_GRACE_DIVISOR: u32 = 60;

/// Longest time, and the default without `Retry-After`, until the first probe after a refusal that this program's own
/// requests do not explain, as a divisor of the window (10
/// minutes for a one-hour window).
pub(crate) const QUOTA_PROBE_DIVISOR: u32 = 6;

/// How long session pages are treated as counted after the hourly limit refused one
/// (`docs/mixpanel-api.md#what-counts`).
pub(crate) const SESSION_PAGES_COUNT_FOR: Duration = Duration::from_secs(7 * 86_400);

/// Maximum size of a ledger file in bytes; a larger file is treated as damaged. Twice [`QUOTA_REQUESTS_MAX`] entries of
/// 100 bytes take 2 MB.
pub(crate) const LEDGER_BYTES_MAX: u64 = 4 << 20;

/// Maximum number of damaged ledgers kept per project; the next one overwrites the last.
pub(crate) const LEDGERS_ASIDE_MAX: u32 = 100;

/// Number of pages above which a fetch warns about the hourly quota: 80 % of [`QUERIES_PER_HOUR`] (T018,
/// `docs/traceability.md`).
pub(crate) const PAGES_WARNING: u32 = QUERIES_PER_HOUR * 4 / 5;

/// Profiles per page if the response does not state the page size; 1,000 in every known sample
/// (`docs/mixpanel-api.md#page-size`).
pub(crate) const PAGE_SIZE_DEFAULT: u64 = 1_000;

/// Largest page size that can be requested; the server may choose another one (`docs/mixpanel-api.md#page-size`).
pub const PAGE_SIZE_MAX: u32 = 40_000;

/// Maximum number of distinct ids in a query. Every page request contains them: 20,000 ids of 50 bytes are 1 MB, a
/// common limit for request bodies. The server's own limit is unknown (`docs/mixpanel-api.md#engage-request`).
pub const DISTINCT_IDS_MAX: usize = 20_000;

/// Maximum number of pages in one fetch: 10 million pages hold 10 billion profiles and need 10 MB of page states.
pub(crate) const PAGES_MAX: u64 = 10_000_000;

/// Maximum number of pages listed as failed because the fetch ended before they were requested.
pub(crate) const PAGES_LISTED_MAX: usize = 100_000;

/// Timeout for establishing a connection.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Timeout from sending a request to the first byte of the response (`docs/mixpanel-api.md#timeouts`).
pub const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(120);

/// Timeout between two chunks of a body.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Timeout for receiving a whole page.
pub const PAGE_TIMEOUT: Duration = Duration::from_secs(600);

/// Timeout for a call outside a fetch, including all its attempts and pauses.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// Maximum size of a decoded page in bytes. A page of 40,000 profiles of 1 KB is 40 MB.
pub(crate) const PAGE_BYTES_MAX: usize = 64 << 20;

/// Maximum records in one page: five times the largest page size. A 64 MiB page could hold 20 million empty records,
/// and each takes about 100 bytes during parsing.
pub(crate) const PAGE_RECORDS_MAX: usize = 5 * PAGE_SIZE_MAX as usize;

/// Maximum size of a profile in bytes; a larger one is rejected. Mixpanel allows 2,000 properties of 255 bytes, and
/// lists of 256 KB (`docs/mixpanel-api.md#records`). Within its memory limit, DuckDB cannot load a 14 MB profile.
pub(crate) const PROFILE_BYTES_MAX: usize = 4 << 20;

/// Maximum bytes stored per reject; for a longer one, the reason states the full size. All rejects of a page together
/// take at most 64 MiB, the size of a page.
pub const REJECT_BYTES_MAX: usize = PROFILE_BYTES_MAX;

/// Maximum number of ids that a stream remembers to detect repeated profiles. As hashes, they take about 64 MiB.
pub(crate) const STREAMED_IDS_MAX: usize = 3_500_000;

/// Number of rows in a row group of an exported Parquet file. Each thread holds one: 40,960 profiles of 0.7 KB are
/// 29 MB.
pub(crate) const EXPORT_GROUP_ROWS: u64 = 40_960;

/// Number of columns up to which a row group has that many rows; with more columns, it has fewer rows.
pub(crate) const EXPORT_GROUP_COLUMNS: u64 = 32;

/// Number of threads that write an exported file.
pub(crate) const EXPORT_THREADS: u32 = 2;

/// Maximum number of names listed in a warning about record members that are not stored.
pub(crate) const UNSTORED_NAMES_MAX: usize = 10;

/// Maximum bytes of decoded pages in flight. Each is counted at the size of the largest page so far.
pub(crate) const FLIGHT_BYTES_MAX: usize = 128 << 20;

/// Maximum decoded bytes per compressed byte. Decoded bodies of up to 1 MiB are exempt; text compresses about tenfold.
pub(crate) const COMPRESSION_RATIO_MAX: usize = 200;

/// Maximum number of properties that a catalog lists; the values of others are only counted. Mixpanel allows 2,000 for a
/// profile (`docs/mixpanel-api.md#records`). A catalog of this size takes about 1 MB in each staged page.
pub const PROPERTY_NAMES_MAX: usize = 5_000;

/// Maximum length of a listed property name in bytes; Mixpanel allows 255.
pub const PROPERTY_NAME_BYTES_MAX: usize = 1_024;

/// Maximum number of property columns in a typed view. Creating and planning a view of this width takes 0.3 s.
pub const TYPED_COLUMNS_MAX: usize = PROPERTY_NAMES_MAX;

/// Number of properties of a typed view that are extracted together. DuckDB keeps 10 to 20 MB for each such group and
/// thread, and looks up the whole group if a query selects one of its columns.
pub(crate) const TYPED_COLUMNS_GROUP: usize = 16;

/// Number of different values of a property up to which they are counted exactly, when its values are examined.
pub(crate) const DISTINCT_EXACT_MAX: usize = 1_000;

/// Maximum length of a property's example or frequent value, in characters of its JSON text.
pub const PROPERTY_VALUE_CHARS_MAX: usize = 200;

/// Minimum length of the key for hashing properties, in bytes. A random key of 128 bits cannot be guessed; RFC 2104
/// recommends 32 bytes.
pub const HASH_KEY_BYTES_MIN: usize = 16;

/// Maximum size of a record with hashed values, in bytes. Hashing turns every element of a list into 66 bytes; a profile
/// of more than [`PROFILE_BYTES_MAX`] is rejected anyway.
pub(crate) const HASHED_RECORD_BYTES_MAX: usize = 2 * PROFILE_BYTES_MAX;

/// Maximum size of all records of a page with hashed values, in bytes. Arrow's text columns hold up to 2 GiB.
pub(crate) const HASHED_PAGE_BYTES_MAX: usize = 4 * PAGE_BYTES_MAX;

/// Maximum nesting of arrays and objects in a profile's properties. Mixpanel documents three levels. At a depth of
/// 100,000, DuckDB's `json_structure` overflows an 8 MiB stack (measured with 1.5.5) and crashes the process.
pub const JSON_DEPTH_MAX: usize = 128;

/// Maximum bytes kept of a response that is not a page, for classification and the error message.
pub(crate) const ERROR_BODY_BYTES_MAX: usize = 64 << 10;

/// Maximum length of a server's error text, in characters; the rest is dropped before the search for secrets.
pub(crate) const ERROR_CHARS_MAX: usize = 1024;

/// Maximum length of a server's error text in a message, in characters.
pub const ERROR_EXCERPT_CHARS: usize = 300;

/// Maximum number of received pages that are not yet on disk: being parsed, waiting for the writer, or being written.
/// No request is sent while there are this many. Including those in flight ([`WORKERS_MAX`]), at most 8 pages exist at
/// once.
pub(crate) const PAGES_READY_MAX: u32 = 4;

/// Maximum attempts for a page that fails with a server error, a timeout, a broken connection or a damaged body.
pub(crate) const ATTEMPTS_MAX: u32 = 4;

/// Maximum attempts for a single-page call that receives a 429. A fetch is limited by its waiting time instead.
pub(crate) const RATE_LIMIT_ATTEMPTS_MAX: u32 = 5;

/// Maximum attempts for a tail page that, according to the announced total, does not exist; it is requested only to
/// confirm that.
pub(crate) const TAIL_PAGE_ATTEMPTS_MAX: u32 = 2;

/// Initial backoff; it doubles with each attempt. The actual pause is random, between half of the backoff and all of
/// it.
pub(crate) const BACKOFF_INITIAL: Duration = Duration::from_millis(500);

/// Maximum backoff after a fault.
pub(crate) const BACKOFF_MAX: Duration = Duration::from_secs(20);

/// Initial backoff after a 429 without `Retry-After`.
pub(crate) const RATE_LIMIT_BACKOFF_INITIAL: Duration = Duration::from_secs(1);

/// Longest pause after a 429 that is not about the hourly quota. A single-page call never waits longer than this after
/// any 429.
pub(crate) const RATE_LIMIT_WAIT_MAX: Duration = Duration::from_secs(60);

/// Default for the longest time that a fetch waits without receiving a page, for any reason.
pub const MAX_WAIT: Duration = Duration::from_secs(24 * 3600);

/// How far an incremental fetch reaches back before the start of the last load. `$last_seen` has no time zone
/// (`docs/mixpanel-api.md#records`), a time zone is up to 14 hours from UTC, and new activity takes a while to show up
/// in the API.
pub const SINCE_OVERLAP: Duration = Duration::from_secs(24 * 3600);

/// How far this machine's clock may be ahead of the server's clock, or of a recorded time, without a warning.
pub(crate) const CLOCK_TOLERANCE: Duration = Duration::from_secs(300);

/// How far a recorded start may be off in relation to another one. The server's `Date` has whole seconds, so whether a
/// response arrives before or after the turn of a second changes the result by one; the other is for its time in transit.
pub(crate) const CLOCK_PRECISION: Duration = Duration::from_secs(2);

/// Longest pause after a 429 for too many concurrent queries. Running queries finish quickly, and the 10 s in the
/// response are an upper bound (`docs/mixpanel-api.md#responses-with-429`).
pub(crate) const CONCURRENCY_BACKOFF_MAX: Duration = Duration::from_secs(10);

/// Pages that must arrive before the concurrency limit is raised by one again, after the server refused a request as
/// one too many.
pub(crate) const CONCURRENCY_RAISE_PAGES: u32 = 50;

/// Consecutive failed pages after which the whole fetch stops, so that a server that returns only errors does not
/// receive four attempts for each of a thousand pages. Received pages are kept, and the run can be resumed.
pub(crate) const CONSECUTIVE_FAILURES_MAX: u32 = 10;

/// Maximum backoff while the server is unreachable.
pub(crate) const OUTAGE_BACKOFF_MAX: Duration = Duration::from_secs(15);

/// Longest time that a fetch waits while the network is down. Received pages are kept, and the run can be resumed.
pub(crate) const OUTAGE_WAIT_MAX: Duration = Duration::from_secs(120);

/// Interval between attempts to get a concurrency slot while other processes hold all of them.
pub(crate) const BUSY_POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Longest single sleep before the clocks are read again, because the machine may have been suspended.
pub(crate) const SLEEP_MAX: Duration = Duration::from_secs(10);

/// Maximum number of times that a fetch restarts because the server lost the session
/// (`docs/decisions/0002-what-ends-a-fetch.md`).
pub const SESSION_RESTARTS_MAX: u32 = 2;

/// Maximum number of short pages per session, other than the last page, that are requested again. If more pages are
/// short, that is assumed to be intended.
pub(crate) const SHORT_PAGE_CHECKS_MAX: usize = 3;

/// Maximum attempts for a short page.
pub(crate) const SHORT_PAGE_ATTEMPTS_MAX: u32 = 3;

/// Percentage of the announced profiles that may be missing from a complete fetch, because a live project changes
/// during the fetch. At least one missing profile is allowed, unless the percentage is set to 0.
pub const ALLOWED_DRIFT_PERCENT: f64 = 0.1;

/// Consecutive responses with no new records (empty, or repeating another page) after which no more pages are
/// requested: as many as can be in flight at once.
pub(crate) const NOTHING_NEW_MAX: u32 = WORKERS_MAX;

/// Limit on the unannounced pages that a fetch requests while they contain new profiles: this number, or the number of
/// announced pages if that is larger.
pub(crate) const PAGES_BEYOND_MAX: u32 = 20;

/// Interval between requests for unannounced pages after the first [`PAGES_BEYOND_MAX`]. It avoids flooding a server
/// that never stops sending profiles; Mixpanel is too slow for it to matter.
pub(crate) const UNANNOUNCED_PAUSE: Duration = Duration::from_millis(100);

/// Consecutive faults, with no page received in between, after which no new page is requested while others wait for a
/// retry: twice as many as can be in flight.
pub(crate) const CONSECUTIVE_FAULTS_MAX: u32 = 2 * WORKERS_MAX;

/// Time for pages in flight to finish after the caller requests a stop.
pub const STOP_GRACE: Duration = Duration::from_secs(10);

/// Maximum size of a run's manifest in bytes. It lists every loaded page twice, at 16 bytes each: 320 MB for ten
/// million pages.
pub(crate) const MANIFEST_BYTES_MAX: u64 = 512 << 20;

/// Maximum attempts, 10 ms apart, to lock a run that another process may hold briefly.
pub(crate) const RUN_LOCK_ATTEMPTS: u32 = 20;

/// Maximum attempts, 10 ms apart, to get the lock for creating or taking a run: 30 s in all. Its holder lists the runs
/// of the database.
pub(crate) const START_LOCK_ATTEMPTS: u32 = 3_000;

/// Default memory budget of the whole process during a fetch, in bytes. The load statement for a million profiles of 1
/// KB takes 4.1 s with DuckDB's share of this budget, 5.8 s with its share of 256 MB, and 8 to 9 s with its share of
/// 200 MB (decision 0008).
pub const MEMORY_DEFAULT: u64 = 400_000_000;

/// Smallest and largest memory budget of a fetch, in bytes. The minimum leaves DuckDB 43 MB, the smallest tested value.
pub const MEMORY_RANGE: std::ops::RangeInclusive<u64> = 200_000_000..=1_000_000_000_000;

/// Memory of the process outside DuckDB: code, data, and memory retained by the allocators (decision 0008).
pub(crate) const PROGRAM_BYTES: u64 = 150_000_000;

/// DuckDB's `memory_limit` as a fraction of the memory it really uses: the real use is about 7/6 of what it reports.
pub(crate) const ENGINE_MEMORY_RATIO: (u64, u64) = (6, 7);

/// [`PROGRAM_BYTES`] for the last attempt of a load, after DuckDB ran out of memory: what the process uses when no
/// pages are in flight.
pub(crate) const PROGRAM_BYTES_LAST: u64 = 60_000_000;

/// [`ENGINE_MEMORY_RATIO`] for the last attempt of a load, where blocks of [`TEXT_BLOCK_BYTES`] account for most of the
/// memory.
pub(crate) const ENGINE_MEMORY_RATIO_LAST: (u64, u64) = (9, 10);

/// Rows per DuckDB vector. When DuckDB reads or writes a text longer than [`TEXT_INLINE_BYTES`], it holds all texts of
/// that vector in memory.
pub(crate) const VECTOR_ROWS: u64 = 2_048;

/// Longest text, in bytes, that DuckDB stores inline. Longer texts go into separate blocks of [`TEXT_BLOCK_BYTES`]:
/// several whole texts to a block, or one text in a block of its own.
pub(crate) const TEXT_INLINE_BYTES: u64 = 4_096;

/// Size of a DuckDB block for long texts, in bytes.
pub(crate) const TEXT_BLOCK_BYTES: u64 = 256 << 10;

/// Maximum bytes of text that are read back in one step, unless a single text is larger.
pub(crate) const READ_STEP_BYTES: u64 = 32 << 20;

/// Memory that DuckDB needs during a load, in bytes, in addition to the texts that it holds.
pub(crate) const ENGINE_BYTES_MIN: u64 = 24_000_000;

/// Bytes of staged rows per byte of block metadata that DuckDB keeps outside its `memory_limit` until the commit
/// (decision 0008).
pub(crate) const STAGED_BYTES_PER_KEPT: u64 = 250;

/// Share of the memory budget for decoded pages in flight, as a divisor. Parsing a page takes twice its decoded size:
/// the response and its columns.
pub(crate) const FLIGHT_MEMORY_SHARE: u64 = 4;

/// How long a load waits while another process has the database open. The wait is announced; the pages are safe on
/// disk.
pub const LOCK_WAIT: Duration = Duration::from_secs(600);

/// How long the database check before a fetch waits for another process: longer than such a check takes, and short
/// enough for an interactive user.
pub const PREFLIGHT_LOCK_WAIT: Duration = Duration::from_secs(2);

/// How long the second database check waits for another process. A fetch runs it while no other fetch can begin; the
/// short wait is for the preflight checks of other fetches.
pub(crate) const SECOND_CHECK_LOCK_WAIT: Duration = Duration::from_secs(10);

/// Interval between attempts to open a database that another process has open.
pub(crate) const LOCK_POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Maximum reruns of a failed query to get its actual error, after DuckDB reported an interrupt instead.
pub(crate) const QUERY_REPLAYS_MAX: u32 = 3;

/// Maximum number of times that a database is reopened to check whether a failed commit took effect.
pub(crate) const REOPENS_MAX: u32 = 3;

/// Maximum attempts to lock the quota ledger: one second in all. A process holds the lock for less than a millisecond,
/// unless it is suspended.
pub(crate) const LEDGER_LOCK_ATTEMPTS: u32 = 2_000;

/// Pause between attempts to lock the quota ledger.
pub(crate) const LEDGER_LOCK_PAUSE: Duration = Duration::from_micros(500);

/// Minimum growth of a wait for it to be announced again.
pub(crate) const WAIT_GROWTH_REPORTED: Duration = Duration::from_secs(1);

/// Maximum length of a table name, in characters.
pub(crate) const TABLE_NAME_CHARS_MAX: usize = 255;
