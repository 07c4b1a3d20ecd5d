//! The operations that return one JSON value and send no request for records.

use mixpanel_data::{CountType, DayRange, Error, ErrorKind, Result, Timestamp, Workspace};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::request::day;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Arguments {
    table: String,
    tables: Vec<String>,
    event: Option<String>,
    events: Vec<String>,
    property: String,
    properties: Vec<String>,
    column: String,
    top_n: u32,
    limit: u32,
    percentiles: Vec<f64>,
    buckets: Vec<u64>,
    #[serde(rename = "type")]
    kind: String,
    from_date: Option<String>,
    to_date: Option<String>,
    run_id: String,
    sql: String,
}

/// Calls a method of the workspace. Blocks the thread.
///
/// # Errors
/// Those of the method; `InvalidInput` for arguments that it does not have; `Internal` for an unknown name.
pub(crate) fn call(workspace: &Workspace, name: &str, arguments: &str) -> Result<Value> {
    let given: Arguments = read(arguments)?;
    let table = given.table.as_str();
    let event = || given.event.clone().unwrap_or_default();
    match name {
        "tables" => json(workspace.tables()?),
        "table_schema" => json(workspace.table_schema(table)?),
        "summarize" => json(workspace.summarize(table)?),
        "event_breakdown" => json(workspace.event_breakdown(table)?),
        "property_keys" => json(workspace.property_keys(table, given.event.as_deref())?),
        "column_stats" => json(workspace.column_stats(table, &given.column, given.top_n)?),
        "property_distribution" => {
            json(workspace.property_distribution(table, &event(), &given.property, &days(&given)?, given.limit)?)
        }
        "numeric_summary" => {
            json(workspace.numeric_summary(table, &event(), &given.property, &days(&given)?, &given.percentiles)?)
        }
        "daily_counts" => json(workspace.daily_counts(table, &days(&given)?, &given.events)?),
        "engagement_distribution" => {
            json(workspace.engagement_distribution(table, &days(&given)?, &given.events, &given.buckets)?)
        }
        "property_coverage" => json(workspace.property_coverage(table, &event(), &given.properties, &days(&given)?)?),
        "top_events" => json(workspace.top_events(table, count_type(&given.kind)?, given.limit)?),
        "drop" => json(workspace.drop_tables(&given.tables)?),
        "unfinished_runs" => json(workspace.unfinished_runs()?),
        "discard_run" => json(workspace.discard_run(&given.run_id)?),
        "verify_table" => json(workspace.verify_table(table)?),
        "quota_usage" => Ok(json!({
            "queries": workspace.quota_usage()?, "exports": workspace.export_quota_usage()?,
        })),
        "check_sql" => json(workspace.check_sql(&given.sql)?),
        _ => Err(Error::new(ErrorKind::Internal, format!("there is no operation `{name}`"))),
    }
}

pub(crate) fn read<T: DeserializeOwned>(arguments: &str) -> Result<T> {
    serde_json::from_str(arguments).map_err(|error| Error::new(ErrorKind::InvalidInput, error.to_string()))
}

fn json(value: impl serde::Serialize) -> Result<Value> {
    serde_json::to_value(value).map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))
}

/// Returns the days to describe. Relative ones count back from the current day in UTC, as the days of statistics do.
fn days(arguments: &Arguments) -> Result<DayRange> {
    let now = Timestamp::now().in_tz("UTC").map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))?;
    let date = |name: &str, text: Option<&str>| Ok::<_, Error>(day(name, text)?.map(|day| day.on(now.date())));
    Ok(DayRange {
        from: date("from_date", arguments.from_date.as_deref())?,
        to: date("to_date", arguments.to_date.as_deref())?,
    })
}

fn count_type(text: &str) -> Result<CountType> {
    match text {
        "general" => Ok(CountType::General),
        "unique" => Ok(CountType::Unique),
        "average" => Ok(CountType::Average),
        _ => Err(Error::new(ErrorKind::InvalidInput, format!("type is `{text}`, not general, unique or average"))),
    }
}
