//! `mp fetch`: fetches from Mixpanel into a table or to standard output, and manages unfinished runs.
//!
//! `profiles` and `events` are the two fetches. `project` has the code shared by them and by resume, `fetched` their
//! results, `summary` the result for people, `filters` builds a query from the options, `property_rules` sets what is
//! dropped and hashed, and `warnings` reports missing data and how to continue.

mod discard;
mod event_output;
mod event_plan;
mod events;
mod fetched;
mod filters;
mod ids;
mod lists;
mod plan;
mod profiles;
mod project;
mod property_rules;
mod resume;
mod sink;
mod status;
mod stream;
mod summary;
mod unfinished;
mod warnings;

use crate::cli::FetchCommand;
use crate::context::Context;
use crate::failure::{Exit, Failure};

/// Runs `mp fetch ...`.
pub(crate) fn run(context: &Context, command: FetchCommand) -> Result<Exit, Failure> {
    match command {
        FetchCommand::Profiles(arguments) => profiles::run(context, &arguments),
        FetchCommand::Events(arguments) => events::run(context, &arguments),
        FetchCommand::Resume(arguments) => resume::run(context, &arguments),
        FetchCommand::Status => status::run(context),
        FetchCommand::Discard(arguments) => discard::run(context, &arguments),
    }
}
