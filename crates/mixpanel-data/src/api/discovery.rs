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
    values: BTreeMap<String, BTreeMap<Date, u64>>,
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
            *counts.entry(day).or_insert(0) += count;
        }
        Ok(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::CountsReply;

    #[test]
    fn a_day_that_does_not_parse_makes_the_reply_unreadable() {
        for (day, is_valid) in [("2026-11-01", true), ("2026-11-31", false), ("yesterday", false), ("", false)] {
            let reply = format!(r#"{{"data": {{"values": {{"Purchase": {{"{day}": 3}}}}}}}}"#);
            assert_eq!(serde_json::from_str::<CountsReply>(&reply).is_ok(), is_valid, "{day}");
        }
    }
}
