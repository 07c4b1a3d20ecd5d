//! The arguments of the statistics in `mp inspect`, which read a fetched table.

use std::str::FromStr;

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use mixpanel_data::{CountType, Day, DayRange};

use super::fetch_events::parse_day;

/// The table of a statistic, as an argument or as an option.
#[derive(Debug, Args)]
pub(crate) struct SourceArg {
    /// The table [default: events]
    #[arg(value_name = "TABLE")]
    table: Option<String>,

    /// The table, as an option
    #[arg(short, long = "table", value_name = "TABLE", conflicts_with = "table")]
    table_option: Option<String>,
}

impl SourceArg {
    /// Returns the name of the table.
    pub(crate) fn name(&self) -> &str {
        self.table.as_deref().or(self.table_option.as_deref()).unwrap_or("events")
    }
}

/// The days of a statistic.
#[derive(Debug, Args)]
pub(crate) struct DaysArg {
    /// First day in UTC: 2026-11-01, today, yesterday or 7d [default: the first in the table]
    #[arg(long, value_name = "DAY", value_parser = parse_day)]
    from: Option<Day>,

    /// Last day, inclusive, in the same form [default: the last in the table]
    #[arg(long, value_name = "DAY", value_parser = parse_day)]
    to: Option<Day>,
}

impl DaysArg {
    /// Returns the days.
    pub(crate) fn range(&self, now: Timestamp) -> DayRange {
        let today = TimeZone::UTC.to_datetime(now).date();
        DayRange { from: self.from.map(|day| day.on(today)), to: self.to.map(|day| day.on(today)) }
    }
}

/// Parses a whole number from 1.
pub(super) fn parse_positive<N: FromStr + PartialEq + From<u8>>(text: &str) -> Result<N, String> {
    match text.parse::<N>().map_err(|_| "expected a whole number from 1".to_owned())? {
        zero if zero == N::from(0) => Err("must be at least 1".to_owned()),
        number => Ok(number),
    }
}

/// The events of a statistic.
#[derive(Debug, Args)]
pub(crate) struct EventsArg {
    /// Only these events, separated by commas; quote a name that has one: '"a,b",c'
    #[arg(short, long, value_name = "EVENTS")]
    pub(crate) events: Vec<String>,
}

/// The event of a statistic, and its days.
#[derive(Debug, Args)]
pub(crate) struct EventArgs {
    #[command(flatten)]
    pub(crate) table: SourceArg,

    /// The event
    #[arg(short, long, value_name = "EVENT")]
    pub(crate) event: String,

    #[command(flatten)]
    pub(crate) days: DaysArg,
}

#[derive(Debug, Args)]
pub(crate) struct DailyArgs {
    #[command(flatten)]
    pub(crate) table: SourceArg,

    #[command(flatten)]
    pub(crate) days: DaysArg,

    #[command(flatten)]
    pub(crate) events: EventsArg,
}

#[derive(Debug, Args)]
pub(crate) struct EngagementArgs {
    #[command(flatten)]
    pub(crate) of: DailyArgs,

    /// Smallest numbers of events of the ranges [default: 1,2,5,10,25,50,100]
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = parse_positive::<u64>)]
    pub(crate) buckets: Vec<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct CoverageArgs {
    #[command(flatten)]
    pub(crate) of: EventArgs,

    /// The properties, separated by commas; quote a name that has one: '"a,b",c'
    #[arg(short, long, value_name = "PROPERTIES", required = true)]
    pub(crate) properties: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct DistributionArgs {
    #[command(flatten)]
    pub(crate) of: EventArgs,

    /// The property
    #[arg(short, long, value_name = "PROPERTY")]
    pub(crate) property: String,

    /// Maximum number of values
    #[arg(short, long, value_name = "N", default_value_t = 20, value_parser = parse_positive::<u32>)]
    pub(crate) limit: u32,
}

#[derive(Debug, Args)]
pub(crate) struct NumericArgs {
    #[command(flatten)]
    pub(crate) of: EventArgs,

    /// The property
    #[arg(short, long, value_name = "PROPERTY")]
    pub(crate) property: String,

    /// Percentiles, from 0 to 100 [default: 25,50,75,90,95,99]
    #[arg(long, value_name = "N", value_delimiter = ',')]
    pub(crate) percentiles: Vec<f64>,
}

#[derive(Debug, Args)]
#[command(mut_arg("table_option", |argument| argument.short(None)))] // `-t` is `--type`.
pub(crate) struct TopEventsArgs {
    #[command(flatten)]
    pub(crate) table: SourceArg,

    /// What to count
    #[arg(short, long = "type", value_name = "TYPE", value_enum, default_value_t = CountArg::General)]
    kind: CountArg,

    /// Maximum number of events
    #[arg(short, long, value_name = "N", default_value_t = 10, value_parser = parse_positive::<u32>)]
    pub(crate) limit: u32,
}

impl TopEventsArgs {
    /// Returns what is counted.
    pub(crate) fn kind(&self) -> CountType {
        match self.kind {
            CountArg::General => CountType::General,
            CountArg::Unique => CountType::Unique,
            CountArg::Average => CountType::Average,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CountArg {
    /// Events
    General,
    /// Users who have the event
    Unique,
    /// Events per user
    Average,
}

#[derive(Debug, Args)]
pub(crate) struct KeysArgs {
    #[command(flatten)]
    pub(crate) table: SourceArg,

    /// Only properties of this event
    #[arg(short, long, value_name = "EVENT")]
    pub(crate) event: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ColumnArgs {
    #[command(flatten)]
    pub(crate) table: SourceArg,

    /// The column, or an SQL expression over the columns
    #[arg(short, long, value_name = "COLUMN")]
    pub(crate) column: String,

    /// Number of most frequent values
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(crate) top: u32,
}
