//! Records the requests to a project, so that its limits hold across runs and processes (`docs/mixpanel-api.md#quotas`,
//! `docs/decisions/0006-quota.md`).
//!
//! Mixpanel allows a project a number of counted requests in a rolling window and five requests at once, whoever sends
//! them. A [`RateLimiter`] keeps both limits for one host and project: every request takes a [`Permit`] first, and the
//! permit is told what became of it. With a directory, all processes that use it keep the limits together, and a
//! process that is killed forgets nothing:
//!
//! - `setting.rs`: [`Quota`], the limit as people write it.
//! - `ledger.rs`: the entries of the window, and when there is room. Pure.
//! - `refusal.rs`: what follows from a 429 that names the window. Pure.
//! - `file.rs`: the ledger as a small file under a file lock.
//! - `slots.rs`: the five concurrency slots, each a file lock that its process loses when it dies.
//! - `rate_limiter.rs`: puts them together. One call is one locked read, change and write.
//!
//! The time of day is an argument everywhere, since it has to mean the same to several processes and after a restart.
//! Nothing here sleeps: who has to wait is told until when. It holds for clocks that are set back at any moment; a clock
//! that is set forward makes the window pass early, and then the server's 429 is the truth.

mod file;
#[cfg(test)]
mod file_test;
mod ledger;
#[cfg(test)]
mod model_test;
mod rate_limiter;
mod refusal;
#[cfg(test)]
mod refusal_test;
mod setting;
mod slots;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod window_test;

pub(crate) use ledger::RequestClass;
pub(crate) use rate_limiter::{Acquired, Permit, RateLimiter, Usage, why_wait};
pub use setting::Quota;
