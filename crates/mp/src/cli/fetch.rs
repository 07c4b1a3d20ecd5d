//! The arguments of `mp fetch profiles`, `resume` and `discard`.

use std::ops::RangeInclusive;
use std::time::Duration;

use clap::Args;
use mixpanel_data::{Quota, RunOptions};

use super::duration::parse_duration;
use super::property_rules::PropertyRuleArgs;
use super::since::{SinceArg, parse_interval, parse_since};
use super::size::parse_size;

/// The page sizes that Mixpanel accepts.
const PAGE_SIZES: RangeInclusive<i64> = 1..=40_000;

/// What to fetch, where to, and how.
#[derive(Debug, Args)]
pub(crate) struct FetchProfilesArgs {
    /// The table
    #[arg(default_value = "profiles")]
    pub(crate) name: String,

    #[command(flatten)]
    pub(crate) filters: FilterArgs,

    /// Only profiles seen since then: `last`, a duration such as 7d, or a time in UTC such as 2026-11-01
    ///
    /// `last` updates the table with the profiles seen since a day before its last complete load. The other filters must
    /// be those of that load. Profiles that were deleted in Mixpanel, or changed without being seen, are not updated.
    ///
    /// A duration or a time updates the table, if it exists, or creates it. With --append, --replace or --stdout it is a
    /// filter like any other. A later `--since last` continues from the load before.
    #[arg(long, value_name = "TIME", value_parser = parse_since, help_heading = "Which profiles")]
    pub(crate) since: Option<SinceArg>,

    /// Only a sample of at most N profiles, which the server chooses
    ///
    /// Requests only as many pages as needed. A sample does not replace a table and never counts as a complete load, so
    /// `--since last` does not continue from it.
    #[arg(
        long,
        value_name = "N",
        value_parser = parse_limit,
        conflicts_with = "replace",
        help_heading = "Which profiles"
    )]
    pub(crate) limit: Option<u64>,

    /// With --since last or --refresh: replace the table if its last full load is older, such as 30d
    ///
    /// This also removes profiles that were deleted in Mixpanel.
    #[arg(long, value_name = "DURATION", value_parser = parse_interval, help_heading = "The table")]
    pub(crate) full_every: Option<Duration>,

    /// Bring the table up to date: resume an unfinished run, else `--since last`, else fetch all profiles
    ///
    /// Made for cron and other timers: if nothing has changed, the exit code is 0. While another process fetches into
    /// the table, the command fails at once, with exit code 1. A table that no complete fetch with these filters loaded
    /// is left unchanged.
    #[arg(
        long,
        conflicts_with_all = ["since", "limit", "replace", "append", "upsert", "plan", "stdout"],
        help_heading = "The table"
    )]
    pub(crate) refresh: bool,

    /// Replace the table once the new one is complete; if the fetch fails, the old one stays
    #[arg(long, conflicts_with_all = ["append", "upsert"], help_heading = "The table")]
    pub(crate) replace: bool,

    /// Add profiles whose id is not in the table
    #[arg(long, conflicts_with = "upsert", help_heading = "The table")]
    pub(crate) append: bool,

    /// Add new profiles, and replace existing ones unless the fetched ones are older
    ///
    /// A fetched profile is older if both have a time and its own is earlier. One without a readable time always
    /// replaces the existing one. Columns that were added to the table are null in new rows.
    #[arg(long, help_heading = "The table")]
    pub(crate) upsert: bool,

    #[command(flatten)]
    pub(crate) rules: PropertyRuleArgs,

    #[command(flatten)]
    pub(crate) workers: WorkerArgs,

    /// Request N profiles per page, 1 to 40000; the server decides [default: the server's, 1000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(PAGE_SIZES), help_heading = "How")]
    pub(crate) page_size: Option<u32>,

    /// Ignored, 100 to 100000; accepted for compatibility
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(100..=100_000), help_heading = "How")]
    pub(crate) batch_size: Option<u32>,

    #[command(flatten)]
    pub(crate) accept: AcceptArgs,

    #[command(flatten)]
    pub(crate) waits: WaitArgs,

    /// Estimate requests, time and disk space from page 0; the same fetch reuses that page
    #[arg(long, conflicts_with = "stdout", help_heading = "How")]
    pub(crate) plan: bool,

    /// Print profiles as JSON lines instead of storing them
    #[arg(long, conflicts_with_all = ["append", "replace", "upsert"], help_heading = "Output")]
    pub(crate) stdout: bool,

    /// With --stdout: print records as the server sent them
    #[arg(long, requires = "stdout", help_heading = "Output")]
    pub(crate) raw: bool,

    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

/// Which run to resume, and how.
#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    /// The table; optional if only one has unfinished runs
    pub(crate) name: Option<String>,

    /// Resume this run instead of the table's newest one
    #[arg(long, value_name = "ID")]
    pub(crate) run: Option<String>,

    /// Load the pages fetched so far and skip the rest; no request is sent
    #[arg(long)]
    pub(crate) accept_partial: bool,

    /// Replace the table, if it exists
    #[arg(long, conflicts_with_all = ["append", "upsert"], help_heading = "The table")]
    pub(crate) replace: bool,

    /// Resume a run that began before the table's last load, and let its older records replace newer ones
    #[arg(long, help_heading = "The table")]
    pub(crate) force: bool,

    /// Add profiles with new ids to the table, if it exists
    #[arg(long, conflicts_with = "upsert", help_heading = "The table")]
    pub(crate) append: bool,

    /// Update the table, if it exists, as `mp fetch profiles --upsert` does
    #[arg(long, help_heading = "The table")]
    pub(crate) upsert: bool,

    #[command(flatten)]
    pub(crate) filters: FilterArgs,

    #[command(flatten)]
    pub(crate) workers: WorkerArgs,

    #[command(flatten)]
    pub(crate) accept: AcceptArgs,

    #[command(flatten)]
    pub(crate) waits: WaitArgs,

    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

/// Which runs to remove.
#[derive(Debug, Args)]
pub(crate) struct DiscardArgs {
    /// Remove all unfinished runs of this table
    pub(crate) name: Option<String>,

    /// Remove this run
    #[arg(long, value_name = "ID", conflicts_with = "all")]
    pub(crate) run: Option<String>,

    /// Remove all unfinished runs of the database
    #[arg(long, conflicts_with = "name")]
    pub(crate) all: bool,

    /// Skip the confirmation prompt
    #[arg(long)]
    pub(crate) force: bool,
}

/// Which profiles to fetch.
#[derive(Debug, Default, PartialEq, Eq, Args)]
pub(crate) struct FilterArgs {
    /// Only profiles that this Mixpanel expression selects, such as 'properties["plan"] == "pro"'
    ///
    /// Comparisons: `==`, `!=`, `<`, `<=`, `>`, `>=`. Text: `"pro" in properties["plan"]`. Presence:
    /// `defined(properties["plan"])`. Types: `number(...)`, `string(...)`, `boolean(...)`, `datetime(...)`. Combine them
    /// with `and`, `or`, `not` and parentheses. Text is in double quotes; numbers are not quoted.
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

    /// Only the profiles with these ids, separated by commas, from @FILE, or from standard input (`-`)
    ///
    /// Can be repeated. A file has one id per line. Quote an id that has a comma, begins with `@` or is `-`: '"a,b",c'.
    #[arg(long, value_name = "IDS", help_heading = "Which profiles")]
    pub(crate) distinct_ids: Vec<String>,

    /// Profiles of this data group instead of users: its number in the project settings, not its name
    #[arg(short, long, value_name = "ID", help_heading = "Which profiles")]
    pub(crate) group_id: Option<String>,

    /// Behaviors that --where refers to: a JSON array of objects with `window`, `name` and `event_selectors`
    #[arg(long, value_name = "JSON", requires = "filter", conflicts_with = "cohort", help_heading = "Which profiles")]
    pub(crate) behaviors: Option<String>,

    /// Time that --behaviors count back from, in Unix seconds [default: now]
    #[arg(long, value_name = "EPOCH", allow_negative_numbers = true, help_heading = "Which profiles")]
    pub(crate) as_of_timestamp: Option<i64>,
}

impl FilterArgs {
    /// Returns whether no filter is set.
    pub(crate) fn are_none(&self) -> bool {
        *self == Self::default()
    }
}

/// Concurrency and memory.
#[derive(Debug, Args)]
pub(crate) struct WorkerArgs {
    /// Fetch several pages at a time [env: MP_PARALLEL]
    #[arg(short, long, help_heading = "How")]
    pub(crate) parallel: bool,

    /// With --parallel: fetch at most N pages at a time; Mixpanel allows 5 [default: 5]
    #[arg(long, value_name = "N", value_parser = parse_workers, help_heading = "How")]
    pub(crate) workers: Option<u32>,

    /// Memory budget for the whole process, from 200MB; less is slower [default: 400MB]
    ///
    /// Loading profiles of tens of kilobytes or more may take two to three times as much.
    #[arg(long, value_name = "SIZE", value_parser = parse_memory, help_heading = "How")]
    pub(crate) memory: Option<u64>,

    /// Whether MP_PARALLEL or the config file turns `--parallel` off.
    #[arg(skip)]
    pub(crate) parallel_is_off: bool,
}

impl WorkerArgs {
    /// Returns whether the user has not yet chosen between `--parallel` and one page at a time.
    pub(crate) fn may_suggest_parallel(&self) -> bool {
        !self.parallel && !self.parallel_is_off
    }
}

/// Which implausible results are accepted.
#[derive(Debug, Default, Args)]
pub(crate) struct AcceptArgs {
    /// Accept up to PERCENT fewer profiles than Mixpanel announced [default: 0.1, at least one profile]
    ///
    /// A live project changes while it is fetched. If every page arrives but more profiles are missing, the fetch is
    /// incomplete: the exit code is 1, and `--replace` keeps the old table. Profiles repeated by overlapping pages
    /// count once. If Mixpanel announces no number, a table is not replaced by one with fewer rows.
    #[arg(long, value_name = "PERCENT", value_parser = parse_percent, help_heading = "The table")]
    pub(crate) allow_drift: Option<f64>,

    /// With --replace: let an empty result replace a table that has rows
    #[arg(long, help_heading = "The table")]
    pub(crate) allow_empty: bool,
}

/// Limits on requests and waits.
#[derive(Debug, Args)]
pub(crate) struct WaitArgs {
    /// Send at most N counted requests per window, such as 60/h or 60/60s [default: 60/h, which is Mixpanel's]
    #[arg(long, value_name = "N/WINDOW", value_parser = parse_quota, help_heading = "Waiting")]
    pub(crate) quota: Option<Quota>,

    /// Leave N requests of the quota to other programs [default: 0]
    #[arg(long, value_name = "N", help_heading = "Waiting")]
    pub(crate) reserve: Option<u32>,

    /// Give up after this long without progress, whatever the reason [default: 24h]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, help_heading = "Waiting")]
    pub(crate) max_wait: Option<Duration>,

    /// Wait at most this long for another process that has the database open [default: 10m before the load, 2s before a new fetch]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, help_heading = "Waiting")]
    pub(crate) lock_wait: Option<Duration>,
}

/// What is shown, and what counts as success.
#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// Exit with 0 even if records were rejected; they are in the table `_rejects`
    #[arg(long, help_heading = "Output")]
    pub(crate) allow_rejects: bool,

    /// Show no progress; waits are still announced
    #[arg(long, help_heading = "Output")]
    pub(crate) no_progress: bool,
}

/// Parses a number of workers.
pub(crate) fn parse_workers(text: &str) -> Result<u32, String> {
    let workers: u32 = text.parse().map_err(|_| "expected a whole number from 1".to_owned())?;
    if workers == 0 { Err("expected at least 1".to_owned()) } else { Ok(workers) }
}

fn parse_limit(text: &str) -> Result<u64, String> {
    text.parse().ok().filter(|limit| *limit > 0).ok_or_else(|| "expected a whole number from 1".to_owned())
}

/// Returns whether a page may have this many profiles.
pub(crate) fn is_page_size(size: u32) -> bool {
    PAGE_SIZES.contains(&i64::from(size))
}

fn parse_percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim().parse::<f64>();
    let is_valid = |percent: &f64| RunOptions::new().allow_drift(*percent).check().is_ok();
    number.ok().filter(is_valid).ok_or_else(|| "expected 0 to 100".to_owned())
}

/// Parses a memory budget into bytes.
pub(crate) fn parse_memory(text: &str) -> Result<u64, String> {
    let bytes = parse_size(text)?;
    RunOptions::new().memory(bytes).check().map(|()| bytes).map_err(|_| "expected 200MB to 1000GB".to_owned())
}

fn parse_quota(text: &str) -> Result<Quota, String> {
    text.parse().map_err(|error: mixpanel_data::Error| error.to_string())
}
