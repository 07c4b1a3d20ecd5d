//! The arguments of `mp auth`.

use std::time::Duration;

use clap::{Args, Subcommand};
use mixpanel_data::Region;

use super::duration::parse_duration;

#[derive(Debug, Subcommand)]
pub(crate) enum AuthCommand {
    /// List the accounts
    List,
    /// Add an account
    Add(AddArgs),
    /// Remove an account
    Remove {
        /// The account
        name: String,
        /// Skip the confirmation prompt
        #[arg(long)]
        force: bool,
    },
    /// Make an account the default
    Switch {
        /// The account
        name: String,
    },
    /// Show an account, without its secret
    Show {
        /// The account [default: the default account]
        name: Option<String>,
    },
    /// Check credentials with one cheap query
    Test {
        /// The account [default: the account that other commands use]
        name: Option<String>,

        /// Give up after this long without a response
        #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "1m")]
        max_wait: Duration,
    },
}

/// Prompts for the secret without echo, unless it comes from --secret-stdin or the environment variable MP_SECRET. It
/// is never an argument: arguments are visible to every user of the machine.
#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// Account name
    pub(crate) name: String,

    /// User name of the service account
    #[arg(short, long)]
    pub(crate) username: Option<String>,

    /// Project number
    #[arg(short, long, value_name = "PROJECT_ID")]
    pub(crate) project: Option<String>,

    /// Region of the project's data: us, eu or in
    #[arg(short, long, value_name = "REGION", default_value = "us", value_parser = parse_region)]
    pub(crate) region: Region,

    /// Make it the default account; the first account always is
    #[arg(short, long)]
    pub(crate) default: bool,

    /// Prompt for missing values
    #[arg(short, long, conflicts_with = "secret_stdin")]
    pub(crate) interactive: bool,

    /// Read the secret from standard input, which must be a pipe or a file
    #[arg(long)]
    pub(crate) secret_stdin: bool,
}

fn parse_region(text: &str) -> Result<Region, String> {
    text.parse().map_err(|_| "use us, eu or in".to_owned())
}
