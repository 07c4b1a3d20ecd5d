//! The statistics of a workspace over the tables of its database.

use super::Workspace;
use crate::error::Result;
use crate::statistics::{
    ColumnStatsResult, CountType, DailyCountsResult, DayRange, EngagementDistributionResult, EventBreakdownResult,
    NumericPropertySummaryResult, PropertyCoverageResult, PropertyDistributionResult, SummaryResult, TopEvent,
};
use crate::store::statistics;

/// Statistics over a table or view of the database. They read the table with SQL, send no request and block the thread.
/// `docs/analysis.md` defines each number, and lists where Mixpanel's differ.
///
/// # Errors
/// All return `TableNotFound`; `Query` if the table has no column that they need (error detail `missing_columns`), or
/// with DuckDB's message if the query fails; `OutOfMemory`; `DatabaseNotFound`, `DatabaseLocked`, `DatabaseUnusable`,
/// `Storage`. Those with days return `InvalidInput` if the first day is after the last one.
impl Workspace {
    /// Counts the events of a table, their users, and when they first and last happened.
    ///
    /// # Errors
    /// See above.
    pub fn event_breakdown(&self, table: &str) -> Result<EventBreakdownResult> {
        statistics::event_breakdown(&self.database, table)
    }

    /// Counts events by day and name. Without names, all events are counted.
    ///
    /// # Errors
    /// See [`event_breakdown`](Self::event_breakdown); `InvalidInput` for days in the wrong order.
    pub fn daily_counts(&self, table: &str, days: &DayRange, events: &[String]) -> Result<DailyCountsResult> {
        statistics::daily_counts(&self.database, table, days, events)
    }

    /// Counts users by their number of events. Without names, all events count. `buckets` are the smallest numbers of
    /// the ranges, at most 1,000 and increasing from 1 on, by default 1, 2, 5, 10, 25, 50 and 100.
    ///
    /// # Errors
    /// See [`daily_counts`](Self::daily_counts); `InvalidInput` for buckets that do not increase or begin with 0.
    pub fn engagement_distribution(
        &self,
        table: &str,
        days: &DayRange,
        events: &[String],
        buckets: &[u64],
    ) -> Result<EngagementDistributionResult> {
        statistics::engagement_distribution(&self.database, table, days, events, buckets)
    }

    /// Counts the events in which each of these properties has a value other than null.
    ///
    /// # Errors
    /// See [`daily_counts`](Self::daily_counts).
    pub fn property_coverage(
        &self,
        table: &str,
        event: &str,
        properties: &[String],
        days: &DayRange,
    ) -> Result<PropertyCoverageResult> {
        statistics::property_coverage(&self.database, table, event, properties, days)
    }

    /// Returns the most frequent values of a property of an event, at most `limit`.
    ///
    /// # Errors
    /// See [`daily_counts`](Self::daily_counts).
    pub fn property_distribution(
        &self,
        table: &str,
        event: &str,
        property: &str,
        days: &DayRange,
        limit: u32,
    ) -> Result<PropertyDistributionResult> {
        statistics::property_distribution(&self.database, table, event, property, days, limit)
    }

    /// Summarizes a numeric property of an event. `percentiles` are numbers from 0 to 100, by default 25, 50, 75, 90,
    /// 95 and 99.
    ///
    /// # Errors
    /// See [`daily_counts`](Self::daily_counts); `InvalidInput` for other percentiles.
    pub fn numeric_summary(
        &self,
        table: &str,
        event: &str,
        property: &str,
        days: &DayRange,
        percentiles: &[f64],
    ) -> Result<NumericPropertySummaryResult> {
        statistics::numeric_summary(&self.database, table, event, property, days, percentiles)
    }

    /// Returns the most frequent events of the last day in the table, at most `limit`, and how they changed since the
    /// day before.
    ///
    /// # Errors
    /// See [`event_breakdown`](Self::event_breakdown).
    pub fn top_events(&self, table: &str, kind: CountType, limit: u32) -> Result<Vec<TopEvent>> {
        statistics::top_events(&self.database, table, kind, limit)
    }

    /// Returns the names of the properties in a table of profiles or events, or of one event, sorted.
    ///
    /// # Errors
    /// See [`event_breakdown`](Self::event_breakdown).
    pub fn property_keys(&self, table: &str, event: Option<&str>) -> Result<Vec<String>> {
        statistics::property_keys(&self.database, table, event)
    }

    /// Describes a column of any table, or an SQL expression over its columns, with its `top_n` most frequent values.
    ///
    /// # Errors
    /// See [`event_breakdown`](Self::event_breakdown); `Query` if there is no such column.
    pub fn column_stats(&self, table: &str, column: &str, top_n: u32) -> Result<ColumnStatsResult> {
        statistics::column_stats(&self.database, table, column, top_n)
    }

    /// Describes every column of any table, as DuckDB's `SUMMARIZE` does.
    ///
    /// # Errors
    /// See [`event_breakdown`](Self::event_breakdown).
    pub fn summarize(&self, table: &str) -> Result<SummaryResult> {
        statistics::summarize(&self.database, table)
    }
}
