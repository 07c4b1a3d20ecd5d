//! Limits for fetching events.

use std::time::Duration;

use super::PROGRAM_BYTES;

/// Timeout from sending an export request to the first byte of the response. Mixpanel's own tool waits as long
/// (<https://github.com/mixpanel/mixpanel-utils>): large exports take minutes to begin.
pub const EXPORT_FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(20 * 60);

/// Timeout between two chunks of an export. It does not run while the response is not read because the disk is slower.
pub const EXPORT_IDLE_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// Maximum size of an event in bytes, as a line; a longer one is rejected. Mixpanel accepts events of up to 1 MB.
pub(crate) const EVENT_LINE_BYTES_MAX: usize = 64 << 20;

/// Maximum rows per row group in a staged slice: with events of 300 bytes, as many bytes as
/// [`EVENT_GROUP_BYTES`].
pub(crate) const EVENT_GROUP_ROWS: usize = 8_192;

/// Maximum bytes of text per row group in a staged slice, unless it has a single row; the same as for a page
/// ([`STAGED_GROUP_BYTES`](super::STAGED_GROUP_BYTES)).
pub(crate) const EVENT_GROUP_BYTES: usize = super::STAGED_GROUP_BYTES;

/// Memory of a slice that is being received, in bytes: received chunks, a row group in memory and as Parquet, and the
/// catalogs. An event that is longer than a row group takes about four times its size in addition.
pub(crate) const SLICE_MEMORY_BYTES: u64 = 16 << 20;

const _: () = assert!(SLICE_MEMORY_BYTES * 8 < PROGRAM_BYTES, "a fetch with eight workers stays within its memory");

/// Maximum number of received chunks that wait to be decoded. A chunk has up to 400 KB, and mostly far less.
pub(crate) const CHUNKS_AHEAD_MAX: usize = 8;

/// Maximum bytes of rejects that are held before they are written.
pub(crate) const REJECTS_HELD_BYTES: usize = 1 << 20;

/// Maximum number of days that the rows of a slice can span: 100,000, or 274 years. Rows of further days are rejects.
pub(crate) const SLICE_DAYS_MAX: usize = 100_000;

/// Maximum number of event names with a property catalog of their own; those of other events are added up in one.
pub(crate) const CATALOG_EVENTS_MAX: usize = 2_000;

/// Maximum number of properties in all catalogs of a slice, at about 300 bytes of memory each. Later ones are only
/// counted.
pub(crate) const CATALOG_ENTRIES_MAX: usize = 20_000;
