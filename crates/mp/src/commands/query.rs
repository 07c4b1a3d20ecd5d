//! `mp query sql`: runs SQL on the database, read-only, row by row.

use std::io::{IsTerminal as _, Read as _};
use std::ops::ControlFlow;
use std::path::Path;

use mixpanel_data::{Error, SqlPart, SqlValue, Workspace};

use super::export::Export;
use super::spill::{query_failure, with_spill_until_a_signal};
use crate::cli::{FileArgs, Format, QueryCommand, SqlArgs};
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::format::{Kind, Layout, print_results, print_value};
use crate::sql_hint::{reads_empty_name, with_hint};
use crate::streams::Stdin;

/// Maximum size of a query; a larger file was named by mistake.
const QUERY_BYTES_MAX: u64 = 16 << 20;

/// The number of rows that a terminal shows without `--all`.
const ROWS_SHOWN: u64 = 40;

/// The hint for a format that holds one result.
const OTHER_FORMATS: &str = "use `--format jsonl` or `--format table`, or run one statement at a time";

/// Runs `mp query ...`.
pub(crate) fn run(context: &Context, command: QueryCommand) -> Result<Exit, Failure> {
    let QueryCommand::Sql(arguments) = command;
    let query = query_text(context, &arguments)?;
    if let Some(path) = &arguments.output {
        let (workspace, options) = (&context.database()?, &arguments.file_options);
        return Export { context, workspace, query: &query, table: None, path, options }.run();
    }
    let FileArgs { to_format, force, memory } = arguments.file_options;
    if to_format.is_some() || force {
        return Err(Failure::usage("`--to-format` and `--force` need a file")
            .hint("name it with `--output FILE`; `--format` changes what is printed"));
    }
    if arguments.scalar {
        let format = context.requested_format().unwrap_or(Format::Plain);
        check_result_count(&query, "`--scalar` prints one value", "run one statement at a time")?;
        let value = scalar(&with_spill_until_a_signal(context.database()?, memory), &query, memory)?;
        print_value(&context.output, format, &value)?;
        return Ok(Exit::Success);
    }
    let format = table_format(context, arguments.expanded)?;
    match format {
        Format::Json => check_result_count(&query, "`json` output holds one", OTHER_FORMATS)?,
        Format::Csv => check_result_count(&query, "`csv` output holds one", OTHER_FORMATS)?,
        Format::Jsonl | Format::Plain | Format::Table => {}
    }
    let shows_all = arguments.all || !context.output.stdout_is_terminal();
    let layout = Layout {
        kind: Kind::Query,
        is_expanded: arguments.expanded,
        rows_max: if shows_all { u64::MAX } else { ROWS_SHOWN },
    };
    let workspace = with_spill_until_a_signal(context.database()?, memory);
    let result = print_results(&context.output, format, layout, |sink| workspace.sql_exact(&query, sink))?;
    result.map_err(|error| failed(&workspace, &query, memory, &error))?;
    Ok(Exit::Success)
}

/// Returns the format for rows that `--expanded` may show.
pub(super) fn table_format(context: &Context, expanded: bool) -> Result<Format, Failure> {
    let is_possible = matches!(context.chosen_format, None | Some(Format::Table)) && context.output.jq().is_none();
    match (expanded, is_possible) {
        (false, _) => Ok(context.format()),
        (true, true) => Ok(Format::Table),
        (true, false) => Err(Failure::usage("`--expanded` is a layout of `--format table`")
            .hint("omit `--expanded`, or the options `--format` and `--jq`")),
    }
}

/// Checks that the query has at most one result.
fn check_result_count(query: &str, reason: &str, hint: &str) -> Result<(), Failure> {
    match Workspace::sql_result_count(query) {
        0 | 1 => Ok(()),
        results => Err(Failure::usage(format!("the query has {results} results, but {reason}")).hint(hint)),
    }
}

fn scalar(workspace: &Workspace, query: &str, memory: Option<u64>) -> Result<SqlValue, Failure> {
    let mut first = SqlValue::Null;
    let result = workspace.sql_exact(query, |part| match part {
        SqlPart::Columns(_) => ControlFlow::Continue(()),
        SqlPart::Row(values) => {
            first = values.into_iter().next().unwrap_or(SqlValue::Null);
            ControlFlow::Break(())
        }
    });
    result.map_err(|error| failed(workspace, query, memory, &error))?;
    Ok(first)
}

fn query_missing() -> Failure {
    Failure::usage("the query is missing").hint("pass it as an argument, with `--file PATH`, or through a pipe")
}

fn query_text(context: &Context, arguments: &SqlArgs) -> Result<String, Failure> {
    match (&arguments.query, &arguments.file) {
        (Some(query), _) if query == "-" => read(Path::new("-")),
        (Some(query), _) => {
            if reads_empty_name(query) {
                context.output.note(
                    "the query reads a property without a name: in double quotes, the shell replaces `$email`, so write `\\$email`",
                );
            }
            Ok(query.clone())
        }
        (None, Some(file)) => read(&context.path(file)?),
        (None, None) if std::io::stdin().is_terminal() => Err(query_missing()),
        (None, None) => match read(Path::new("-"))? {
            // Without a pipe, as in a cron job, standard input is empty.
            query if query.trim().is_empty() => Err(query_missing()),
            query => Ok(query),
        },
    }
}

fn failed(workspace: &Workspace, query: &str, memory: Option<u64>, error: &Error) -> Failure {
    let failure = query_failure("could not run the query", error, memory);
    with_hint(failure, workspace, query, error)
}

fn read(file: &Path) -> Result<String, Failure> {
    let shown = if file == Path::new("-") { "standard input".to_owned() } else { format!("`{}`", file.display()) };
    let failed = |error: std::io::Error| {
        let failure = Failure::io(format!("cannot read the query from {shown}"), &error);
        match error.kind() {
            std::io::ErrorKind::NotFound => failure.exit(Exit::NotFound),
            std::io::ErrorKind::InvalidData => failure.exit(Exit::Usage),
            _ => failure,
        }
    };
    let mut text = String::new();
    let read = if file == Path::new("-") {
        Stdin.take(QUERY_BYTES_MAX + 1).read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(QUERY_BYTES_MAX + 1).read_to_string(&mut text))
    };
    read.map_err(failed)?;
    if text.len() as u64 > QUERY_BYTES_MAX {
        return Err(Failure::usage(format!("{shown} is too long for a query: more than 16 MiB")));
    }
    Ok(text)
}
