//! The arguments of `mp inspect`.

use clap::{Args, Subcommand};

use super::statistics::{
    ColumnArgs, CoverageArgs, DailyArgs, DistributionArgs, EngagementArgs, KeysArgs, NumericArgs, SourceArg,
    TopEventsArgs,
};

#[derive(Debug, Subcommand)]
pub(crate) enum InspectCommand {
    /// List the tables
    Tables {
        /// List views and internal tables as well
        #[arg(long)]
        all: bool,
    },
    /// Show the properties of the profiles in a table
    ///
    /// Lists the properties that most profiles have first. Each has its type (the narrowest SQL type that fits all
    /// values), the percentage of profiles that have a value, the number of different values (approximate beyond 1,000),
    /// the smallest and largest number or time, and the most frequent values or an example. In JSON and CSV, `column` is
    /// its column in the view TABLE_typed.
    Properties {
        /// The table; can be omitted if there is only one
        table: Option<String>,
        /// The table, as an option
        #[arg(short = 't', long = "table", value_name = "TABLE", conflicts_with = "table")]
        named: Option<String>,
    },
    /// Show the columns of a table
    Schema {
        #[command(flatten)]
        table: TableArg,
    },
    /// Show some rows of a table, chosen at random
    Sample {
        #[command(flatten)]
        table: TableArg,
        /// Number of rows
        #[arg(short = 'n', long, value_name = "N", default_value_t = 10, value_parser = super::statistics::parse_positive::<u32>)]
        rows: u32,
        /// Show one field per line
        #[arg(short = 'x', long)]
        expanded: bool,
    },
    /// Count the events of a table by name
    ///
    /// Lists the most frequent events first, with their share of all events, the number of users who have them, and the
    /// first and the last time. An event without a distinct_id belongs to no user.
    Breakdown {
        #[command(flatten)]
        table: SourceArg,
    },
    /// Count the events of each day
    ///
    /// Days are those of UTC, and days without events are left out. A terminal shows a line per event, darker where a
    /// day has more of them.
    Daily(DailyArgs),
    /// Count users by their number of events
    ///
    /// An event without a distinct_id belongs to no user.
    Engagement(EngagementArgs),
    /// Show how often properties of an event have a value
    ///
    /// A property that is missing or null has none.
    Coverage(CoverageArgs),
    /// Show the most frequent values of a property of an event
    ///
    /// Counts events whose property is missing or null as well, with the value null.
    Distribution(DistributionArgs),
    /// Summarize a numeric property of an event
    ///
    /// Only JSON numbers count, not text that looks like a number. Percentiles are exact, interpolated between values.
    Numeric(NumericArgs),
    /// Show the most frequent events of the last day
    ///
    /// That is the last day in the table. `percent_change` compares it with the day before, as a share: 0.5 is half as
    /// many more. It is null if the event did not happen on that day.
    TopEvents(TopEventsArgs),
    /// List the names of the properties
    Keys(KeysArgs),
    /// Describe a column, or an SQL expression
    ///
    /// Counts values, NULLs and different values (approximately), and lists the most frequent values, the range, and for
    /// numbers the mean and the standard deviation.
    Column(ColumnArgs),
    /// Describe every column of a table
    ///
    /// Runs DuckDB's SUMMARIZE: range, approximate number of different values, mean, standard deviation and quartiles.
    Summarize {
        #[command(flatten)]
        table: SourceArg,
    },
    /// Drop a table
    Drop {
        #[command(flatten)]
        table: TableArg,
        /// Skip the confirmation prompt
        #[arg(long)]
        force: bool,
    },
}

/// The table that a command works on, as an argument or as an option.
#[derive(Debug, Args)]
pub(crate) struct TableArg {
    /// The table
    #[arg(value_name = "TABLE", required_unless_present = "table_option")]
    table: Option<String>,

    /// The table, as an option
    #[arg(short, long = "table", value_name = "TABLE", conflicts_with = "table")]
    table_option: Option<String>,
}

impl TableArg {
    /// Returns the name of the table.
    pub(crate) fn name(&self) -> &str {
        self.table.as_deref().or(self.table_option.as_deref()).expect("clap requires one of them")
    }
}
