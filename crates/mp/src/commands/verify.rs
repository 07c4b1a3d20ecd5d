//! `mp verify`: checks that a table has not changed since it was loaded.

use super::verify_events;
use crate::cli::VerifyArgs;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::text::counted;

/// Runs `mp verify`.
pub(crate) fn run(context: &Context, arguments: &VerifyArgs) -> Result<Exit, Failure> {
    let table = arguments.table.name();
    if arguments.against.is_some() {
        return verify_events::run(context, table, arguments.repair);
    }
    let report = context.database()?.verify_table(table);
    let report = report.map_err(|error| Failure::library(format!("could not verify `{table}`"), &error))?;
    let words = format!(
        "`{}` is as it was loaded: {}, {}",
        report.table,
        counted(report.rows, "row"),
        counted(report.distinct_ids, if report.is_events { "distinct event" } else { "distinct id" })
    );
    let record = serde_json::to_value(&report).expect("a report is plain data");
    // The warning below says what differs.
    let is_in_warning = context.is_for_people() && !report.is_intact();
    let printed = if is_in_warning { Ok(()) } else { context.report(record, &words) };
    if report.is_intact() {
        return printed.map(|()| Exit::Success);
    }
    let headline = format!("`{}` differs from what was loaded:", report.table);
    let lines: Vec<&str> =
        std::iter::once(headline.as_str()).chain(report.problems.iter().map(String::as_str)).collect();
    context.output.warning(&lines.join("\n"));
    match printed {
        Err(failure) if !failure.is_silent() => Err(failure),
        _ => Ok(Exit::Failure),
    }
}
