//! The command line arguments. The doc comments are the help texts; nothing here reads files or the environment.

mod auth;
mod duration;
mod examples;
mod export;
mod fetch;
mod fetch_command;
mod fetch_events;
mod help;
mod inspect;
mod models;
mod parse;
mod property_rules;
mod query;
mod root;
mod scope;
mod simulate;
mod since;
mod size;
mod statistics;
mod verify;

pub(crate) use auth::{AddArgs, AuthCommand, EditArgs};
pub(crate) use export::{ExportArgs, FileArgs, FileFormat};
pub(crate) use fetch::{
    AcceptArgs, DiscardArgs, FetchProfilesArgs, FilterArgs, ReportArgs, ResumeArgs, WaitArgs, WorkerArgs, is_page_size,
    parse_memory, parse_workers,
};
pub(crate) use fetch_command::FetchCommand;
pub(crate) use fetch_events::{EventWorkerArgs, FetchEventsArgs, SinceDayArg};
pub(crate) use help::{documented, overview};
pub(crate) use inspect::InspectCommand;
pub(crate) use models::{DbtArgs, ModelsCommand};
pub(crate) use parse::{ParseError, is_valid_as_value, parse, usage_of};
pub(crate) use property_rules::{ConfiguredRules, PropertyRuleArgs};
pub(crate) use query::{QueryCommand, SqlArgs};
pub(crate) use root::{Cli, Command, Format, GlobalArgs, Needs};
pub(crate) use simulate::{DemoArgs, SimulateArgs};
pub(crate) use since::SinceArg;
pub(crate) use statistics::{
    ColumnArgs, CoverageArgs, DailyArgs, DistributionArgs, EngagementArgs, KeysArgs, NumericArgs, TopEventsArgs,
};
pub(crate) use verify::VerifyArgs;
