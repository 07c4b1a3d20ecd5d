//! `mp query sql`: runs SQL on the database, read-only, row by row.

use std::io::Read as _;
use std::ops::ControlFlow;
use std::path::Path;

use mixpanel_data::Workspace;
use serde_json::json;

use crate::cli::{QueryCommand, SqlArgs};
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::format::Rows;
use crate::streams::Stdin;

/// Maximum size of a query; a larger file was named by mistake.
const QUERY_BYTES_MAX: u64 = 16 << 20;

/// Runs `mp query ...`.
pub(crate) fn run(context: &Context, command: QueryCommand) -> Result<Exit, Failure> {
    let QueryCommand::Sql(SqlArgs { query, file, scalar }) = command;
    let query = match (query, file) {
        (Some(query), _) => query,
        (None, Some(file)) => read(&context.path(&file)?)?,
        (None, None) => {
            return Err(Failure::usage("the query is missing").hint("pass it as an argument or with `--file`"));
        }
    };
    let workspace = context.database()?;
    if scalar {
        let value =
            workspace.sql_scalar(&query).map_err(|error| Failure::library("could not run the query", &error))?;
        context.print(json!({ "value": value }))?;
    } else {
        print_rows(context, &workspace, &query)?;
    }
    Ok(Exit::Success)
}

/// Prints the rows of a query as they arrive.
pub(crate) fn print_rows(context: &Context, workspace: &Workspace, query: &str) -> Result<(), Failure> {
    let mut rows = None;
    let mut failure = None;
    let step = |result: Result<(), Failure>, failure: &mut Option<Failure>| match result {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => {
            *failure = Some(error);
            ControlFlow::Break(())
        }
    };
    // Both closures mutate the same values, but never at the same time.
    let state = std::cell::RefCell::new((&mut rows, &mut failure));
    let result = workspace.sql_each(
        query,
        |columns| {
            let (rows, failure) = &mut *state.borrow_mut();
            let begun = Rows::begin(&context.output, context.format(), columns).map(|begun| **rows = Some(begun));
            step(begun, failure)
        },
        |values| {
            let (rows, failure) = &mut *state.borrow_mut();
            match rows.as_mut() {
                Some(rows) => step(rows.row(values), failure),
                None => ControlFlow::Break(()),
            }
        },
    );
    if let Some(failure) = failure {
        return Err(failure);
    }
    // A query can fail after its first rows; the partial output must not look complete.
    result.map_err(|error| Failure::library("could not run the query", &error))?;
    rows.map_or(Ok(()), Rows::end)
}

fn read(file: &Path) -> Result<String, Failure> {
    let shown = file.display();
    let failed = |error: std::io::Error| {
        let failure = Failure::io(format!("cannot read the query from `{shown}`"), &error);
        if error.kind() == std::io::ErrorKind::NotFound { failure.exit(Exit::NotFound) } else { failure }
    };
    let mut text = String::new();
    let read = if file == Path::new("-") {
        Stdin.take(QUERY_BYTES_MAX + 1).read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(QUERY_BYTES_MAX + 1).read_to_string(&mut text))
    };
    read.map_err(failed)?;
    if text.len() as u64 > QUERY_BYTES_MAX {
        return Err(Failure::usage(format!("`{shown}` is too long for a query: more than 16 MiB")));
    }
    Ok(text)
}
