//! The arguments of `mp query`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum QueryCommand {
    /// Run a SQL query on the database, read-only
    Sql(SqlArgs),
}

#[derive(Debug, Args)]
pub(crate) struct SqlArgs {
    /// The query
    #[arg(conflicts_with = "file", required_unless_present = "file")]
    pub(crate) query: Option<String>,

    /// Read the query from this file; `-` is standard input
    #[arg(short = 'F', long, value_name = "PATH")]
    pub(crate) file: Option<PathBuf>,

    /// Print the first value of the first row only
    #[arg(short, long)]
    pub(crate) scalar: bool,
}
