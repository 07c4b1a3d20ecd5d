//! Counts the requests to a project, so that its limits hold across runs and processes
//! (`docs/mixpanel-api.md#quotas`, `docs/decisions/0006-quota.md`).
//!
//! Mixpanel limits the counted requests of a project in a rolling window, and allows five requests at a time, for all
//! its clients together. A [`RateLimiter`] enforces both limits for one [`Pool`], host and project: every request acquires a
//! [`Permit`] first, and the caller reports the outcome to the permit. With a state directory, all processes that use
//! it share the limits, and nothing is forgotten when a process is killed:
//!
//! - `setting.rs`: [`Quota`], the limit as users write it.
//! - `pool.rs`: [`Pool`], the requests that the server counts together.
//! - `window.rs`: times, the classes of requests, and the quota in the units of the ledger.
//! - `ledger.rs`: the entries of the window, and when there is room. Pure.
//! - `refusal.rs`: how to proceed after a 429 about the window. Pure.
//! - `file.rs`: the ledger as a small file under a file lock.
//! - `lock_file.rs`: opens files for this user only, and nothing but regular files.
//! - `slots.rs`: the concurrency slots, each a file lock that is released when its process dies.
//! - `rate_limiter.rs`: combines them. Each call locks, reads, changes and writes the ledger once.
//!
//! The current time is an argument everywhere, since it has to mean the same to several processes and after a
//! restart. Nothing here sleeps: a caller that has to wait is told until when. The limits hold even if the clock is
//! set back at any time. If it is set forward, the window passes early, and the server's 429 corrects the count.

mod file;
#[cfg(test)]
mod file_tests;
mod ledger;
mod lock_file;
#[cfg(test)]
mod model_tests;
mod pool;
mod rate_limiter;
mod refusal;
#[cfg(test)]
mod refusal_tests;
mod setting;
mod slots;
#[cfg(test)]
mod testing;
mod window;
#[cfg(test)]
mod window_tests;

pub(crate) use pool::Pool;
pub(crate) use rate_limiter::{Acquired, Permit, RateLimiter, Usage, why_wait};
pub use setting::Quota;
pub(crate) use window::RequestClass;
