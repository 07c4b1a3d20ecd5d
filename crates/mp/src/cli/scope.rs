//! Which global options a command uses. The others are rejected rather than ignored.

use super::auth::AuthCommand;
use super::root::{Command, GlobalArgs};

/// A group of global options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    Account,
    Project,
    Database,
    Server,
    Format,
}

impl Command {
    /// Returns the first given global option that the command would ignore.
    pub(crate) fn ignored_option(&self, given: &GlobalArgs) -> Option<&'static str> {
        let options = [
            ("--account", Scope::Account, given.account.is_some()),
            ("--project", Scope::Project, given.project.is_some()),
            ("--db", Scope::Database, given.db.is_some()),
            ("--base-url", Scope::Server, given.base_url.is_some()),
            ("--format", Scope::Format, given.format.is_some()),
            ("--jq", Scope::Format, given.jq.is_some()),
            ("--csv-safe", Scope::Format, given.csv_safe),
        ];
        let scopes = self.scopes();
        options.into_iter().find(|(_, scope, is_given)| *is_given && !scopes.contains(scope)).map(|(name, ..)| name)
    }

    fn scopes(&self) -> &'static [Scope] {
        use Scope::{Account, Database, Format, Project, Server};
        match self {
            Self::Verify(arguments) if arguments.against.is_some() => &[Account, Project, Database, Server, Format],
            Self::Fetch(_) | Self::Info => &[Account, Project, Database, Server, Format],
            Self::Query(_) | Self::Export(_) | Self::Inspect(_) | Self::Models(_) | Self::Verify(_) => {
                &[Account, Project, Database, Format]
            }
            Self::Auth(AuthCommand::Test { .. }) => &[Account, Project, Server, Format],
            Self::Auth(AuthCommand::Add(_) | AuthCommand::Edit(_)) => &[Project, Server, Format],
            Self::Auth(AuthCommand::Show { .. }) => &[Account, Format],
            Self::Auth(_) | Self::Demo(_) | Self::Simulate(_) => &[Format],
            Self::Completions { .. } | Self::Man { .. } => &[],
        }
    }
}
