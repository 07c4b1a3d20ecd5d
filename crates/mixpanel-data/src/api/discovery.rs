//! What a project contains (`docs/mixpanel-api.md#discovery`).

use crate::error::Result;

use super::client::ApiClient;
use super::endpoint::Endpoint;

impl ApiClient {
    /// Returns the names of the project's most common events of the last 31 days (`docs/mixpanel-api.md#discovery`),
    /// with retries. Serves as a test of credentials that costs one query.
    ///
    /// # Errors
    /// As [`export_profiles_page`](Self::export_profiles_page).
    ///
    /// # Cancellation
    /// Dropping the future abandons the request.
    pub async fn event_names(&self) -> Result<Vec<String>> {
        self.call(Endpoint::EventNames, vec![("type", "general".to_owned())]).await
    }
}
