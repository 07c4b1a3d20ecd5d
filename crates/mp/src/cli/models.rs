//! The arguments of `mp models`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// Write a dbt project that runs Fivetran's package for Mixpanel
    ///
    /// Writes into DIR a project for dbt-duckdb: the view `mixpanel.event`, which has the columns of Fivetran's connector
    /// and reads the table, a profile with the path of the database, and the package `fivetran/mixpanel`. Its README has
    /// the commands that run it. The models are written into the schema `main_mixpanel` of the database.
    ///
    /// The database itself is only read. No credentials are written. See docs/analysis.md.
    Dbt(DbtArgs),
}

/// Where the project is written, and the table that it reads.
#[derive(Debug, Args)]
pub(crate) struct DbtArgs {
    /// The directory of the project, which is created if missing
    #[arg(value_name = "DIR")]
    pub(crate) directory: PathBuf,

    /// The table of events [default: events]
    #[arg(value_name = "TABLE")]
    pub(crate) table: Option<String>,

    /// Replace existing files of the project
    #[arg(long)]
    pub(crate) force: bool,
}
