//! Limits of a fetch of events in slices.

use std::time::Duration;

/// Export requests that Mixpanel accepts per project within [`EXPORT_STARTS_WINDOW`] (`docs/mixpanel-api.md#quotas`).
pub(crate) const EXPORT_STARTS_MAX: usize = 3;

/// The window of [`EXPORT_STARTS_MAX`].
pub(crate) const EXPORT_STARTS_WINDOW: Duration = Duration::from_secs(1);

/// Added to [`EXPORT_STARTS_WINDOW`]. The server counts requests when they arrive, so three that were delayed by a slow
/// connection can fall into one second with the next three. A refused request costs more than this wait.
pub(crate) const EXPORT_STARTS_MARGIN: Duration = Duration::from_millis(250);

/// Share of the quota that the plan of a fetch uses before it makes slices longer than a day, in percent: 50 of 60
/// requests an hour. The others are for slices that fail.
pub(crate) const PLANNED_QUOTA_PERCENT: u32 = 84;

/// Size of a slice, in decoded bytes, above which later slices have fewer days. A request that fails has to be repeated
/// as a whole, and large exports are the ones that fail.
pub(crate) const SLICE_BYTES_TARGET: u64 = 500_000_000;

/// Number of events in a slice above which later slices have fewer days.
pub(crate) const SLICE_ROWS_TARGET: u64 = 1_500_000;

/// Number of failed attempts at a slice from which on it is divided into halves, if the last one was cut. All failures
/// of the slice count: they show that repeating it as a whole is costly.
pub(crate) const SLICE_SPLIT_ATTEMPTS: u32 = 2;

/// Consecutive failed requests, with nothing received in between, after which slices are no longer divided and the
/// fetch ends: 20 slices that were cut twice each.
pub(crate) const FRUITLESS_FAULTS_MAX: u32 = 40;
