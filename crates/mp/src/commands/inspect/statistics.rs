//! The statistics of `mp inspect`: JSON prints the library's result, CSV its rows, and a terminal shows bars.

use jiff::Timestamp;
use mixpanel_data::{Error, SqlValue};
use serde::Serialize;
use serde_json::{Value, json};

use super::charts::{bar, bar_cells, heatmap};
use crate::cli::{
    ColumnArgs, CoverageArgs, DailyArgs, DistributionArgs, EngagementArgs, Format, KeysArgs, NumericArgs, TopEventsArgs,
};
use crate::commands::lists::{quoting_hint, split_lists};
use crate::context::Context;
use crate::failure::Failure;
use crate::format::print_value;

/// The columns that only a terminal of at least this width shows.
const ONLY_WIDE: [&str; 2] = ["first_seen", "last_seen"];
const WIDE: usize = 120;

/// Returns the failure of a statistic, with a hint if the table has not the columns that it needs.
fn failed(what: &str, table: &str, error: &Error) -> Failure {
    let headline = format!("could not {what} `{table}`");
    if error.detail("missing_columns").is_some() {
        let hint = "`mp inspect tables` lists the tables; name one of type `events` with `--table`";
        return Failure::without_hint(headline, error).hint(hint);
    }
    Failure::library(headline, error)
}

/// Prints a result: all of it as JSON, its rows in the other formats. A terminal shows an additional column with bars
/// for the numbers of `measure`.
fn print(
    context: &Context,
    result: &impl Serialize,
    rows: &[impl Serialize],
    columns: &[&str],
    measure: &str,
) -> Result<(), Failure> {
    if context.format().is_json() {
        return context.print(record(result));
    }
    let mut records: Vec<Value> = rows.iter().map(record).collect();
    let cells = if context.output.stdout_is_terminal() { bar_cells(context.output.width().into()) } else { 0 };
    if context.format() != Format::Table || cells == 0 || records.is_empty() {
        return context.print_all(columns, records);
    }
    let value = |record: &Value| record[measure].as_f64().unwrap_or_default();
    let largest = records.iter().map(value).fold(0.0, f64::max);
    for record in &mut records {
        record["bar"] = bar(value(record), largest, cells).into();
    }
    let is_wide = usize::from(context.output.width()) >= WIDE;
    let shown = columns.iter().copied().filter(|column| is_wide || !ONLY_WIDE.contains(column));
    context.print_all(&shown.chain(["bar"]).collect::<Vec<_>>(), records)
}

fn record(result: &impl Serialize) -> Value {
    serde_json::to_value(result).expect("it is plain data")
}

/// Returns a record without these fields.
fn without(mut record: Value, fields: &[&str]) -> Value {
    if let Value::Object(record) = &mut record {
        fields.iter().for_each(|field| drop(record.remove(*field)));
    }
    record
}

/// Runs `mp inspect breakdown`.
pub(super) fn breakdown(context: &Context, table: &str) -> Result<(), Failure> {
    let result =
        context.database()?.event_breakdown(table).map_err(|error| failed("count the events of", table, &error))?;
    let columns = ["event_name", "count", "unique_users", "first_seen", "last_seen", "pct_of_total"];
    print(context, &result, &result.events, &columns, "count")
}

/// Returns the events to count; none means all.
fn events(lists: &[String]) -> Result<Vec<String>, Failure> {
    split_lists("--events", lists, "event", "leave it out to count all events")
}

/// Runs `mp inspect daily`.
pub(super) fn daily(context: &Context, arguments: &DailyArgs) -> Result<(), Failure> {
    let (table, events) = (arguments.table.name(), events(&arguments.events.events)?);
    let result = context.database()?.daily_counts(table, &arguments.days.range(Timestamp::now()), &events);
    let result = result.map_err(|error| failed("count the events of", table, &error))?;
    if context.format() == Format::Table
        && context.output.stdout_is_terminal()
        && let (Some(from), Some(to)) = (&result.from_date, &result.to_date)
    {
        let counts: Vec<_> = result.counts.iter().map(|own| (&*own.date, &*own.event, own.count)).collect();
        let text = heatmap(&counts, from, to, context.output.width().into());
        return context.output.show(&format!("{text}\n"));
    }
    print(context, &result, &result.counts, &["date", "event", "count"], "count")
}

/// Runs `mp inspect engagement`.
pub(super) fn engagement(context: &Context, arguments: &EngagementArgs) -> Result<(), Failure> {
    let (table, of) = (arguments.of.table.name(), &arguments.of);
    let (days, events) = (of.days.range(Timestamp::now()), events(&of.events.events)?);
    let result = context.database()?.engagement_distribution(table, &days, &events, &arguments.buckets);
    let result = result.map_err(|error| failed("count the users of", table, &error))?;
    let columns = ["bucket_min", "bucket_label", "user_count", "percentage"];
    print(context, &result, &result.buckets, &columns, "user_count")
}

/// Runs `mp inspect coverage`.
pub(super) fn coverage(context: &Context, arguments: &CoverageArgs) -> Result<(), Failure> {
    let (table, of) = (arguments.of.table.name(), &arguments.of);
    let option = "--properties";
    let properties = split_lists(option, &arguments.properties, "property", quoting_hint(option))?;
    let result = context.database()?.property_coverage(table, &of.event, &properties, &of.days.range(Timestamp::now()));
    let result = result.map_err(|error| failed("read the properties of", table, &error))?;
    let columns = ["property", "defined_count", "null_count", "coverage_percentage"];
    print(context, &result, &result.coverage, &columns, "coverage_percentage")
}

/// Runs `mp inspect distribution`.
pub(super) fn distribution(context: &Context, arguments: &DistributionArgs) -> Result<(), Failure> {
    let (table, of, limit) = (arguments.of.table.name(), &arguments.of, arguments.limit);
    let workspace = context.database()?;
    let result =
        workspace.property_distribution(table, &of.event, &arguments.property, &of.days.range(Timestamp::now()), limit);
    let result = result.map_err(|error| failed("read the properties of", table, &error))?;
    print(context, &result, &result.values, &["value", "count", "percentage"], "count")
}

/// Runs `mp inspect numeric`.
pub(super) fn numeric(context: &Context, arguments: &NumericArgs) -> Result<(), Failure> {
    let (table, of) = (arguments.of.table.name(), &arguments.of);
    let workspace = context.database()?;
    let result = workspace.numeric_summary(
        table,
        &of.event,
        &arguments.property,
        &of.days.range(Timestamp::now()),
        &arguments.percentiles,
    );
    let result = record(&result.map_err(|error| failed("read the properties of", table, &error))?);
    if context.format() != Format::Table {
        return context.print(result);
    }
    let Value::Object(percentiles) = result["percentiles"].clone() else { return context.print(result) };
    let mut shown = without(result, &["percentiles"]);
    let mut percentiles: Vec<(f64, Value)> =
        percentiles.into_iter().filter_map(|(name, value)| Some((name.parse().ok()?, value))).collect();
    percentiles.sort_by(|a, b| a.0.total_cmp(&b.0));
    for (percentile, value) in percentiles {
        shown[format!("p{percentile}")] = value;
    }
    context.print(shown)
}

/// Runs `mp inspect top-events`.
pub(super) fn top_events(context: &Context, arguments: &TopEventsArgs) -> Result<(), Failure> {
    let table = arguments.table.name();
    let events = context.database()?.top_events(table, arguments.kind(), arguments.limit);
    let events = events.map_err(|error| failed("count the events of", table, &error))?;
    let columns = ["event", "count", "percent_change"];
    let records = |event: &mixpanel_data::TopEvent| {
        let mut record = record(event);
        // A number of events has no fraction.
        record["count"] = event.count.to_string().parse().unwrap_or_default();
        record
    };
    let records: Vec<Value> = events.iter().map(records).collect();
    if context.format().is_json() {
        return context.print_all(&columns, records);
    }
    print(context, &json!({}), &records, &columns, "count")
}

/// Runs `mp inspect keys`.
pub(super) fn keys(context: &Context, arguments: &KeysArgs) -> Result<(), Failure> {
    let table = arguments.table.name();
    let keys = context.database()?.property_keys(table, arguments.event.as_deref());
    let keys = keys.map_err(|error| failed("read the properties of", table, &error))?;
    let (output, format) = (&context.output, context.format());
    match format {
        Format::Json => print_value(output, format, &SqlValue::from(json!(keys))),
        Format::Jsonl => keys.into_iter().try_for_each(|key| print_value(output, format, &SqlValue::from(json!(key)))),
        _ => context.print_all(&["name"], keys.into_iter().map(|key| json!({ "name": key })).collect()),
    }
}

/// Runs `mp inspect column`.
pub(super) fn column(context: &Context, arguments: &ColumnArgs) -> Result<(), Failure> {
    let table = arguments.table.name();
    let result = context.database()?.column_stats(table, &arguments.column, arguments.top);
    let result = result.map_err(|error| failed("describe a column of", table, &error))?;
    if context.format() != Format::Table {
        return context.print(record(&result));
    }
    let mut shown = without(record(&result), &["top_values"]);
    if let Value::Object(shown) = &mut shown {
        shown.retain(|_, value| !value.is_null());
    }
    context.print(shown)?;
    print(context, &result, &result.top_values, &["value", "count"], "count")
}

/// Runs `mp inspect summarize`.
pub(super) fn summarize(context: &Context, table: &str) -> Result<(), Failure> {
    let result = context.database()?.summarize(table).map_err(|error| failed("describe", table, &error))?;
    if context.format().is_json() {
        return context.print(record(&result));
    }
    let columns: &[&str] = match context.format() {
        Format::Table => &["column_name", "column_type", "min", "max", "approx_unique", "null_percentage"],
        _ => &[
            "column_name",
            "column_type",
            "min",
            "max",
            "approx_unique",
            "avg",
            "std",
            "q25",
            "q50",
            "q75",
            "count",
            "null_percentage",
        ],
    };
    context.print_all(columns, result.columns.iter().map(record).collect())
}
