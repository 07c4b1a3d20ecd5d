//! Tests of the simulator through a real HTTP client.
#![expect(clippy::disallowed_methods, reason = "real time is measured here")]

mod client;
mod events;
mod export;
mod export_faults;
mod faults;
mod limits;
mod odd;
mod paging;
mod queries;
