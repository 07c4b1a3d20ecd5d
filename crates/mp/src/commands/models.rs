//! `mp models`: files for programs that model the fetched data.

mod dbt;

use crate::cli::ModelsCommand;
use crate::context::Context;
use crate::failure::{Exit, Failure};

/// Runs `mp models ...`.
pub(crate) fn run(context: &Context, command: &ModelsCommand) -> Result<Exit, Failure> {
    match command {
        ModelsCommand::Dbt(arguments) => dbt::run(context, arguments),
    }
}
