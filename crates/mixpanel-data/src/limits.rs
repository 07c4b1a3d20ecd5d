//! Every limit and default of the library, with its unit, its arithmetic and its source.

use std::time::Duration;

/// Mixpanel's concurrency limit per project (`docs/mixpanel-api.md#quotas`), and so the most workers of one fetch.
pub const WORKERS_MAX: u32 = 5;

/// Counted queries that Mixpanel allows per project in a rolling hour (`docs/mixpanel-api.md#quotas`).
pub const QUERIES_PER_HOUR: u32 = 60;

/// Time after which a counted query leaves Mixpanel's window: a rolling hour, not a clock hour
/// (`docs/mixpanel-api.md#quotas`).
pub const QUOTA_WINDOW: Duration = Duration::from_secs(3600);

/// Requests that a quota may allow at most. The ledger keeps twice as many entries of 70 bytes, and reads and writes all
/// of them for every request.
pub const QUOTA_REQUESTS_MAX: u32 = 10_000;

/// Shortest and longest window of a quota.
pub const QUOTA_WINDOW_RANGE: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(31 * 86_400);

/// A counted request is taken to be out of the window only when this part of the window has passed on top: 6 s of an
/// hour, for clocks that run apart and for answers that come late.
pub const QUOTA_MARGIN_DIVISOR: u32 = 600;

/// Shortest margin on top of the window, for short windows.
pub const QUOTA_MARGIN_MIN: Duration = Duration::from_millis(50);

/// A request that was sent and never answered, because its process was killed, may be counted by the server as much
/// later than it was sent as this part of the window: a minute of an hour. A probe that was never answered is given up
/// after the same time, and a clock that is set back by less is waited for.
pub const QUOTA_GRACE_DIVISOR: u32 = 60;

/// When others use the quota, the first look whether there is room again comes after this part of the window: 10 minutes
/// of an hour.
pub const QUOTA_PROBE_DIVISOR: u32 = 6;

/// Time for which session pages count, after the hourly limit refused one (`docs/mixpanel-api.md#what-counts`).
pub const SESSION_PAGES_COUNT_FOR: Duration = Duration::from_secs(7 * 86_400);

/// Bytes of a ledger file at most; more is something else. Twice [`QUOTA_REQUESTS_MAX`] entries of 100 bytes are 2 MB.
pub const LEDGER_BYTES_MAX: u64 = 4 << 20;

/// Damaged ledgers of one project that are kept; further ones take the place of the last.
pub const LEDGERS_ASIDE_MAX: u32 = 100;

/// Pages above which a fetch warns about the hourly quota: 80 % of [`QUERIES_PER_HOUR`] (T018, `docs/traceability.md`).
pub const PAGES_WARNING: u32 = QUERIES_PER_HOUR * 4 / 5;

/// Profiles per page when the response does not say; 1,000 in every known sample (`docs/mixpanel-api.md#page-size`).
pub const PAGE_SIZE_DEFAULT: u64 = 1_000;

/// Largest page size that may be requested; the server decides (`docs/mixpanel-api.md#page-size`).
pub const PAGE_SIZE_MAX: u32 = 40_000;

/// Pages in one fetch at most: 10 million pages are 10 billion profiles, and 10 MB of page states.
pub const PAGES_MAX: u64 = 10_000_000;

/// Pages at most that are listed as failed because the fetch was given up before they were requested.
pub const PAGES_LISTED_MAX: usize = 100_000;

/// Time to set up a connection.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Time from sending a request to the first byte of the response (`docs/mixpanel-api.md#timeouts`).
pub const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(120);

/// Time between two pieces of a body.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Time for one whole page.
pub const PAGE_TIMEOUT: Duration = Duration::from_secs(600);

/// Longest time for a call that is not a fetch, with all its attempts and pauses.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// Bytes of one decoded page at most. A page of 40,000 profiles of 1 KB is 40 MB.
pub const PAGE_BYTES_MAX: usize = 64 << 20;

/// Records of one page at most: five times the largest page. A page of 64 MiB has room for 20 million empty ones, each of
/// which costs a hundred bytes while it is read.
pub const PAGE_RECORDS_MAX: usize = 5 * PAGE_SIZE_MAX as usize;

/// Bytes of one profile at most; a larger one is a reject. Mixpanel allows 2,000 properties of 255 bytes, and lists of
/// 256 KB (`docs/mixpanel-api.md#records`); DuckDB, with the memory that it is given, cannot load one of 14 MB.
pub const PROFILE_BYTES_MAX: usize = 4 << 20;

/// Bytes that are kept of one reject at most; the reason of a longer one says so. All rejects of a page together keep no
/// more than [`PAGE_BYTES_MAX`].
pub const REJECT_BYTES_MAX: usize = PROFILE_BYTES_MAX;

/// Names of members of records that are told of at most, when they are not kept.
pub const UNKEPT_NAMES_MAX: usize = 10;

/// Bytes of decoded pages in flight at most, requests under way counted with the largest page seen so far.
pub const FLIGHT_BYTES_MAX: usize = 128 << 20;

/// Decoded bytes per compressed byte at most, past the first mebibyte; text compresses about tenfold.
pub const COMPRESSION_RATIO_MAX: usize = 200;

/// Levels of arrays and objects in a profile's properties at most. Mixpanel documents three. DuckDB's
/// `json_structure` overflows a stack of 8 MiB at 100,000 (measured with 1.5.5), and takes the process with it.
pub const JSON_DEPTH_MAX: usize = 128;

/// Bytes kept of a reply that is not a page, for classification and the error message.
pub const ERROR_BODY_BYTES_MAX: usize = 64 << 10;

/// Characters of a server's error text that are searched for secrets before the beginning of it is shown.
pub const ERROR_JUDGED_CHARS: usize = 1024;

/// Characters of a server's error text that are shown.
pub const ERROR_EXCERPT_CHARS: usize = 300;

/// Pages that have come and are not on disk yet: being read, waiting for the writer, or being written. While there are so
/// many, no request goes out. With [`WORKERS_MAX`], 8 pages live at once.
pub const PAGES_READY_MAX: u32 = 4;

/// Attempts for a page that fails with a server error, a timeout, a broken connection or a broken body.
pub const ATTEMPTS_MAX: u32 = 4;

/// Attempts of a call for a single page that is answered with 429. A fetch goes by the time it waits instead.
pub const RATE_LIMIT_ATTEMPTS_MAX: u32 = 5;

/// Attempts for the page after the last one, which is asked for only to see that nothing follows.
pub const PROBE_ATTEMPTS_MAX: u32 = 2;

/// First pause before a retry; it doubles with each attempt. The pause is drawn from its upper half.
pub const BACKOFF_INITIAL: Duration = Duration::from_millis(500);

/// Longest pause between two attempts after a fault.
pub const BACKOFF_MAX: Duration = Duration::from_secs(20);

/// First pause after a 429 that names no time.
pub const RATE_LIMIT_BACKOFF_INITIAL: Duration = Duration::from_secs(1);

/// Longest pause after a 429 that is not about the hourly quota; a call for a single page waits no longer than this for
/// any.
pub const RATE_LIMIT_WAIT_MAX: Duration = Duration::from_secs(60);

/// Longest time that a run waits without a page coming, whatever it waits for.
pub const MAX_WAIT: Duration = Duration::from_secs(24 * 3600);

/// How far before the start of the last load "since the last load" reaches. `$last_seen` has no time zone
/// (`docs/mixpanel-api.md#records`), zones are up to 14 hours apart, and a profile may be seen some time before that
/// can be read.
pub const SINCE_OVERLAP: Duration = Duration::from_secs(24 * 3600);

/// How far this machine's clock may be ahead of the server's, or of a recorded time, before a warning says so.
pub const CLOCK_TOLERANCE: Duration = Duration::from_secs(300);

/// Longest pause after a 429 for too many concurrent queries. They end within moments, and the 10 s that the server
/// names are an upper bound (`docs/mixpanel-api.md#responses-with-429`).
pub const CONCURRENCY_BACKOFF_MAX: Duration = Duration::from_secs(10);

/// Pages that must come before one more request at a time is tried again, after the server found them too many.
pub const CONCURRENCY_RAISE_PAGES: u32 = 50;

/// Pages in a row that are given up before the fetch is: a server that answers nothing but errors is not asked for a
/// thousand pages four times each. What has come is kept, and the run can be resumed.
pub const GIVEN_UP_MAX: u32 = 10;

/// Longest pause before the server is tried again while nothing reaches it.
pub const OUTAGE_BACKOFF_MAX: Duration = Duration::from_secs(15);

/// Longest time that a run waits for a network that is down. What has come is kept, and the run can be resumed.
pub const OUTAGE_WAIT_MAX: Duration = Duration::from_secs(120);

/// Time between two looks for a place among the queries at once, while other processes have them all.
pub const BUSY_POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Longest sleep before the clocks are looked at again: a laptop may have slept meanwhile.
pub const SLEEP_MAX: Duration = Duration::from_secs(10);

/// Times that a fetch starts over because the server lost the session (`docs/decisions/0002-what-ends-a-fetch.md`).
pub const SESSION_RESTARTS_MAX: u32 = 2;

/// Pages in the middle that are asked for again because they are short, per session: where more are short, the server
/// means it.
pub const SHORT_PAGE_CHECKS_MAX: usize = 3;

/// Times that such a page is asked for at most.
pub const SHORT_PAGE_ATTEMPTS_MAX: u32 = 3;

/// Percent of the announced profiles that may be missing without a fetch being incomplete, because a live project changes
/// while it is read; one profile may be missing in any case.
pub const ALLOWED_DRIFT_PERCENT: f64 = 0.1;

/// Replies in a row that bring nothing new (empty, or the records of another page) before no more pages are requested: as
/// many as can be in flight at once.
pub const NOTHING_NEW_MAX: u32 = WORKERS_MAX;

/// Pages beyond the announced ones that are fetched in any case, while they bring new profiles; after that, as many as were
/// announced.
pub const PAGES_BEYOND_MAX: u32 = 20;

/// Time from the request for a page that nothing announced to the next such request, once there were [`PAGES_BEYOND_MAX`]:
/// only a server far faster than Mixpanel is slowed down by it, and one that sends profiles without end is not flooded.
pub const UNANNOUNCED_PAUSE: Duration = Duration::from_millis(100);

/// Faults in a row, without a page between them, after which no page is requested for the first time while others wait for
/// a retry: twice as many as can be in flight.
pub const FAULTS_IN_A_ROW_MAX: u32 = 2 * WORKERS_MAX;

/// Time that pages in flight get to finish after the caller asked to stop.
pub const STOP_GRACE: Duration = Duration::from_secs(10);

/// Bytes of the description of a run that are read at most. It names every page that is loaded, in 16 bytes, twice: those of
/// ten million pages are 320 MB.
pub const MANIFEST_BYTES_MAX: u64 = 512 << 20;

/// Attempts, 10 ms apart, to take a run that somebody else has for a moment.
pub const RUN_LOCK_ATTEMPTS: u32 = 20;

/// Attempts, 10 ms apart, to get the turn to begin or take a run: 30 s. Whoever has it lists the runs of the database.
pub const RUN_TURN_ATTEMPTS: u32 = 3_000;

/// Memory that a fetch uses at most, the whole process, in bytes. The statement that loads a million profiles of 1 KB takes
/// 4.1 s with the engine's share of this, 5.8 s with that of 256 MB, 8 to 9 s with that of 200 MB (decision 0008).
pub const MEMORY_DEFAULT: u64 = 400_000_000;

/// Least and most memory that a fetch can be told to use, in bytes. The least leaves the engine
/// 43 MB, with which it was tried.
pub const MEMORY_RANGE: std::ops::RangeInclusive<u64> = 200_000_000..=1_000_000_000_000;

/// Memory of the process beside the engine's own: its code, the program, and what allocators keep (decision 0008).
pub const PROGRAM_BYTES: u64 = 150_000_000;

/// Seven bytes are in use where the engine believes that it uses six.
pub const ENGINE_MEMORY_RATIO: (u64, u64) = (6, 7);

/// Memory of the process beside the engine's own, where a load has failed with less for the engine: what the process has
/// in use when no pages are in flight any more.
pub const PROGRAM_BYTES_LAST: u64 = 60_000_000;

/// [`ENGINE_MEMORY_RATIO`] in that case, where most of it is in blocks of [`TEXT_BLOCK_BYTES`].
pub const ENGINE_MEMORY_RATIO_LAST: (u64, u64) = (9, 10);

/// Rows that DuckDB handles as one unit: when it reads or writes a text of more than [`TEXT_INLINE_BYTES`] of one, it has
/// those of all of them in memory.
pub const VECTOR_ROWS: u64 = 2_048;

/// Bytes of a text that DuckDB keeps among others, at most. A longer one goes into blocks of [`TEXT_BLOCK_BYTES`], as many
/// whole texts as fit into one, or into a block of its own.
pub const TEXT_INLINE_BYTES: u64 = 4_096;

/// Bytes of such a block.
pub const TEXT_BLOCK_BYTES: u64 = 256 << 10;

/// Bytes of texts that are read back at once, at most, unless a single one is larger.
pub const READ_STEP_BYTES: u64 = 32 << 20;

/// Memory that the engine needs while it loads, beside the texts that it has in memory.
pub const ENGINE_LEAST_BYTES: u64 = 24_000_000;

/// Bytes of staged rows for each byte that the engine keeps of them beside what it counts, until they are committed:
/// where every block is, and what is in it (decision 0008).
pub const STAGED_BYTES_PER_KEPT: u64 = 250;

/// One part in so many of the memory is for decoded pages in flight, by their decoded size. While a page is read it takes
/// twice that: the reply, and its columns.
pub const FLIGHT_MEMORY_SHARE: u64 = 4;

/// Rows of a row group of a staged page at most. The engine reads a row group as a whole. This is the fewest that a row group
/// of the table has ([`ROW_GROUP_ROWS`]), so that none has to be broken in two (decision 0008).
pub const STAGED_GROUP_ROWS: usize = 2_048;

/// Bytes of a row group of a staged page at most, if it has more than one row. With the least memory the engine cannot read
/// one of 10 MB (decision 0008).
pub const STAGED_GROUP_BYTES: usize = 2 << 20;

/// Profiles of 1 KB that a load takes in a second, for estimates: measured on two cores, 140,000 to 220,000.
pub const LOAD_ROWS_PER_SECOND: f64 = 160_000.0;

/// Threads of DuckDB while it loads, at most; no more than there are processors. Each fills a row group of its own.
pub const LOAD_THREADS_MAX: u32 = 4;

/// Bytes of one row group at most. DuckDB's own 122,880 rows of 1 KB are six times as much: with two threads they take a
/// third more time, and 1 GB of memory (decision 0008).
pub const ROW_GROUP_BYTES: u64 = 20 << 20;

/// Row groups that must fit into the engine's memory: with fewer it waits for itself.
pub const ROW_GROUPS_IN_MEMORY: u64 = 11;

/// Fewest and most rows of one row group.
pub const ROW_GROUP_ROWS: std::ops::RangeInclusive<u64> = 2_048..=122_880;

/// Staged pages that one statement reads at most. More statements make more, smaller row groups; fewer, more memory, because
/// the engine keeps something of every file until the end: 50 MiB of 10,000 (decision 0008).
pub const LOAD_PAGES_PER_STATEMENT: usize = 1_000;

/// Time that a load waits for another process that has the database open. The pages are safe meanwhile, and the wait is
/// announced.
pub const LOCK_WAIT: Duration = Duration::from_secs(600);

/// Time that the look at the database before a fetch waits for another process: longer than another look takes, and short
/// enough for someone who waits at a prompt.
pub const PREFLIGHT_LOCK_WAIT: Duration = Duration::from_secs(2);

/// Time that the second look at the database waits, which a fetch takes once no other can begin: several fetches that
/// begin at the same moment look at it one after the other.
pub const RELOOK_LOCK_WAIT: Duration = Duration::from_secs(10);

/// Time between two attempts to open a database that another process has open.
pub const LOCK_POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Times that a failed query is run again because DuckDB did not give the true reason.
pub const QUERY_REPLAYS_MAX: u32 = 3;

/// Times that a database is reopened to find out whether a failed commit is in it.
pub const REOPENS_MAX: u32 = 3;

/// Times that the quota's ledger is tried while another process has it: a second. Whoever has it is done in less than a
/// millisecond, unless it is stopped.
pub const LEDGER_LOCK_ATTEMPTS: u32 = 2_000;

/// Time between two of these attempts.
pub const LEDGER_LOCK_PAUSE: Duration = Duration::from_micros(500);

/// A wait that grows by less than this is not announced again.
pub const WAIT_GROWTH_TOLD: Duration = Duration::from_secs(1);

/// Smallest and largest accepted `batch_size`. It has no effect: a page is the unit
/// (`docs/decisions/0004-differences-from-the-python-package.md`).
pub const BATCH_SIZE_RANGE: std::ops::RangeInclusive<u32> = 100..=100_000;

/// Longest table name, in characters.
pub const TABLE_NAME_CHARS_MAX: usize = 255;
