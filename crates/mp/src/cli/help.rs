//! Completes the help texts: examples, where the global options are documented, and the overview of a bare `mp`.

use clap::builder::{StyledStr, Styles};
use clap::{Command, CommandFactory as _};

use super::{Cli, examples};

/// The last line of the help of every command below the root.
const GLOBAL_OPTIONS: &str = "Global options, such as --account, --db and --format: see `mp --help`.";

/// The end of the long help of `mp`.
const REFERENCE: &[(&str, &[&str])] = &[
    (
        "Environment variables:",
        &[
            "MP_ACCOUNT       Account to use, like --account",
            "MP_PROJECT_ID    Project to use, like --project",
            "MP_USERNAME      User name of a service account, instead of a stored account",
            "MP_SECRET        Its secret; requires MP_PROJECT_ID as well",
            "MP_REGION        Its region: us, eu or in [default: us]",
            "MP_BASE_URL      Server to use instead of Mixpanel, like --base-url",
            "MP_DB            Database file, like --db",
            "MP_FORMAT        Output format, like --format",
            "MP_PARALLEL      1: like --parallel; 0: overrides the config file",
            "MP_HASH_KEY      Key of `--hash`",
            "MP_HOME          Directory of all files below [default: ~/.mp]",
            "MP_CONFIG_PATH   Config file [default: ~/.mp/accounts.toml]",
            "HTTPS_PROXY, ALL_PROXY, NO_PROXY, SSL_CERT_FILE",
            "                 Proxy and certificates",
            "PAGER            Program that shows output longer than the screen",
            "NO_COLOR         Disables color",
        ],
    ),
    (
        "Files:",
        &[
            "~/.mp/accounts.toml        Accounts and `[defaults]`; readable only by you",
            "~/.mp/data/PROJECT_ID.db   Database of a project",
            "~/.mp/state                Requests sent in the last hour, for the quota",
        ],
    ),
    (
        "Exit codes:",
        &[
            "0    Success",
            "1    Failure, or a fetch with missing pages or rejected records",
            "2    Credentials rejected, or no access to the project",
            "3    Wrong arguments, query or SQL",
            "4    No such account, table, database, run or file, or no credentials",
            "5    Rate limited",
            "130  Interrupted (143 terminated, 129 hung up)",
        ],
    ),
];

/// The first steps of a new user, shown by a bare `mp`.
const FIRST_STEPS: [&str; 3] = [
    "mp demo                        # a tour with simulated data",
    "mp auth add                    # store a service account",
    "mp fetch profiles --parallel   # fetch all profiles into a table",
];

/// Builds the command and completes its help. Options that every command takes are listed in the help of `mp` only.
pub(super) fn complete(mut command: Command) -> Command {
    command.build();
    let mut sections: Vec<String> = examples::block("").into_iter().collect();
    let header = Styles::styled().get_header().to_owned();
    for (heading, lines) in REFERENCE {
        sections.push(format!("{header}{heading}{header:#}\n  {}", lines.join("\n  ")));
    }
    let command = command.after_long_help(sections.join("\n\n"));
    command.mut_subcommands(|below| complete_below(below, ""))
}

fn complete_below(command: Command, parent: &str) -> Command {
    if command.get_name() == "help" {
        return command;
    }
    let path = format!("{parent} {}", command.get_name()).trim_start().to_owned();
    let command = command.mut_args(|argument| if argument.is_global_set() { argument.hide(true) } else { argument });
    let examples = examples::block(&path).map_or_else(String::new, |block| format!("{block}\n\n"));
    let command = command.after_help(GLOBAL_OPTIONS).after_long_help(format!("{examples}{GLOBAL_OPTIONS}"));
    command.mut_subcommands(|below| complete_below(below, &path))
}

/// Returns the command with its complete help and without `help` subcommands, for man pages.
pub(crate) fn documented() -> Command {
    complete(Cli::command().disable_help_subcommand(true))
}

/// Returns what a bare `mp` prints: the commands and the first steps. It fits a terminal of 80 columns and 24 lines.
pub(crate) fn overview() -> StyledStr {
    let header = Styles::styled().get_header().to_owned();
    let template = format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{header}Commands:{header:#}\n{{subcommands}}{{after-help}}"
    );
    let steps = format!("{header}Examples:{header:#}\n  {}", FIRST_STEPS.join("\n  "));
    Cli::command()
        .disable_help_subcommand(true)
        .help_template(template)
        .after_help(format!("{steps}\n\nRun `mp --help` for options, or `mp COMMAND --help` for a command."))
        .render_help()
}
