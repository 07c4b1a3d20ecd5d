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

use mixpanel_data::{Error, Workspace};

use unfinished::{resume_command, to_name};

use crate::cli::FetchCommand;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::progress::Records;

/// Returns the hint to resume a fetch of events that ended with this error, if it keeps a run.
pub(super) fn resume_hint(context: &Context, workspace: &Workspace, table: &str, error: &Error) -> Option<String> {
    warnings::resume_hint(context, workspace, table, error, Records::Events)
}

/// Returns the hint to fetch what these runs of the table lack.
pub(super) fn missing_days_hint(context: &Context, workspace: &Workspace, table: &str, run_ids: &[&str]) -> String {
    let runs = workspace.unfinished_runs().unwrap_or_default();
    let commands = run_ids.iter().map(|run_id| resume_command(context, table, to_name(&runs, table, run_id)));
    warnings::missing_hint(&commands.collect::<Vec<_>>().join("` and `"), Records::Events)
}

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
