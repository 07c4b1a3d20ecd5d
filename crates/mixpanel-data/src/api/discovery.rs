//! Lists what a project contains (`docs/mixpanel-api.md#discovery`).

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::Deserialize;
use serde_json::json;

use crate::error::Result;

use super::client::ApiClient;
use super::endpoint::Endpoint;

/// The response with the counts of events.
#[derive(Deserialize)]
struct CountsReply {
    data: CountsData,
}

#[derive(Deserialize)]
struct CountsData {
    /// The counts by name, then by day; days without events may be missing.
    values: BTreeMap<String, BTreeMap<String, u64>>,
}

impl ApiClient {
    /// Returns the names of the project's most common events in the last 31 days (`docs/mixpanel-api.md#discovery`).
    /// Retries transient failures. Useful for checking credentials at the cost of one query.
    ///
    /// # Errors
    /// Same as [`export_profiles_page`](Self::export_profiles_page).
    ///
    /// # Cancellation
    /// Dropping the future abandons the request.
    pub async fn event_names(&self) -> Result<Vec<String>> {
        self.call(Endpoint::EventNames, vec![("type", "general".to_owned())]).await
    }

    /// Returns how many events with these names there are on each day from `from` to `to`, in the project's time zone.
    pub(crate) async fn event_counts(&self, names: &[String], from: Date, to: Date) -> Result<BTreeMap<Date, u64>> {
        let query = vec![
            ("event", json!(names).to_string()),
            ("type", "general".to_owned()),
            ("unit", "day".to_owned()),
            ("from_date", from.to_string()),
            ("to_date", to.to_string()),
        ];
        let reply: CountsReply = self.call(Endpoint::EventCounts, query).await?;
        let mut counts = BTreeMap::new();
        for (day, count) in reply.data.values.into_values().flatten() {
            if let Ok(day) = day.parse() {
                *counts.entry(day).or_insert(0) += count;
            }
        }
        Ok(counts)
    }
}
