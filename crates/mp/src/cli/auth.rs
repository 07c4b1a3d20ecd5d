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
    ///
    /// At a terminal, prompts for everything that is missing. The credentials are tested with one request before they
    /// are saved, unless Mixpanel cannot be reached. Create a service account in Mixpanel under Organization Settings,
    /// Service Accounts; the project number is in the project's settings.
    ///
    /// The secret comes from the prompt, which does not show it, from standard input with --secret-stdin, or from the
    /// environment variable MP_SECRET. It is never an argument: arguments are visible to every user of the machine. It
    /// is stored in `~/.mp/accounts.toml`, readable only by you, or in the file that MP_CONFIG_PATH names.
    Add(AddArgs),
    /// Change an account
    ///
    /// Changes only what the options name. At a terminal and without options, prompts for every value; an empty answer
    /// keeps the present one. The credentials are tested with one request before they are saved, as by `mp auth add`.
    Edit(EditArgs),
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
    ///
    /// Requests the names of the project's events. Exits with 2 if Mixpanel rejects the credentials.
    Test {
        /// The account [default: the account that other commands use]
        name: Option<String>,

        /// Give up after this long without a response
        #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "1m")]
        max_wait: Duration,
    },
}

/// The new account.
#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// Account name
    pub(crate) name: Option<String>,

    /// User name of the service account
    #[arg(short, long)]
    pub(crate) username: Option<String>,

    /// Project number
    #[arg(short, long, value_name = "PROJECT_ID")]
    pub(crate) project: Option<String>,

    /// Region of the project's data: us, eu or in [default: us without a terminal]
    #[arg(short, long, value_name = "REGION", value_parser = parse_region)]
    pub(crate) region: Option<Region>,

    /// Make it the default account; the first account always is
    #[arg(short, long)]
    pub(crate) default: bool,

    /// Prompt for missing values, or fail without a terminal
    #[arg(short, long, conflicts_with = "secret_stdin", hide = true)]
    pub(crate) interactive: bool,

    /// Read the secret from standard input, which must be a pipe or a file
    #[arg(long)]
    pub(crate) secret_stdin: bool,

    /// Save the account without testing the credentials
    #[arg(long)]
    pub(crate) no_test: bool,
}

/// The changes to an account.
#[derive(Debug, Args)]
pub(crate) struct EditArgs {
    /// The account
    pub(crate) name: String,

    /// New user name of the service account
    #[arg(short, long)]
    pub(crate) username: Option<String>,

    /// New project number
    #[arg(short, long, value_name = "PROJECT_ID")]
    pub(crate) project: Option<String>,

    /// New region of the project's data: us, eu or in
    #[arg(short, long, value_name = "REGION", value_parser = parse_region)]
    pub(crate) region: Option<Region>,

    /// Read a new secret from standard input, which must be a pipe or a file
    #[arg(long)]
    pub(crate) secret_stdin: bool,

    /// Save the changes without testing the credentials
    #[arg(long)]
    pub(crate) no_test: bool,
}

fn parse_region(text: &str) -> Result<Region, String> {
    text.parse().map_err(|_| "use us, eu or in".to_owned())
}
