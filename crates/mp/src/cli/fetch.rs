//! `mp fetch` as typed.

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum FetchCommand {
    /// Fetch user profiles, or group profiles, into a table
    Profiles(Box<FetchProfilesArgs>),
}

/// Pages are kept on disk as they come and loaded into the table at the end, in one step: the table is never half full.
#[derive(Debug, Args)]
pub(crate) struct FetchProfilesArgs {
    /// The table
    #[arg(default_value = "profiles")]
    pub(crate) name: String,

    /// Only profiles that this Mixpanel expression selects, such as 'properties["plan"] == "pro"'
    #[arg(short = 'w', long = "where", value_name = "EXPRESSION", help_heading = "Which profiles")]
    pub(crate) filter: Option<String>,

    /// Only members of this saved cohort
    #[arg(short, long, value_name = "ID", help_heading = "Which profiles")]
    pub(crate) cohort: Option<String>,

    /// With --cohort: also members without a profile
    #[arg(long, requires = "cohort", help_heading = "Which profiles")]
    pub(crate) include_all_users: bool,

    /// Only these properties, separated by commas (can be repeated); quote a name that has a comma: '"a,b",c'
    #[arg(short, long, value_name = "NAMES", help_heading = "Which profiles")]
    pub(crate) output_properties: Vec<String>,

    /// Only the profile with this id
    #[arg(long, value_name = "ID", conflicts_with = "distinct_ids", help_heading = "Which profiles")]
    pub(crate) distinct_id: Option<String>,

    /// Only the profiles with these ids (can be repeated)
    #[arg(long, value_name = "ID", help_heading = "Which profiles")]
    pub(crate) distinct_ids: Vec<String>,

    /// Profiles of this data group instead of users
    #[arg(short, long, value_name = "ID", help_heading = "Which profiles")]
    pub(crate) group_id: Option<String>,

    /// Behaviors that --where refers to: a JSON array of objects with `window`, `name` and `event_selectors`
    #[arg(long, value_name = "JSON", requires = "filter", conflicts_with = "cohort", help_heading = "Which profiles")]
    pub(crate) behaviors: Option<String>,

    /// The moment that --behaviors count back from, in seconds since 1970 [default: now]
    #[arg(long, value_name = "EPOCH", allow_negative_numbers = true, help_heading = "Which profiles")]
    pub(crate) as_of_timestamp: Option<i64>,

    /// Replace the table once the new one is complete; until then, and on any failure, the old one stays
    #[arg(long, conflicts_with = "append", help_heading = "The table")]
    pub(crate) replace: bool,

    /// Add profiles whose id the table does not have
    #[arg(long, help_heading = "The table")]
    pub(crate) append: bool,

    /// Fetch several pages at a time
    #[arg(short, long, help_heading = "How")]
    pub(crate) parallel: bool,

    /// With --parallel: fetch at most N pages at a time; Mixpanel allows 5 [default: 5]
    #[arg(long, value_name = "N", value_parser = parse_workers, help_heading = "How")]
    pub(crate) workers: Option<u32>,

    /// Ask for N profiles a page, 1 to 40000; the server decides [default: the server's, 1000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=40_000), help_heading = "How")]
    pub(crate) page_size: Option<u32>,

    /// Accepted for compatibility, 100 to 100000, and without effect: a page is the unit
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(100..=100_000), help_heading = "How")]
    pub(crate) batch_size: Option<u32>,

    /// Print profiles as JSON lines instead of storing them
    #[arg(long, conflicts_with_all = ["append", "replace"], help_heading = "Output")]
    pub(crate) stdout: bool,

    /// With --stdout: print the records as the server sent them
    #[arg(long, requires = "stdout", help_heading = "Output")]
    pub(crate) raw: bool,

    /// Show no progress
    #[arg(long, help_heading = "Output")]
    pub(crate) no_progress: bool,
}

fn parse_workers(text: &str) -> Result<u32, String> {
    let workers: u32 = text.parse().map_err(|_| "expected a whole number from 1".to_owned())?;
    if workers == 0 { Err("at least 1 is needed to fetch anything".to_owned()) } else { Ok(workers) }
}
