//! Moves parts from the API to the stage and then into the table. This is the only module that deals with both sides.
//!
//! Start with `core::coordinator`, which decides the next step, and `core`, which adds the quota, the writer and the
//! events for the caller. `source`, `profiles` and `events` define which parts exist and how to handle each response.
//! None of these does I/O, except for the quota ledger. `driver` performs the I/O, and `into_table` runs a whole fetch,
//! from the arguments to the report.

mod arrival;
mod callbacks;
mod core;
mod differences;
mod driver;
mod ending;
mod estimate;
mod events;
mod identity;
mod into_table;
mod loading;
mod options;
mod ordered_output;
mod part;
mod profiles;
mod progress;
mod record;
mod refresh;
mod refresh_events;
mod report;
mod request;
mod rules;
mod same_rules;
mod selection;
mod services;
#[cfg(test)]
mod simulation;
mod source;
mod stage_roots;
mod start;
mod stream;
mod superseded;
mod unfinished;
mod unmatched;
mod validate;
mod waiting;
mod writer;

pub(crate) use estimate::plan_fetch;
#[cfg(feature = "benchmarks")]
pub(crate) use events::{EndOfBody, SliceRequest, read_slice};
pub(crate) use events::{
    EventsReport, EventsRequest, fetch_events_into_table, plan_events, resume_events_into_table, stream_events,
};
pub use options::RunOptions;
pub(crate) use ordered_output::RecordSink;
pub use progress::{EVENT_TARGET, FetchEvent};
pub(crate) use refresh_events::{run_to_resume, waiting_for_database};
pub(crate) use request::Control;
pub use request::{ProfileFetch, ResumeFetch};
pub use services::{FetcherService, ParallelProfileFetcherService};
pub(crate) use stage_roots::stage_roots;
pub(crate) use stream::stream_profiles;
pub(crate) use unfinished::unfinished_runs;
pub use unfinished::{RunKind, RunState, UnfinishedRun};
#[cfg(feature = "benchmarks")]
pub(crate) use writer::part_of;
