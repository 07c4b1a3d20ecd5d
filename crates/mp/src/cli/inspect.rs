//! The arguments of `mp inspect`.

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum InspectCommand {
    /// List the tables
    Tables,
    /// Show the columns of a table
    Schema {
        /// The table
        #[arg(short, long)]
        table: String,
    },
    /// Show some rows of a table, chosen at random
    Sample {
        /// The table
        #[arg(short, long)]
        table: String,
        /// Number of rows
        #[arg(short = 'n', long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
        rows: u32,
        /// Show one field per line
        #[arg(short = 'x', long)]
        expanded: bool,
    },
    /// Drop a table
    Drop {
        /// The table
        #[arg(short, long)]
        table: String,
        /// Skip the confirmation prompt
        #[arg(long)]
        force: bool,
    },
}
