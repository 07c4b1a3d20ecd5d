//! `mp fetch`: fetches from Mixpanel into a table or to standard output, and manages unfinished runs.
//!
//! `project` has the code shared by fetch and resume, `summary` its result for people, `filters` builds a query from the
//! options, `property_rules` sets what is dropped and hashed, and `warnings` reports
//! missing data and how to continue.

mod discard;
mod filters;
mod ids;
mod lists;
mod plan;
mod profiles;
mod project;
mod property_rules;
mod resume;
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
        FetchCommand::Resume(arguments) => resume::run(context, &arguments),
        FetchCommand::Status => status::run(context),
        FetchCommand::Discard(arguments) => discard::run(context, &arguments),
    }
}
