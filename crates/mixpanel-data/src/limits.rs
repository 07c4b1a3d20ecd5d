//! Every limit and default of the library, with its unit, its derivation and its source. Callers see those that they
//! can set or may want to show.

use std::time::Duration;

/// Mixpanel's concurrency limit per project (`docs/mixpanel-api.md#quotas`), and therefore the maximum number of
/// workers of one fetch.
pub const WORKERS_MAX: u32 = 5;

/// Counted queries that Mixpanel allows per project in a rolling hour (`docs/mixpanel-api.md#quotas`).
pub(crate) const QUERIES_PER_HOUR: u32 = 60;

/// Time after which a counted query leaves Mixpanel's window: a rolling hour, not a clock hour
/// (`docs/mixpanel-api.md#quotas`).
pub(crate) const QUOTA_WINDOW: Duration = Duration::from_secs(3600);

/// Maximum requests of a quota. The ledger keeps up to twice as many entries of 70 bytes each, and reads and writes all
/// of them for every request.
pub const QUOTA_REQUESTS_MAX: u32 = 10_000;

/// Shortest and longest window of a quota.
pub const QUOTA_WINDOW_RANGE: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(31 * 86_400);

/// Divisor of the window that gives the margin after which a counted request is considered out of the window: 6 s for
/// an hour. It covers clock differences and late responses.
pub(crate) const QUOTA_MARGIN_DIVISOR: u32 = 600;

/// Minimum margin added to the window, for short windows.
pub(crate) const QUOTA_MARGIN_MIN: Duration = Duration::from_millis(50);

/// Divisor of the window that gives the grace period: one minute for an hour. If a process is killed before its request
/// is answered, the server may have counted that request up to this much later than it was sent. A probe without an
/// answer is abandoned after the same time, and if the clock is set back by less than this, the limiter waits for it to
/// catch up.
pub(crate) const QUOTA_GRACE_DIVISOR: u32 = 60;

/// Divisor of the window that gives the time until the limiter first probes for free quota when other clients use the
/// quota as well: 10 minutes for an hour.
pub(crate) const QUOTA_PROBE_DIVISOR: u32 = 6;

/// Time for which session pages are treated as counted after the hourly limit refused one
/// (`docs/mixpanel-api.md#what-counts`).
pub(crate) const SESSION_PAGES_COUNT_FOR: Duration = Duration::from_secs(7 * 86_400);

/// Maximum size of a ledger file in bytes; a larger file is not a ledger. Twice [`QUOTA_REQUESTS_MAX`] entries of 100
/// bytes are 2 MB.
pub(crate) const LEDGER_BYTES_MAX: u64 = 4 << 20;

/// Maximum number of damaged ledgers kept per project; the next one overwrites the last.
pub(crate) const LEDGERS_ASIDE_MAX: u32 = 100;

/// Number of pages above which a fetch warns about the hourly quota: 80 % of [`QUERIES_PER_HOUR`] (T018,
/// `docs/traceability.md`).
pub(crate) const PAGES_WARNING: u32 = QUERIES_PER_HOUR * 4 / 5;

/// Profiles per page if the response does not say; 1,000 in every known sample (`docs/mixpanel-api.md#page-size`).
pub(crate) const PAGE_SIZE_DEFAULT: u64 = 1_000;

/// Largest page size that may be requested; the server decides (`docs/mixpanel-api.md#page-size`).
pub const PAGE_SIZE_MAX: u32 = 40_000;

/// Maximum pages of one fetch: 10 million pages are 10 billion profiles, and 10 MB of page states.
pub(crate) const PAGES_MAX: u64 = 10_000_000;

/// Maximum number of pages listed as failed because the fetch ended before they were requested.
pub(crate) const PAGES_LISTED_MAX: usize = 100_000;

/// Timeout for setting up a connection.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Timeout from sending a request to the first byte of the response (`docs/mixpanel-api.md#timeouts`).
pub const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(120);

/// Timeout between two chunks of a body.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Timeout for one whole page.
pub const PAGE_TIMEOUT: Duration = Duration::from_secs(600);

/// Timeout for a call outside a fetch, including all its attempts and pauses.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// Maximum size of a decoded page in bytes. A page of 40,000 profiles of 1 KB is 40 MB.
pub(crate) const PAGE_BYTES_MAX: usize = 64 << 20;

/// Maximum records in one page: five times the largest page size. A page of 64 MiB has room for 20 million empty
/// records, and each costs about a hundred bytes while it is parsed.
pub(crate) const PAGE_RECORDS_MAX: usize = 5 * PAGE_SIZE_MAX as usize;

/// Maximum size of a profile in bytes; a larger one is rejected. Mixpanel allows 2,000 properties of 255 bytes, and
/// lists of 256 KB (`docs/mixpanel-api.md#records`). With the memory it is given, DuckDB cannot load a profile of 14
/// MB.
pub(crate) const PROFILE_BYTES_MAX: usize = 4 << 20;

/// Maximum bytes kept of one reject; the reason of a longer one states its full size. All rejects of a page together
/// keep at most 64 MiB, the size of a page.
pub const REJECT_BYTES_MAX: usize = PROFILE_BYTES_MAX;

/// Maximum number of names listed when a warning reports record members that are not kept.
pub(crate) const UNSTORED_NAMES_MAX: usize = 10;

/// Maximum bytes of decoded pages in flight. Every page in flight counts as much as the largest page seen so far.
pub(crate) const FLIGHT_BYTES_MAX: usize = 128 << 20;

/// Maximum decoded bytes per compressed byte, after the first mebibyte; text compresses about tenfold.
pub(crate) const COMPRESSION_RATIO_MAX: usize = 200;

/// Maximum nesting of arrays and objects in a profile's properties. Mixpanel documents three levels. At 100,000,
/// DuckDB's `json_structure` overflows a stack of 8 MiB (measured with 1.5.5) and crashes the process.
pub const JSON_DEPTH_MAX: usize = 128;

/// Maximum bytes kept of a response that is not a page, for classification and the error message.
pub(crate) const ERROR_BODY_BYTES_MAX: usize = 64 << 10;

/// Characters of a server's error text that are searched for secrets before its beginning is shown.
pub(crate) const ERROR_JUDGED_CHARS: usize = 1024;

/// Characters of a server's error text that are shown.
pub const ERROR_EXCERPT_CHARS: usize = 300;

/// Maximum pages that have arrived and are not yet on disk: being parsed, waiting for the writer, or being written. No
/// request is sent while this many are pending. Together with [`WORKERS_MAX`], at most 8 pages exist at once.
pub(crate) const PAGES_READY_MAX: u32 = 4;

/// Maximum attempts for a page that fails with a server error, a timeout, a broken connection or a damaged body.
pub(crate) const ATTEMPTS_MAX: u32 = 4;

/// Maximum attempts for a single-page call that is answered with 429. A fetch is limited by its waiting time instead.
pub(crate) const RATE_LIMIT_ATTEMPTS_MAX: u32 = 5;

/// Maximum attempts for the tail page if the server announced that it does not exist; it is requested only to confirm
/// that.
pub(crate) const PROBE_ATTEMPTS_MAX: u32 = 2;

/// First pause before a retry; it doubles with each attempt. The actual pause is random, from the upper half of this
/// range.
pub(crate) const BACKOFF_INITIAL: Duration = Duration::from_millis(500);

/// Longest pause between two attempts after a fault.
pub(crate) const BACKOFF_MAX: Duration = Duration::from_secs(20);

/// First pause after a 429 without `Retry-After`.
pub(crate) const RATE_LIMIT_BACKOFF_INITIAL: Duration = Duration::from_secs(1);

/// Longest pause after a 429 that is not about the hourly quota. A single-page call never waits longer than this after
/// any 429.
pub(crate) const RATE_LIMIT_WAIT_MAX: Duration = Duration::from_secs(60);

/// Longest time that a fetch waits without receiving a page, whatever the reason.
pub const MAX_WAIT: Duration = Duration::from_secs(24 * 3600);

/// Overlap of "since the last load" with the time before the start of that load. `$last_seen` has no time zone
/// (`docs/mixpanel-api.md#records`), time zones are up to 14 hours apart, and it can take some time until an activity
/// shows up in the API.
pub const SINCE_OVERLAP: Duration = Duration::from_secs(24 * 3600);

/// How far this machine's clock may be ahead of the server's clock, or of a recorded time, without a warning.
pub(crate) const CLOCK_TOLERANCE: Duration = Duration::from_secs(300);

/// Longest pause after a 429 for too many concurrent queries. Such queries end quickly, and the 10 s that the server
/// names are an upper bound (`docs/mixpanel-api.md#responses-with-429`).
pub(crate) const CONCURRENCY_BACKOFF_MAX: Duration = Duration::from_secs(10);

/// Pages that must arrive before the concurrency is raised by one again, after the server refused requests as too many
/// at once.
pub(crate) const CONCURRENCY_RAISE_PAGES: u32 = 50;

/// Maximum consecutive pages that fail for good before the whole fetch stops, so that a server that returns only errors
/// does not receive four attempts for each of a thousand pages. The pages that arrived are kept, and the run can be
/// resumed.
pub(crate) const GIVEN_UP_MAX: u32 = 10;

/// Longest pause between two attempts while the server is unreachable.
pub(crate) const OUTAGE_BACKOFF_MAX: Duration = Duration::from_secs(15);

/// Longest time that a fetch waits for a network that is down. The pages that arrived are kept, and the run can be
/// resumed.
pub(crate) const OUTAGE_WAIT_MAX: Duration = Duration::from_secs(120);

/// Interval between two attempts to get a concurrency slot while other processes hold them all.
pub(crate) const BUSY_POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Longest single sleep before the clocks are read again, because the machine may have been suspended.
pub(crate) const SLEEP_MAX: Duration = Duration::from_secs(10);

/// Maximum restarts of a fetch because the server lost the session (`docs/decisions/0002-what-ends-a-fetch.md`).
pub const SESSION_RESTARTS_MAX: u32 = 2;

/// Maximum pages per session that are requested again because they are short, although they are not the last. If more
/// pages are short, the server does it on purpose.
pub(crate) const SHORT_PAGE_CHECKS_MAX: usize = 3;

/// Maximum attempts for such a short page.
pub(crate) const SHORT_PAGE_ATTEMPTS_MAX: u32 = 3;

/// Percentage of the announced profiles that may be missing from a complete fetch, because a live project changes while
/// it is read. At least one missing profile is allowed, unless the percentage is set to 0.
pub const ALLOWED_DRIFT_PERCENT: f64 = 0.1;

/// Consecutive responses without anything new (empty, or the records of another page) after which no more pages are
/// requested: as many as can be in flight at once.
pub(crate) const NOTHING_NEW_MAX: u32 = WORKERS_MAX;

/// Minimum number of pages beyond the announced ones that a fetch follows while they have new profiles. If more pages
/// than this were announced, it follows as many again as were announced.
pub(crate) const PAGES_BEYOND_MAX: u32 = 20;

/// Interval between two requests for unannounced pages after the first [`PAGES_BEYOND_MAX`]. It slows down only a
/// server far faster than Mixpanel, and avoids flooding a server that never stops sending profiles.
pub(crate) const UNANNOUNCED_PAUSE: Duration = Duration::from_millis(100);

/// Consecutive faults, without a page between them, after which no new page is requested while others wait for a retry:
/// twice as many as can be in flight.
pub(crate) const FAULTS_IN_A_ROW_MAX: u32 = 2 * WORKERS_MAX;

/// Time that pages in flight have to finish after the caller requested a stop.
pub const STOP_GRACE: Duration = Duration::from_secs(10);

/// Maximum bytes read of a run's manifest. It names every loaded page twice, in 16 bytes each: 320 MB for ten million
/// pages.
pub(crate) const MANIFEST_BYTES_MAX: u64 = 512 << 20;

/// Attempts, 10 ms apart, to lock a run that another process holds briefly.
pub(crate) const RUN_LOCK_ATTEMPTS: u32 = 20;

/// Attempts, 10 ms apart, to get the turn to create or take a run: 30 s in all. The process that holds the turn lists
/// the runs of the database.
pub(crate) const RUN_TURN_ATTEMPTS: u32 = 3_000;

/// Default memory budget for a fetch, in bytes, for the whole process. The statement that loads a million profiles of 1
/// KB takes 4.1 s with DuckDB's share of this budget, 5.8 s with that of 256 MB, and 8 to 9 s with that of 200 MB
/// (decision 0008).
pub const MEMORY_DEFAULT: u64 = 400_000_000;

/// Smallest and largest memory budget of a fetch, in bytes. The smallest leaves DuckDB 43 MB, which was tested.
pub const MEMORY_RANGE: std::ops::RangeInclusive<u64> = 200_000_000..=1_000_000_000_000;

/// Memory of the process outside DuckDB: its code, the program's data, and what the allocators keep (decision 0008).
pub(crate) const PROGRAM_BYTES: u64 = 150_000_000;

/// DuckDB's `memory_limit` as a fraction of the memory it really uses: the real use is about 7/6 of what it reports.
pub(crate) const ENGINE_MEMORY_RATIO: (u64, u64) = (6, 7);

/// [`PROGRAM_BYTES`] for the last attempt of a load, when less memory for DuckDB is not enough: what the process uses
/// once no pages are in flight.
pub(crate) const PROGRAM_BYTES_LAST: u64 = 60_000_000;

/// [`ENGINE_MEMORY_RATIO`] for that last attempt, where [`TEXT_BLOCK_BYTES`] blocks account for most of the memory.
pub(crate) const ENGINE_MEMORY_RATIO_LAST: (u64, u64) = (9, 10);

/// Rows that DuckDB handles as one unit (a vector). When it reads or writes a text longer than [`TEXT_INLINE_BYTES`],
/// it holds the texts of the whole vector in memory.
pub(crate) const VECTOR_ROWS: u64 = 2_048;

/// Longest text in bytes that DuckDB stores together with others. Longer texts go into blocks of [`TEXT_BLOCK_BYTES`],
/// as many whole texts as fit into a block, or into a block of their own.
pub(crate) const TEXT_INLINE_BYTES: u64 = 4_096;

/// Size of such a block in bytes.
pub(crate) const TEXT_BLOCK_BYTES: u64 = 256 << 10;

/// Maximum bytes of texts that are read back at once, unless a single text is larger.
pub(crate) const READ_STEP_BYTES: u64 = 32 << 20;

/// Memory in bytes that DuckDB needs during a load, in addition to the texts that it holds in memory.
pub(crate) const ENGINE_LEAST_BYTES: u64 = 24_000_000;

/// Bytes of staged rows per byte of bookkeeping that DuckDB keeps outside its `memory_limit` until the commit: where
/// every block is, and what it holds (decision 0008).
pub(crate) const STAGED_BYTES_PER_KEPT: u64 = 250;

/// Divisor of the memory budget for decoded pages in flight, by their decoded size. Parsing a page takes twice that:
/// the response, and its columns.
pub(crate) const FLIGHT_MEMORY_SHARE: u64 = 4;

/// Maximum rows of a row group in a staged page. DuckDB reads a row group as a whole. This is the smallest row group of
/// a table ([`ROW_GROUP_ROWS`]), so no staged row group has to be split (decision 0008).
pub(crate) const STAGED_GROUP_ROWS: usize = 2_048;

/// Maximum bytes of a row group in a staged page, unless it has a single row. With the smallest memory budget, DuckDB
/// cannot read a row group of 10 MB (decision 0008).
pub(crate) const STAGED_GROUP_BYTES: usize = 2 << 20;

/// Load speed assumed by estimates, in profiles of 1 KB per second. Measured on two cores: 140,000 to 220,000.
pub(crate) const LOAD_ROWS_PER_SECOND: f64 = 160_000.0;

/// Maximum DuckDB threads of a load, capped by the number of processors. Each fills a row group of its own.
pub(crate) const LOAD_THREADS_MAX: u32 = 4;

/// Maximum bytes of one row group. DuckDB's default of 122,880 rows is six times as large with rows of 1 KB: with two
/// threads it takes a third more time, and 1 GB of memory (decision 0008).
pub(crate) const ROW_GROUP_BYTES: u64 = 20 << 20;

/// Row groups that must fit into DuckDB's memory; with fewer, its threads wait for each other.
pub(crate) const ROW_GROUPS_IN_MEMORY: u64 = 11;

/// Fewest and most rows of one row group.
pub(crate) const ROW_GROUP_ROWS: std::ops::RangeInclusive<u64> = 2_048..=122_880;

/// Maximum staged pages per statement. More statements make more and smaller row groups. Fewer take more memory,
/// because DuckDB keeps some data about every file until the end: 50 MiB for 10,000 files (decision 0008).
pub(crate) const LOAD_PAGES_PER_STATEMENT: usize = 1_000;

/// Time that a load waits for another process that has the database open. The wait is announced; the pages are safe on
/// disk.
pub const LOCK_WAIT: Duration = Duration::from_secs(600);

/// Time that the check of the database before a fetch waits for another process: longer than another such check takes,
/// and short enough for a user at a prompt.
pub const PREFLIGHT_LOCK_WAIT: Duration = Duration::from_secs(2);

/// Time that the second check of the database waits. A fetch makes it once no other fetch can begin; fetches that begin
/// at the same moment make it one after the other.
pub(crate) const RELOOK_LOCK_WAIT: Duration = Duration::from_secs(10);

/// Interval between two attempts to open a database that another process has open.
pub(crate) const LOCK_POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Maximum reruns of a failed query for which DuckDB did not report the true reason.
pub(crate) const QUERY_REPLAYS_MAX: u32 = 3;

/// Maximum times that a database is reopened to find out whether a failed commit is in it.
pub(crate) const REOPENS_MAX: u32 = 3;

/// Attempts to lock the quota ledger while another process holds it: one second in all. A process holds it for less
/// than a millisecond, unless it is stopped.
pub(crate) const LEDGER_LOCK_ATTEMPTS: u32 = 2_000;

/// Pause between two of these attempts.
pub(crate) const LEDGER_LOCK_PAUSE: Duration = Duration::from_micros(500);

/// A wait that grows by less than this is not announced again.
pub(crate) const WAIT_GROWTH_REPORTED: Duration = Duration::from_secs(1);

/// Smallest and largest accepted `batch_size`. It has no effect: a page is the unit
/// (`docs/decisions/0004-differences-from-the-python-package.md`).
pub const BATCH_SIZE_RANGE: std::ops::RangeInclusive<u32> = 100..=100_000;

/// Maximum length of a table name, in characters.
pub(crate) const TABLE_NAME_CHARS_MAX: usize = 255;
