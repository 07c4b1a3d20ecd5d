//! The command, its subcommands and the global options.

use std::path::{Path, PathBuf};

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use mixpanel_data::limits::MEMORY_DEFAULT;

use super::auth::AuthCommand;
use super::export::ExportArgs;
use super::fetch_command::FetchCommand;
use super::inspect::InspectCommand;
use super::models::ModelsCommand;
use super::query::QueryCommand;
use super::simulate::{DemoArgs, SimulateArgs};
use super::verify::VerifyArgs;

/// Export Mixpanel profiles and events to DuckDB and query them with SQL
#[derive(Debug, Parser)]
#[command(
    name = "mp",
    version = concat!("version ", env!("CARGO_PKG_VERSION")),
    subcommand_required = false,
    infer_subcommands = false,
    max_term_width = 100,
    after_help = "Start with `mp demo`, which needs no account, or with `mp auth add`."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,

    /// Print the completion script of a shell; `mp completions` replaces this option
    #[arg(long, value_name = "SHELL", num_args = 0..=1, exclusive = true, hide = true)]
    pub(crate) show_completion: Option<Option<Shell>>,

    /// Install the completion script of a shell; `mp completions --install` replaces this option
    #[arg(long, value_name = "SHELL", num_args = 0..=1, exclusive = true, hide = true)]
    pub(crate) install_completion: Option<Option<Shell>>,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

impl Cli {
    /// Returns whether no command and no option that replaces one is given.
    pub(crate) fn is_bare(&self) -> bool {
        self.command.is_none() && self.show_completion.is_none() && self.install_completion.is_none()
    }

    /// Returns whether the command only prints something.
    pub(crate) fn only_prints(&self) -> bool {
        match &self.command {
            None => self.install_completion.is_none(),
            Some(Command::Query(QueryCommand::Sql(arguments))) => {
                arguments.output.as_deref().is_none_or(|path| path == Path::new("-"))
            }
            Some(Command::Export(arguments)) => arguments.file == Path::new("-"),
            Some(Command::Completions { install, .. }) => !install,
            Some(Command::Simulate(arguments)) => arguments.command.is_empty(),
            Some(Command::Demo(_) | Command::Info) => true,
            Some(Command::Inspect(command)) => !matches!(command, InspectCommand::Drop { .. }),
            Some(Command::Auth(command)) => matches!(command, AuthCommand::List | AuthCommand::Show { .. }),
            Some(Command::Fetch(FetchCommand::Profiles(arguments))) => arguments.stdout || arguments.plan,
            Some(Command::Fetch(FetchCommand::Events(arguments))) => arguments.stdout || arguments.plan,
            Some(Command::Fetch(command)) => matches!(command, FetchCommand::Status),
            Some(Command::Models(_) | Command::Verify(_) | Command::Man { .. }) => false,
        }
    }
}

/// Options that can be given before or after any command. A command rejects those that it would ignore.
#[derive(Debug, Args)]
pub(crate) struct GlobalArgs {
    /// Account to use; see `mp auth list` [env: MP_ACCOUNT]
    #[arg(short, long, global = true, value_name = "NAME", help_heading = "Global options")]
    pub(crate) account: Option<String>,

    /// Project to use instead of the account's [env: MP_PROJECT_ID]
    #[arg(long, global = true, value_name = "PROJECT_ID", help_heading = "Global options")]
    pub(crate) project: Option<String>,

    /// Database file [env: MP_DB] [default: ~/.mp/data/PROJECT_ID.db]
    #[arg(long, global = true, value_name = "PATH", help_heading = "Global options")]
    pub(crate) db: Option<PathBuf>,

    /// Loopback address to use instead of Mixpanel, such as that of `mp simulate` [env: MP_BASE_URL]
    #[arg(long, global = true, value_name = "URL", help_heading = "Global options")]
    pub(crate) base_url: Option<String>,

    /// Output format [env: MP_FORMAT] [default: table on a terminal, else json]
    ///
    /// `csv` prints text unchanged, even if a spreadsheet would read it as a formula; see `--csv-safe`.
    #[arg(short, long, global = true, value_name = "FORMAT", value_enum, help_heading = "Global options")]
    pub(crate) format: Option<Format>,

    /// Filter the JSON output with a jq expression, and print text results without quotes
    ///
    /// Implies `--format json`; with `--format jsonl`, each line is filtered on its own.
    #[arg(long, global = true, value_name = "EXPRESSION", help_heading = "Global options")]
    pub(crate) jq: Option<String>,

    /// With `--format csv`: put a `'` before text that a spreadsheet would read as a formula
    ///
    /// That is text that begins with `=`, `+`, `-`, `@`, a tab or a line end. Numbers are not changed.
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) csv_safe: bool,

    /// Hide progress and notes, waits included; show warnings and errors only
    ///
    /// A fetch can wait for the quota for hours. `--no-progress` hides the progress and still announces waits.
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = "Global options")]
    pub(crate) quiet: u8,

    /// Log requests, responses and decisions to standard error
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = "Global options")]
    pub(crate) verbose: u8,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Indented JSON
    Json,
    /// One JSON value per line
    Jsonl,
    /// Human-readable table
    Table,
    /// Comma-separated values with a header
    Csv,
    /// Values alone: query results separated by tabs; of other results, the main value of each row
    Plain,
}

impl Format {
    /// Returns whether the output is JSON.
    pub(crate) fn is_json(self) -> bool {
        matches!(self, Self::Json | Self::Jsonl)
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Fetch data from Mixpanel into the database
    ///
    /// Every page is on disk before it counts as fetched, and all are loaded at the end, in one transaction. A fetch
    /// that ends early, for whatever reason, leaves an unfinished run: `mp fetch resume` fetches the missing pages
    /// only.
    #[command(subcommand)]
    Fetch(FetchCommand),
    /// Query the database
    #[command(subcommand)]
    Query(QueryCommand),
    /// Write a table to a Parquet, CSV or JSON file
    ///
    /// The format follows from the ending of the name (`.parquet`, `.csv`, `.jsonl`, `.ndjson`, `.json`) or from
    /// `--to-format`. The file is written under a temporary name and renamed when it is complete.
    ///
    /// For part of a table, or several, use `mp query sql "SELECT ..." --output FILE`. JSON columns are written as they
    /// are stored. The metadata of a Parquet file contains the project, the run and the filters of the table.
    Export(ExportArgs),
    /// Show the tables of the database
    #[command(subcommand)]
    Inspect(InspectCommand),
    /// Write models of the data for other programs, such as dbt
    #[command(subcommand)]
    Models(ModelsCommand),
    /// Check that a table has not changed since its last load
    ///
    /// Reads every row. Exits with 0 if the table is intact, else with 1. With --against mixpanel, compares the number of
    /// events on each day with Mixpanel's counts.
    Verify(VerifyArgs),
    /// Manage accounts
    ///
    /// Accounts are stored in `~/.mp/accounts.toml`, readable only by you, or in the file that MP_CONFIG_PATH names. If
    /// `~/.mp/accounts.toml` does not exist, accounts are read from `~/.mp/config.toml`, and the first change copies
    /// them. A `config.toml` of another program is never changed.
    #[command(subcommand)]
    Auth(AuthCommand),
    /// Show versions, paths, the account, the database and the quota
    ///
    /// Works without an account and without a database, and sends no request. With `--format json`, what does not apply
    /// or is unknown is null: `account`, `project`, `region` and `host`; `tables` and `unfinished_runs` of a database
    /// that cannot be read; `quota` without a project. `quota.used` counts requests of this machine in the last hour;
    /// `quota.next_free_at` is null if a request can be sent now.
    Info,
    /// Tour with simulated data; needs no account
    ///
    /// Starts a simulated Mixpanel that takes 400 ms per page, fetches 25,000 profiles one page at a time and then five
    /// at a time, then the events of the same people, and runs some queries. It needs no account and no network, and
    /// leaves nothing behind.
    Demo(DemoArgs),
    /// Run a simulated Mixpanel on this machine
    ///
    /// With COMMAND: starts the simulator, runs the command with the variables that point `mp` at it, and ends with
    /// the command's exit code (128 plus the signal if a signal ended it, 127 if it does not exist, 126 if it cannot be
    /// executed). The command is run without a shell and uses the terminal directly; signals are passed on to it.
    ///
    /// Without: prints these variables, with `--format json` as an object, and runs until interrupted. Set them in the
    /// shell that uses the simulator.
    ///
    /// One of the variables is MP_HOME, a temporary directory: accounts, databases and the quota of the simulated
    /// project are separate from yours, and deleted at the end. To keep a database, name its file with --db.
    Simulate(SimulateArgs),
    /// Print or install the completion script of a shell
    ///
    /// The script completes commands, options, accounts, tables, regions, formats and unfinished runs.
    Completions {
        /// The shell [default: the one in the environment variable SHELL]
        shell: Option<Shell>,
        /// Install the script for the current user instead of printing it
        #[arg(long)]
        install: bool,
    },
    /// Write the man pages
    #[command(hide = true)]
    Man {
        /// The directory, which is created if missing
        directory: PathBuf,
    },
}

impl Command {
    /// Returns whether the command uses the account, project or server from the environment.
    pub(crate) fn reads_environment(&self) -> bool {
        !matches!(self, Self::Completions { .. } | Self::Man { .. } | Self::Demo(_) | Self::Simulate(_))
    }

    /// Returns the system resources that the command needs, if it opens a database or a connection.
    ///
    /// Measured descriptors: 17 for a fetch with five concurrent requests, 11 for `auth test`, 2 for a command that
    /// reads the database. Some spare ones are required, because a slow connection may close after the next one opens.
    /// Memory is the budget plus the address space that eight threads reserve; with less, the system killed some runs.
    pub(crate) fn needs(&self) -> Option<Needs> {
        const RESERVED: u64 = 256 << 20;
        let fetch =
            |memory: Option<u64>| Needs { descriptors: 24, memory: memory.unwrap_or(MEMORY_DEFAULT) + RESERVED };
        match self {
            // Without a load, only the pages in flight need memory: a quarter of the budget.
            Self::Fetch(FetchCommand::Profiles(arguments)) if arguments.stdout => {
                Some(fetch(Some(arguments.workers.memory.unwrap_or(MEMORY_DEFAULT) / 4)))
            }
            Self::Fetch(FetchCommand::Profiles(arguments)) => Some(fetch(arguments.workers.memory)),
            Self::Fetch(FetchCommand::Events(arguments)) => Some(fetch(arguments.how.memory)),
            Self::Fetch(FetchCommand::Resume(arguments)) => Some(fetch(arguments.workers.memory)),
            Self::Verify(arguments) if arguments.repair => Some(fetch(None)),
            Self::Fetch(_)
            | Self::Query(_)
            | Self::Export(_)
            | Self::Inspect(_)
            | Self::Models(_)
            | Self::Verify(_)
            | Self::Info => Some(Needs { descriptors: 6, memory: RESERVED }),
            Self::Auth(AuthCommand::Test { .. } | AuthCommand::Add(_) | AuthCommand::Edit(_)) | Self::Simulate(_) => {
                Some(Needs { descriptors: 16, memory: RESERVED / 4 })
            }
            Self::Demo(_) => Some(Needs { descriptors: 48, ..fetch(None) }),
            Self::Auth(_) | Self::Completions { .. } | Self::Man { .. } => None,
        }
    }
}

/// The system resources that a command needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Needs {
    /// Open files and connections.
    pub(crate) descriptors: usize,
    /// Address space in addition to the program's own, in bytes.
    pub(crate) memory: u64,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn no_two_options_share_a_name() {
        super::Cli::command().debug_assert();
    }
}
