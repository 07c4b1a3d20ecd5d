//! The arguments of `mp verify`.

use clap::{Args, ValueEnum};

use super::inspect::TableArg;

/// Which table to check, and against what.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    pub(crate) table: TableArg,

    /// Compare the days of a table of events with Mixpanel's own counts instead
    ///
    /// Sends one query. Days that may still change are left out; `mp fetch events --refresh` fetches them. Mixpanel does
    /// not count hidden events and duplicates, so a day can differ although nothing is missing. After `--repair`, it is
    /// listed again only if Mixpanel's count changes.
    #[arg(long, value_name = "SERVER", value_enum)]
    pub(crate) against: Option<Against>,

    /// With --against mixpanel: fetch the days that differ again, and replace their rows
    #[arg(long, requires = "against")]
    pub(crate) repair: bool,
}

/// What a table is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Against {
    /// The numbers of events that Mixpanel counts on each day
    Mixpanel,
}
