//! Enforces the request limits of a project across runs and processes (`docs/mixpanel-api.md#quotas`,
//! `docs/decisions/0006-quota.md`).
//!
//! Mixpanel limits the counted requests to a project in a rolling window, and allows five requests in flight, across
//! all clients. The export API has its own limits, including one on requests per second. A [`RateLimiter`] enforces the
//! limits of one [`Pool`], host and project. Every request first acquires a [`Permit`], and the caller reports the
//! outcome to it. With a state directory, all processes that use it share the limits, and counts survive a killed
//! process.
//!
//! - `setting.rs`: [`Quota`], the limit as users write it.
//! - `pool.rs`: [`Pool`], the requests that the server counts together.
//! - `window.rs`: time units, request classes, and the quota in ledger units.
//! - `ledger.rs`: the requests in the window, and the time at which the next one fits. Pure.
//! - `forecast.rs`: how long future requests wait for the quota. Pure.
//! - `refusal.rs`: how to proceed after a 429 about the window. Pure.
//! - `file.rs`: the ledger as a small file under a file lock.
//! - `lock_file.rs`: opens regular files, accessible only to this user.
//! - `slots.rs`: the concurrency slots, each a file lock that is released when its process dies.
//! - `rate_limiter.rs`: combines them. Each call locks, reads, changes and writes the ledger once.
//!
//! Callers pass the current time as wall-clock time, because it must be comparable across processes and restarts.
//! Nothing here sleeps: a caller that has to wait gets the time at which to retry. The limits hold even if the clock is
//! set back at any time. If it is set forward, requests leave the window early, and the server's 429 corrects the
//! count.

#[cfg(test)]
mod export_tests;
mod file;
#[cfg(test)]
mod file_tests;
mod forecast;
#[cfg(test)]
mod forecast_tests;
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

pub(crate) use pool::{Pace, Pool};
pub(crate) use rate_limiter::{Acquired, Permit, RateLimiter, Usage};
pub use setting::Quota;
pub(crate) use window::RequestClass;
