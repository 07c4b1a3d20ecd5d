//! Rules of the event export, which is fetched in slices of days, without a session.
//!
//! `planner` divides days into slices, and `slices` picks the next one and handles those that arrive or fail.

mod estimate;
mod history;
mod into_table;
mod ordered_slices;
mod outcome;
mod planner;
mod ranges;
mod receive;
mod request;
mod slices;
mod stream;
#[cfg(test)]
mod testing;
mod valid;

pub(crate) use estimate::plan_events;
pub(super) use history::with_first_day;
pub(crate) use into_table::{fetch_events_into_table, resume_events_into_table};
#[cfg(test)]
pub(super) use planner::{days_of_slice, divide};
pub(super) use ranges::date_ranges;
pub(crate) use receive::SliceRequest;
#[cfg(any(test, feature = "benchmarks"))]
pub(crate) use receive::{EndOfBody, read_slice};
pub(super) use receive::{ReceiveFailure, ReceivedSlice, receive};
pub(crate) use request::{EventsReport, EventsRequest};
pub(super) use slices::Slices;
pub(crate) use stream::stream_events;
pub(super) use valid::ValidEvents;
