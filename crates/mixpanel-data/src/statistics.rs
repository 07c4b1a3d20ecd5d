//! Public results of the statistics over a table. `docs/analysis.md` defines them.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

/// A range of days, both inclusive. A day without a value is the first or last one of the table. Days are those of UTC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DayRange {
    /// The first day.
    pub from: Option<jiff::civil::Date>,
    /// The last day.
    pub to: Option<jiff::civil::Date>,
}

/// What `Workspace::top_events` counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CountType {
    /// Events.
    #[default]
    General,
    /// Users who have the event.
    Unique,
    /// Events per user who has the event.
    Average,
}

/// One event in the result of `Workspace::event_breakdown`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct EventStats {
    /// Its name.
    pub event_name: String,
    /// Number of rows.
    pub count: u64,
    /// Number of users who have it.
    pub unique_users: u64,
    /// Time of the first one, in UTC, ISO 8601; `None` if no row has a time.
    pub first_seen: Option<String>,
    /// Time of the last one, in UTC, ISO 8601; `None` if no row has a time.
    pub last_seen: Option<String>,
    /// Percentage of all events, rounded to two decimals.
    pub pct_of_total: f64,
}

/// The events of a table, the most frequent first.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct EventBreakdownResult {
    /// The table.
    pub table: String,
    /// Number of rows.
    pub total_events: u64,
    /// Number of users.
    pub total_users: u64,
    /// The times of the first and the last event; `None` if the table is empty.
    pub date_range: Option<(String, String)>,
    /// The events.
    pub events: Vec<EventStats>,
}

/// The number of one event on one day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DailyCount {
    /// The day: `YYYY-MM-DD`.
    pub date: String,
    /// The event.
    pub event: String,
    /// Number of rows.
    pub count: u64,
}

/// The number of each event on each day. Days without an event are left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DailyCountsResult {
    /// The first day; `None` if none is given and the table is empty.
    pub from_date: Option<String>,
    /// The last day.
    pub to_date: Option<String>,
    /// The requested events; `None` for all.
    pub events: Option<Vec<String>>,
    /// The counts, by day and event.
    pub counts: Vec<DailyCount>,
}

/// The users with a number of events in one range.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct EngagementBucket {
    /// The smallest number of events.
    pub bucket_min: u64,
    /// The range: `1`, `2-4`, `100+`.
    pub bucket_label: String,
    /// Number of users.
    pub user_count: u64,
    /// Percentage of all users, rounded to two decimals.
    pub percentage: f64,
}

/// How many users have how many events.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct EngagementDistributionResult {
    /// The first day; `None` if none is given and the table is empty.
    pub from_date: Option<String>,
    /// The last day.
    pub to_date: Option<String>,
    /// The events that count; `None` for all.
    pub events: Option<Vec<String>>,
    /// Number of users with at least one event. Events without a `distinct_id` belong to no user.
    pub total_users: u64,
    /// The ranges, in order.
    pub buckets: Vec<EngagementBucket>,
}

/// How often one property of an event has a value.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PropertyCoverage {
    /// The property.
    pub property: String,
    /// Number of events with a value other than null.
    pub defined_count: u64,
    /// Number of events without the property, or with null.
    pub null_count: u64,
    /// Percentage of events with a value, rounded to two decimals.
    pub coverage_percentage: f64,
}

/// How often properties of an event have a value.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PropertyCoverageResult {
    /// The event.
    pub event: String,
    /// The first day; `None` if none is given and the table is empty.
    pub from_date: Option<String>,
    /// The last day.
    pub to_date: Option<String>,
    /// Number of events.
    pub total_events: u64,
    /// The properties, in the order in which they were given.
    pub coverage: Vec<PropertyCoverage>,
}

/// A value of a property, and how often it occurs.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PropertyValueCount {
    /// The value; null if the property is missing or null. JSON with an integer beyond 64 bits is text.
    pub value: Value,
    /// Number of events.
    pub count: u64,
    /// Percentage of all events, rounded to two decimals.
    pub percentage: f64,
}

/// The most frequent values of a property.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PropertyDistributionResult {
    /// The event.
    pub event: String,
    /// The property.
    pub property_name: String,
    /// The first day; `None` if none is given and the table is empty.
    pub from_date: Option<String>,
    /// The last day.
    pub to_date: Option<String>,
    /// Number of events, also those with other values.
    pub total_count: u64,
    /// The values, the most frequent first.
    pub values: Vec<PropertyValueCount>,
}

/// A summary of a numeric property. Values that are not JSON numbers do not count.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct NumericPropertySummaryResult {
    /// The event.
    pub event: String,
    /// The property.
    pub property_name: String,
    /// The first day; `None` if none is given and the table is empty.
    pub from_date: Option<String>,
    /// The last day.
    pub to_date: Option<String>,
    /// Number of events with a number. Without any, all other fields are `None`.
    pub count: u64,
    /// The smallest number; like the other fields, `None` if an `f64` cannot represent it.
    pub min: Option<f64>,
    /// The largest number.
    pub max: Option<f64>,
    /// The sum.
    pub sum: Option<f64>,
    /// The mean.
    pub avg: Option<f64>,
    /// The standard deviation of all values (of the population).
    pub stddev: Option<f64>,
    /// The percentiles by number, interpolated between values.
    pub percentiles: BTreeMap<String, Option<f64>>,
}

/// An event of the last day in the table, compared with the day before.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TopEvent {
    /// The event.
    pub event: String,
    /// Number of events, of users, or of events per user; see [`CountType`].
    pub count: f64,
    /// The change since the day before, as a share of that day's number: 0.5 is half as many more. `None` if there were
    /// none.
    pub percent_change: Option<f64>,
}

/// A value of a column, and how often it occurs.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ColumnValue {
    /// The value. JSON with an integer beyond 64 bits is text.
    pub value: Value,
    /// Number of rows.
    pub count: u64,
}

/// Statistics of a column, or of an SQL expression over the columns.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ColumnStatsResult {
    /// The table.
    pub table: String,
    /// The column or expression.
    pub column: String,
    /// Its SQL type.
    pub dtype: String,
    /// Number of rows with a value.
    pub count: u64,
    /// Number of rows with NULL.
    pub null_count: u64,
    /// Percentage of rows with NULL, rounded to two decimals.
    pub null_pct: f64,
    /// Approximate number of different values.
    pub unique_count: u64,
    /// Percentage of values that differ, approximately, rounded to two decimals.
    pub unique_pct: f64,
    /// The most frequent values, the most frequent first.
    pub top_values: Vec<ColumnValue>,
    /// The smallest value, as text.
    pub min: Option<String>,
    /// The largest value, as text.
    pub max: Option<String>,
    /// The mean of a numeric column; `None` if it is infinite or NaN.
    pub mean: Option<f64>,
    /// The standard deviation of a numeric column (of a sample); `None` if it is infinite or NaN.
    pub std: Option<f64>,
}

/// DuckDB's summary of a column.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ColumnSummary {
    /// Its name.
    pub column_name: String,
    /// Its SQL type.
    pub column_type: String,
    /// The smallest value, as text.
    pub min: Option<String>,
    /// The largest value, as text.
    pub max: Option<String>,
    /// Approximate number of different values.
    pub approx_unique: u64,
    /// The mean of a numeric column; `None` if it is infinite or NaN.
    pub avg: Option<f64>,
    /// The standard deviation of a numeric column (of a sample); `None` if it is infinite or NaN.
    pub std: Option<f64>,
    /// A quarter of the values are smaller, approximately; as text.
    pub q25: Option<String>,
    /// The approximate median, as text.
    pub q50: Option<String>,
    /// A quarter of the values are larger, approximately; as text.
    pub q75: Option<String>,
    /// Number of rows.
    pub count: u64,
    /// Percentage of rows with NULL.
    pub null_percentage: f64,
}

/// DuckDB's summary of all columns of a table.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SummaryResult {
    /// The table.
    pub table: String,
    /// Number of rows.
    pub row_count: u64,
    /// Its columns, in order.
    pub columns: Vec<ColumnSummary>,
}
