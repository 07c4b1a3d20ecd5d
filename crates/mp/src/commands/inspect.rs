//! `mp inspect`: the tables of the database, and statistics over them.

mod charts;
mod properties;
mod properties_table;
mod statistics;

use mixpanel_data::{TableInfo, TableSchema};
use serde_json::json;

use super::query::table_format;
use crate::cli::InspectCommand;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::format::{Kind, Layout, print_results};
use crate::prompt::{self, Answer};

/// Runs `mp inspect ...`.
pub(crate) fn run(context: &Context, command: InspectCommand) -> Result<Exit, Failure> {
    match command {
        InspectCommand::Tables { all: false } => tables(context)?,
        InspectCommand::Tables { all: true } => objects(context)?,
        InspectCommand::Properties { table, named } => properties::run(context, table.or(named))?,
        InspectCommand::Schema { table } => schema(context, table.name())?,
        InspectCommand::Sample { table, rows, expanded } => sample(context, table.name(), rows, expanded)?,
        InspectCommand::Breakdown { table } => statistics::breakdown(context, table.name())?,
        InspectCommand::Daily(arguments) => statistics::daily(context, &arguments)?,
        InspectCommand::Engagement(arguments) => statistics::engagement(context, &arguments)?,
        InspectCommand::Coverage(arguments) => statistics::coverage(context, &arguments)?,
        InspectCommand::Distribution(arguments) => statistics::distribution(context, &arguments)?,
        InspectCommand::Numeric(arguments) => statistics::numeric(context, &arguments)?,
        InspectCommand::TopEvents(arguments) => statistics::top_events(context, &arguments)?,
        InspectCommand::Keys(arguments) => statistics::keys(context, &arguments)?,
        InspectCommand::Column(arguments) => statistics::column(context, &arguments)?,
        InspectCommand::Summarize { table } => statistics::summarize(context, table.name())?,
        InspectCommand::Drop { table, force } => drop_table(context, table.name(), force)?,
    }
    Ok(Exit::Success)
}

fn tables(context: &Context) -> Result<(), Failure> {
    let tables = context.database()?.tables().map_err(|error| Failure::library("could not list the tables", &error))?;
    let records = tables.into_iter().map(|TableInfo { name, kind, row_count, fetched_at, partial, .. }| {
        json!({ "name": name, "type": kind, "row_count": row_count, "fetched_at": fetched_at, "partial": partial })
    });
    context.print_all(&["name", "type", "row_count", "fetched_at", "partial"], records.collect())
}

fn objects(context: &Context) -> Result<(), Failure> {
    let objects =
        context.database()?.objects().map_err(|error| Failure::library("could not list the tables", &error))?;
    let records = objects.into_iter().map(|object| serde_json::to_value(object).expect("it is plain data"));
    context.print_all(&["name", "type", "row_count", "fetched_at", "partial"], records.collect())
}

fn schema(context: &Context, table: &str) -> Result<(), Failure> {
    let schema = context.database()?.table_schema(table);
    let TableSchema { table_name, columns, .. } =
        schema.map_err(|error| Failure::library(format!("could not read the columns of `{table}`"), &error))?;
    let columns: Vec<_> = columns
        .into_iter()
        .map(|column| json!({ "name": column.name, "type": column.kind, "nullable": column.nullable }))
        .collect();
    if context.format().is_json() {
        return context.print(json!({ "table": table_name, "columns": columns }));
    }
    context.print_all(&["name", "type", "nullable"], columns)
}

fn sample(context: &Context, table: &str, rows: u32, is_expanded: bool) -> Result<(), Failure> {
    let format = table_format(context, is_expanded)?;
    let layout = Layout { kind: Kind::Query, is_expanded, rows_max: u64::MAX };
    let workspace = context.database()?;
    let result = print_results(&context.output, format, layout, |sink| workspace.sample_exact(table, rows, sink))?;
    result.map_err(|error| Failure::library(format!("could not read from `{table}`"), &error))
}

fn drop_table(context: &Context, table: &str, force: bool) -> Result<(), Failure> {
    let failed = |error: &mixpanel_data::Error| Failure::library(format!("could not drop `{table}`"), error);
    let workspace = context.database()?;
    // Check that the table exists before prompting for confirmation.
    workspace.table_schema(table).map_err(|error| failed(&error))?;
    if !force {
        let database = workspace.database().display();
        if prompt::confirm(&context.output, &format!("Drop the table `{table}` of {database}?"))? == Answer::No {
            return Err(Failure::new("nothing was dropped").hint("use `--force` to skip the confirmation prompt"));
        }
    }
    workspace.drop_tables(&[table.to_owned()]).map_err(|error| failed(&error))?;
    context.report(json!({ "dropped": table }), &format!("Dropped the table `{table}`"))
}
