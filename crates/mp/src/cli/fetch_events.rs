//! The arguments of `mp fetch events`.

use clap::{Args, ValueEnum};
use mixpanel_data::limits::{CHUNK_DAYS_RANGE, EVENT_LIMIT_RANGE, EVENT_WORKERS_MAX, REFRESH_DAYS_MAX};
use mixpanel_data::{Day, Dedupe};

use super::fetch::{AcceptArgs, ReportArgs, WaitArgs, WorkerArgs, parse_memory};
use super::property_rules::PropertyRuleArgs;

/// Which events to fetch, where to, and how.
#[derive(Debug, Args)]
pub(crate) struct FetchEventsArgs {
    /// The table
    #[arg(default_value = "events")]
    pub(crate) name: String,

    #[command(flatten)]
    pub(crate) filters: EventFilterArgs,

    /// Fetch the days since then: `last`, `yesterday`, days ago such as 7d, or a date
    ///
    /// `last` fetches the days of the table that may still change and those that came after; the other filters must be
    /// those of its last load. Each fetched day replaces the rows that the table has of it, so that events that were
    /// deleted in Mixpanel, or belong to another id now, disappear. A date or a number of days creates the table if it
    /// does not exist.
    #[arg(
        long,
        value_name = "DAY",
        value_parser = parse_since_day,
        conflicts_with_all = ["from", "to", "limit", "replace", "append"],
        help_heading = "Which events"
    )]
    pub(crate) since: Option<SinceDayArg>,

    /// Bring the table up to date: resume an unfinished run, else `--since last`
    ///
    /// Made for cron and other timers: if nothing has changed, the exit code is 0. The first time, `--from` says where
    /// the table begins. While another process fetches into the table, the command fails at once, with exit code 1.
    #[arg(
        long,
        conflicts_with_all = ["to", "since", "limit", "replace", "append", "plan", "stdout"],
        help_heading = "The table"
    )]
    pub(crate) refresh: bool,

    /// Days after which a day counts as settled and is not fetched again [default: 5]
    ///
    /// Mixpanel's SDKs send events up to five days late. Imports can add events to any day.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=i64::from(REFRESH_DAYS_MAX)), help_heading = "The table")]
    pub(crate) refresh_days: Option<u32>,

    /// Replace the table once the new one is complete; if the fetch fails, the old one stays
    #[arg(long, conflicts_with = "append", help_heading = "The table")]
    pub(crate) replace: bool,

    /// Add events that the table does not have
    #[arg(long, help_heading = "The table")]
    pub(crate) append: bool,

    /// Which events count as duplicates [default: exact]
    #[arg(long, value_name = "RULE", value_enum, help_heading = "The table")]
    pub(crate) dedupe: Option<DedupeArg>,

    /// With --replace: let an empty result replace a table that has rows
    #[arg(long, help_heading = "The table")]
    pub(crate) allow_empty: bool,

    #[command(flatten)]
    pub(crate) rules: PropertyRuleArgs,

    #[command(flatten)]
    pub(crate) how: EventWorkerArgs,

    /// Ignored, 100 to 100000; accepted for compatibility
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(100..=100_000), help_heading = "How")]
    pub(crate) batch_size: Option<u32>,

    #[command(flatten)]
    pub(crate) waits: WaitArgs,

    /// Print the requests and the waits that the fetch needs; no request is sent
    #[arg(long, conflicts_with = "stdout", help_heading = "How")]
    pub(crate) plan: bool,

    /// Print events as JSON lines instead of storing them; duplicates are kept
    #[arg(long, conflicts_with_all = ["append", "replace", "dedupe"], help_heading = "Output")]
    pub(crate) stdout: bool,

    /// With --stdout: print events as the server sent them
    #[arg(long, requires = "stdout", help_heading = "Output")]
    pub(crate) raw: bool,

    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

impl FetchEventsArgs {
    /// Returns which results are accepted.
    pub(crate) fn accept(&self) -> AcceptArgs {
        AcceptArgs { allow_drift: None, allow_empty: self.allow_empty }
    }

    /// Returns the options that a fetch of profiles has as well.
    pub(crate) fn workers(&self) -> WorkerArgs {
        let EventWorkerArgs { parallel, workers, memory, parallel_is_off, .. } = self.how;
        WorkerArgs { parallel, workers, memory, parallel_is_off }
    }
}

/// The events to select.
#[derive(Debug, Default, Args)]
pub(crate) struct EventFilterArgs {
    /// First day: a date such as 2026-11-01, `today`, `yesterday`, or days ago such as 7d
    ///
    /// Days are those of the project's time zone, see --project-timezone. Mixpanel's reports count days in the same zone.
    #[arg(long, value_name = "DAY", value_parser = parse_day, required_unless_present_any = ["since", "refresh"], help_heading = "Which events")]
    pub(crate) from: Option<Day>,

    /// Last day, inclusive, in the same form; at most the project's today
    #[arg(long, value_name = "DAY", value_parser = parse_day, required_unless_present_any = ["since", "refresh"], help_heading = "Which events")]
    pub(crate) to: Option<Day>,

    /// Only events with these names, separated by commas (can be repeated); quote a name that has a comma: '"a,b",c'
    #[arg(short, long, value_name = "NAMES", help_heading = "Which events")]
    pub(crate) events: Vec<String>,

    /// Only events that this Mixpanel expression selects, such as 'properties["plan"] == "pro"'
    ///
    /// Comparisons: `==`, `!=`, `<`, `<=`, `>`, `>=`. Text: `"pro" in properties["plan"]`. Presence:
    /// `defined(properties["plan"])`. Types: `number(...)`, `string(...)`, `boolean(...)`, `datetime(...)`. Combine them
    /// with `and`, `or`, `not` and parentheses. Text is in double quotes; numbers are not quoted.
    #[arg(short = 'w', long = "where", value_name = "EXPRESSION", help_heading = "Which events")]
    pub(crate) filter: Option<String>,

    /// Only a sample of at most N events, which the server chooses; not with --parallel
    #[arg(
        short,
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(i64::from(*EVENT_LIMIT_RANGE.start())..=i64::from(*EVENT_LIMIT_RANGE.end())),
        conflicts_with_all = ["parallel", "replace"],
        help_heading = "Which events"
    )]
    pub(crate) limit: Option<u32>,

    /// Time zone of the project: an IANA name such as Europe/Lisbon [default: the table's, else UTC]
    ///
    /// Projects created before 2023 count days, and send times, in the time zone of their settings. The times are
    /// converted to UTC; in the gap when clocks are set forward, usually an hour, the length of the gap is added, and
    /// in the time that is repeated when they are set back, the earlier time is stored. The table keeps the name of the zone.
    #[arg(long, value_name = "ZONE", help_heading = "Which events")]
    pub(crate) project_timezone: Option<String>,
}

/// Concurrency and memory of a fetch of events.
#[derive(Debug, Default, Args)]
pub(crate) struct EventWorkerArgs {
    /// Fetch several batches at a time; required for more than 100 days [env: MP_PARALLEL]
    #[arg(short, long, help_heading = "How")]
    pub(crate) parallel: bool,

    /// With --parallel: fetch at most N batches at a time; Mixpanel allows 100 [default: 10]
    ///
    /// The memory budget limits N as well: 11 with the default of 400MB, and one more for every 34 MB of --memory.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(EVENT_WORKERS_MAX)), help_heading = "How")]
    pub(crate) workers: Option<u32>,

    /// Days per request, 1 to 100 [default: as the quota and the size of the days allow]
    ///
    /// Mixpanel allows 60 requests per hour. Up to 50 days are fetched one by one; more are combined, but large days are
    /// not. A batch is split if its second or a later attempt arrives incomplete.
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(i64::from(*CHUNK_DAYS_RANGE.start())..=i64::from(*CHUNK_DAYS_RANGE.end())),
        help_heading = "How"
    )]
    pub(crate) chunk_days: Option<u32>,

    /// Memory budget for the whole process, from 200MB; less is slower [default: 400MB]
    #[arg(long, value_name = "SIZE", value_parser = parse_memory, help_heading = "How")]
    pub(crate) memory: Option<u64>,

    /// Whether MP_PARALLEL or the config file turns `--parallel` off.
    #[arg(skip)]
    pub(crate) parallel_is_off: bool,
}

/// The values of `--dedupe`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DedupeArg {
    /// One of those with equal name, distinct_id, time and $insert_id: the one ingested last
    Exact,
    /// One of those with equal name, distinct_id, $insert_id and day, even if their times differ
    Day,
    /// All of them
    None,
}

impl From<DedupeArg> for Dedupe {
    fn from(rule: DedupeArg) -> Self {
        match rule {
            DedupeArg::Exact => Self::Exact,
            DedupeArg::Day => Self::Day,
            DedupeArg::None => Self::None,
        }
    }
}

/// From when on days are fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SinceDayArg {
    /// The first day of the table that may still change.
    Last,
    /// This day.
    Day(Day),
}

fn parse_since_day(text: &str) -> Result<SinceDayArg, String> {
    if text == "last" {
        return Ok(SinceDayArg::Last);
    }
    let day = parse_day(text).map(SinceDayArg::Day);
    day.map_err(|_| "expected `last`, `yesterday`, days ago such as 7d, or a date such as 2026-11-01".to_owned())
}

pub(super) fn parse_day(text: &str) -> Result<Day, String> {
    text.parse().map_err(|error: mixpanel_data::Error| error.message().to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command, FetchCommand};

    fn parse(words: &[&str]) -> Result<FetchEventsArgs, String> {
        let cli = Cli::try_parse_from(["mp", "fetch", "events"].iter().chain(words));
        match cli.map_err(|error| error.to_string())?.command {
            Some(Command::Fetch(FetchCommand::Events(arguments))) => Ok(*arguments),
            other => Err(format!("{other:?}")),
        }
    }

    #[test]
    fn days_are_required_unless_the_table_has_them() {
        let arguments = parse(&["--from", "7d", "--to", "today"]).expect("valid");
        assert_eq!((arguments.filters.from, arguments.filters.to), (Some(Day::Ago(7)), Some(Day::Ago(0))));
        assert_eq!(arguments.name, "events");
        assert_eq!(parse(&["--since", "last"]).expect("valid").since, Some(SinceDayArg::Last));
        assert_eq!(parse(&["--since", "7d"]).expect("valid").since, Some(SinceDayArg::Day(Day::Ago(7))));
        assert!(parse(&["--refresh"]).is_ok() && parse(&["--refresh", "--from", "2026-01-01"]).is_ok());
        for wrong in [
            &[][..],
            &["--from", "7d"],
            &["--to", "today"],
            &["--from", "7d", "--to", "tomorrow"],
            &["--since", "last", "--from", "7d"],
            &["--since", "soon"],
            &["--refresh", "--since", "last"],
            &["--refresh", "--from", "7d", "--to", "today"],
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn options_have_ranges_and_exclude_each_other() {
        let all = |words: &[&str]| parse(&[&["--from", "7d", "--to", "today"], words].concat());
        for good in [
            &["-p", "--workers", "100", "--chunk-days", "100"][..],
            &["-e", "a,b", "-e", "c", "-w", "x", "-l", "100000", "--dedupe", "none"],
            &["--stdout", "--raw", "--limit", "5"],
            &["--refresh-days", "0", "--replace", "--allow-empty"],
        ] {
            assert!(all(good).is_ok(), "{good:?}");
        }
        for wrong in [
            &["--workers", "0"][..],
            &["--workers", "101"],
            &["--chunk-days", "0"],
            &["--chunk-days", "101"],
            &["--limit", "0"],
            &["--limit", "100001"],
            &["--limit", "5", "--parallel"],
            &["--limit", "5", "--replace"],
            &["--append", "--replace"],
            &["--raw"],
            &["--stdout", "--replace"],
            &["--stdout", "--dedupe", "exact"],
            &["--dedupe", "none", "--stdout", "--raw"],
            &["--batch-size", "99"],
            &["--dedupe", "all"],
            &["--refresh-days", "-1"],
            &["--plan", "--stdout"],
        ] {
            assert!(all(wrong).is_err(), "{wrong:?}");
        }
    }
}
