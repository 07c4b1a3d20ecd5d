//! The API client of a workspace, created by the first call and reused by later ones.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::{Handle, Id};

use crate::credentials::Credentials;
use crate::error::Result;

use super::client::ApiClient;
use super::endpoint::ApiOptions;

/// The API client that a workspace and its clones share, so that certificates and the quota ledger are opened once.
#[derive(Debug, Clone, Default)]
pub(crate) struct SharedClient(Arc<Mutex<Option<Kept>>>);

#[derive(Debug)]
struct Kept {
    client: ApiClient,
    /// The runtime that the connections belong to. It must be running while they are used.
    runtime: Option<Id>,
}

impl SharedClient {
    /// Returns the client for the current Tokio runtime, and creates it if there is none. May block, because creating a
    /// client reads certificates and opens the quota ledger.
    ///
    /// # Errors
    /// Same as [`ApiClient::new`]. The client is not kept after an error or if the ledger could not be opened, so the
    /// next call retries.
    pub(crate) fn get(&self, credentials: &Credentials, options: &ApiOptions) -> Result<ApiClient> {
        let runtime = Handle::try_current().ok().map(|handle| handle.id());
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let client = match &*kept {
            Some(kept) if kept.runtime == runtime => return Ok(kept.client.clone()),
            Some(kept) => kept.client.reconnected(options)?,
            None => ApiClient::new(credentials.clone(), options)?,
        };
        if client.has_its_ledger() {
            *kept = Some(Kept { client: client.clone(), runtime });
        }
        Ok(client)
    }
}
