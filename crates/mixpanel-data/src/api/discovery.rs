//! Lists what a project contains (`docs/mixpanel-api.md#discovery`).

use crate::error::Result;

use super::client::ApiClient;
use super::endpoint::Endpoint;

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
}
