//! The arguments of `mp inspect`.

use clap::{Args, Subcommand};

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
        #[arg(short = 'n', long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
        rows: u32,
        /// Show one field per line
        #[arg(short = 'x', long)]
        expanded: bool,
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
