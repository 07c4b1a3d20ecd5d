//! Moves pages from the API to the stage and then into the table: the only module that knows both sides.
//!
//! Start with `plan` (which pages exist), then `coordinator` (what happens next) and `core` (which adds the quota, the
//! writer and the caller); these decide without I/O. Then read `driver`, which performs the I/O, and `pipeline`, which
//! covers everything from the arguments to the report.

mod callbacks;
mod circuit_breaker;
mod coordinator;
mod core;
mod differences;
mod driver;
mod fetcher_service;
mod identity;
mod loading;
mod options;
mod outcome;
mod pages;
mod parallel_profile_fetcher;
mod pipeline;
mod plan;
mod planning;
mod prepare;
mod progress;
mod request;
mod runs;
#[cfg(test)]
mod simulation;
mod stream;
mod streaming;
mod writer;

pub use fetcher_service::FetcherService;
pub use options::RunOptions;
pub use parallel_profile_fetcher::ParallelProfileFetcherService;
pub(crate) use planning::plan_fetch;
pub use progress::FetchEvent;
pub use request::{ProfileFetch, ResumeFetch};
pub(crate) use runs::unfinished_runs;
pub(crate) use streaming::stream_profiles;
