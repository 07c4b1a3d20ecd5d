//! The arguments of `mp query`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::export::FileArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum QueryCommand {
    /// Run a SQL query on the database, read-only
    ///
    /// The query is an argument, a file, or standard input.
    ///
    /// Every format prints values exactly: JSON columns as they are stored, numbers with all their digits. In JSON,
    /// dates, times and intervals are ISO 8601 text, blobs hexadecimal text, and NaN and infinities text; NULL is null,
    /// an empty CSV field, and NULL in a table. See docs/output.md.
    ///
    /// If the query has several statements, `table`, `jsonl` and `plain` print one result after another; `json` and
    /// `csv` hold only one.
    Sql(SqlArgs),
}

#[derive(Debug, Args)]
pub(crate) struct SqlArgs {
    /// The query; `-`, or nothing if it is piped, is standard input
    #[arg(conflicts_with = "file")]
    pub(crate) query: Option<String>,

    /// Read the query from this file; `-` is standard input
    #[arg(short = 'F', long, value_name = "PATH")]
    pub(crate) file: Option<PathBuf>,

    /// Print only the first value of the first row, without quotes unless a JSON format is given
    #[arg(short, long)]
    pub(crate) scalar: bool,

    /// Show one field per line
    #[arg(short = 'x', long, conflicts_with = "scalar")]
    pub(crate) expanded: bool,

    /// Write the result to this file; `-` is standard output
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["scalar", "expanded"])]
    pub(crate) output: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) file_options: FileArgs,

    /// Show all rows on a terminal, instead of the first 40
    #[arg(long)]
    pub(crate) all: bool,
}
