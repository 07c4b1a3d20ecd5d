//! `mp fetch`: from Mixpanel into a table or to standard output, and what can be done with a run that is unfinished.
//!
//! `run` is the way in and has what fetching and resuming share; `filters` makes a query of the options, `warnings` says
//! what is missing and how to go on.

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
