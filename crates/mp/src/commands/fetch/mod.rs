//! `mp fetch`: fetches from Mixpanel into a table or to standard output, and manages unfinished runs.
//!
//! `run` is the entry point and contains what fetching and resuming share; `filters` builds a query from the options;
//! `warnings` reports what is missing and how to continue.

mod discard;
mod filters;
mod plan;
mod profiles;
mod resume;
mod run;
mod status;
mod stream;
mod unfinished;
mod warnings;

pub(crate) use run::run;
