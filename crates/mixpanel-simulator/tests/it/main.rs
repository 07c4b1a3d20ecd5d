//! The simulator as a real HTTP client meets it.
#![expect(clippy::disallowed_methods, reason = "real time is measured here")]

mod client;
mod faults;
mod limits;
mod odd;
mod paging;
mod queries;
