//! Issues permits. Each allows one request within the window and the concurrency slots of a pool, host and project.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::error::Result;

use super::file::LedgerFile;
use super::ledger::{Admission, Cause, Ledger};
use super::pool::Pool;
use super::setting::Quota;
use super::slots::{Slot, Slots};
use super::window::{Micros, RequestClass, WindowParams, micros};

/// Enforces the limits of one pool, host and project. Cheap to clone; clones share their state.
#[derive(Debug, Clone)]
pub(crate) struct RateLimiter(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    pool: Pool,
    quota: Quota,
    params: WindowParams,
    place: Place,
    slots: Slots,
}

#[derive(Debug)]
enum Place {
    Memory(Mutex<Ledger>),
    Disk(LedgerFile),
}

/// The outcome of acquiring a permit.
#[derive(Debug)]
#[must_use]
pub(crate) enum Acquired {
    /// The request may be sent; it is already in the ledger.
    Granted(Permit),
    /// The window is full, or a refusal by the server applies, until `at`, which is always later than `now`. Retry
    /// then, and whenever a request of this process is answered: an uncounted response frees room earlier.
    NotBefore {
        at: Timestamp,
        /// Which of the two applies, or ends later if both do.
        cause: Cause,
        /// Counted requests in the window.
        used: u32,
        /// Maximum number of counted requests in the window: the quota minus the reserve.
        limit: u32,
    },
    /// Requests follow each other too fast; this one may be sent at `at`, which is moments away and later than `now`.
    TooSoon { at: Timestamp },
    /// All concurrency slots are in use. Another process frees its slot without notice, so retry soon.
    NoFreeSlot,
}

/// Describes why a request of a pool must wait.
fn why_wait(pool: Pool, cause: Cause, used: u32, limit: u32) -> String {
    let (one, many) = pool.nouns;
    match (used, limit) {
        _ if cause == Cause::Refused && used < limit => format!(
            "the server reports that its quota is exhausted, although only {used} of {limit} {many} are counted here"
        ),
        _ if cause == Cause::Refused => "the server reports that its quota is exhausted".to_owned(),
        (1, 1) => format!("the quota of 1 {one} is used"),
        (used, limit) if used > limit => format!("{used} {many} count towards the quota, which allows {limit}"),
        _ => format!("{used} of the {limit} {many} in the quota are used"),
    }
}

/// The state of a quota at one point in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Counted requests in the window, including those of other processes that share the state directory.
    pub(crate) used: u32,
    /// Maximum number of counted requests in the window: the quota minus the reserve.
    pub(crate) limit: u32,
    /// Requests reserved for other clients.
    pub(crate) reserve: u32,
    /// The length of the window.
    pub(crate) window: Duration,
    /// How long a request counts once it is answered: the window and a margin.
    pub(crate) counted_for: Duration,
    /// When the counted requests in the window leave it, earliest first. At most the last `limit` of them: the next
    /// request has to wait for the others in any case.
    pub(crate) departures: Vec<Timestamp>,
    /// Whether session pages count: the server refused one because of the window in the last seven days.
    pub(crate) session_pages_count: bool,
    /// When the next counted request may be sent; `None` means now.
    pub(crate) next_free_at: Option<Timestamp>,
}

impl RateLimiter {
    /// Creates a limiter. With a state directory, it shares the ledger and the slots with every process that uses the
    /// same directory, pool, host and project, now or later. Without one, it counts only its own requests. `host`
    /// includes the port if several servers share a host name, as on the loopback interface.
    ///
    /// # Errors
    /// `InvalidInput` for a quota out of range. `Storage` or `DiskFull` if the directory or its files cannot be
    /// created or used, or the ledger is in another version of the format. A damaged ledger is set aside without an
    /// error.
    pub(crate) fn open(pool: Pool, directory: Option<&Path>, host: &str, project: &str, quota: Quota) -> Result<Self> {
        quota.check()?;
        let (place, slots) = match directory {
            None => (Place::Memory(Mutex::new(Ledger::new())), Slots::in_memory(pool.slots)),
            Some(directory) => {
                let file = LedgerFile::new(directory, pool, host, project)?;
                let slots = Slots::Files(file.slot_paths(pool.slots));
                let _lock = file.lock()?;
                // Fail now rather than at the first request if the directory is not writable.
                file.write(&file.read()?)?;
                (Place::Disk(file), slots)
            }
        };
        Ok(Self(Arc::new(Shared { pool, quota, params: WindowParams::new(&quota, pool), place, slots })))
    }

    /// Describes why a request must wait.
    pub(crate) fn why_wait(&self, cause: Cause, used: u32, limit: u32) -> String {
        why_wait(self.0.pool, cause, used, limit)
    }

    /// Returns the notice about a damaged ledger that this limiter set aside, if any.
    pub(crate) fn notice(&self) -> Option<String> {
        match &self.0.place {
            Place::Memory(_) => None,
            Place::Disk(file) => file.notice(),
        }
    }

    /// Acquires a permit to send one request now. A granted request is in the ledger before this returns, so it is
    /// counted even if the process is killed right afterwards.
    ///
    /// # Errors
    /// `Storage` or `DiskFull` if the ledger cannot be read or written. The request must not be sent then.
    pub(crate) fn acquire(&self, class: RequestClass, now: Timestamp) -> Result<Acquired> {
        let Shared { params, slots, .. } = &*self.0;
        self.change(now, |ledger| {
            ledger.refresh_in_flight(|slot| slots.is_held(slot))?;
            if let Admission::NotBefore(at, cause) = ledger.admission(class, params) {
                let used = ledger.departures(params).len();
                let (at, used, limit) = (timestamp(at), count(used), count(params.usable));
                return Ok(Acquired::NotBefore { at, cause, used, limit });
            }
            if let Some(at) = ledger.next_start(params) {
                return Ok(Acquired::TooSoon { at: timestamp(at) });
            }
            let Some(slot) = slots.take()? else { return Ok(Acquired::NoFreeSlot) };
            let id = ledger.add(class, slot.index(), params);
            Ok(Acquired::Granted(Permit { limiter: self.clone(), id, class, _slot: slot }))
        })
    }

    /// Returns the current usage of the quota.
    ///
    /// # Errors
    /// `Storage` or `DiskFull` if the ledger cannot be read or written.
    pub(crate) fn usage(&self, now: Timestamp) -> Result<Usage> {
        let Shared { quota, params, slots, .. } = &*self.0;
        self.change(now, |ledger| {
            ledger.refresh_in_flight(|slot| slots.is_held(slot))?;
            let next_free_at = match ledger.admission(RequestClass::Opening, params) {
                Admission::Now => None,
                Admission::NotBefore(at, _) => Some(timestamp(at)),
            };
            let departures = ledger.departures(params);
            let surplus = departures.len().saturating_sub(params.usable);
            Ok(Usage {
                used: count(departures.len()),
                limit: quota.usable(),
                reserve: quota.reserve,
                window: quota.window,
                counted_for: duration(params.window.saturating_add(params.margin)),
                departures: departures.into_iter().skip(surplus).map(timestamp).collect(),
                session_pages_count: ledger.session_pages_count(),
                next_free_at,
            })
        })
    }

    /// Changes the ledger under its lock. On disk, a change that fails halfway leaves the ledger as it was.
    fn change<R>(&self, now: Timestamp, change: impl FnOnce(&mut Ledger) -> Result<R>) -> Result<R> {
        let Shared { params, place, .. } = &*self.0;
        let now = now.as_microsecond();
        match place {
            Place::Memory(ledger) => {
                let mut ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
                ledger.advance(now, params);
                change(&mut ledger)
            }
            Place::Disk(file) => {
                let _lock = file.lock()?;
                let before = file.read()?;
                let mut ledger = before.clone();
                ledger.advance(now, params);
                let outcome = change(&mut ledger)?;
                if ledger.has_changed(&before) {
                    file.write(&ledger)?;
                }
                Ok(outcome)
            }
        }
    }
}

/// Permission to send one request. Report the outcome through one of the methods. If the permit is dropped instead, the
/// request counts as sent but never answered.
///
/// # Errors
/// All methods fail with `Storage` or `DiskFull` if the ledger cannot be written. The slot is still freed, and the
/// request counts as never answered.
#[derive(Debug)]
pub(crate) struct Permit {
    limiter: RateLimiter,
    id: u64,
    class: RequestClass,
    /// Freed when dropped, after the ledger has been updated.
    _slot: Slot,
}

impl Permit {
    /// Records that the server accepted the request, regardless of the response's content. The request is counted and
    /// ends an earlier refusal.
    pub(crate) fn succeeded(self, now: Timestamp) -> Result<()> {
        self.tell(now, |ledger, params| ledger.succeeded(self.id, self.class, params))
    }

    /// Records that the request failed after the server may have received it. The request is counted as of now, which
    /// is safe because the server counted it no later.
    pub(crate) fn answered(self, now: Timestamp) -> Result<()> {
        self.tell(now, |ledger, params| ledger.answered(self.id, self.class, params))
    }

    /// Records that the server does not count the request, because it responded with 401, 402, or a 429 that is not
    /// about the window (`docs/mixpanel-api.md#what-counts`).
    pub(crate) fn refunded(self, now: Timestamp) -> Result<()> {
        self.tell(now, |ledger, _| ledger.refunded(self.id))
    }

    /// Records a 429 about the window, which is not counted either. Returns when the next request of this class may be
    /// sent, never before `now`. Until then, `acquire` returns that time to every caller.
    pub(crate) fn refused_hourly(self, now: Timestamp, retry_after: Option<Duration>) -> Result<Timestamp> {
        self.tell(now, |ledger, params| timestamp(ledger.refused(self.id, self.class, retry_after.map(micros), params)))
    }

    fn tell<R>(&self, now: Timestamp, change: impl FnOnce(&mut Ledger, &WindowParams) -> R) -> Result<R> {
        self.limiter.change(now, |ledger| Ok(change(ledger, &self.limiter.0.params)))
    }
}

fn timestamp(moment: Micros) -> Timestamp {
    Timestamp::from_microsecond(moment).unwrap_or(Timestamp::MAX)
}

fn duration(span: Micros) -> Duration {
    Duration::from_micros(u64::try_from(span).unwrap_or(0))
}

fn count(requests: usize) -> u32 {
    u32::try_from(requests).unwrap_or(u32::MAX)
}
