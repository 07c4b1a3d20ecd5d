//! Runs blocking work, such as file I/O, outside the async tasks.

use crate::error::{Error, Result};

/// Runs blocking work on Tokio's blocking threads.
///
/// # Cancellation
/// Dropping the future does not stop work that has begun.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Error::internal("a storage task panicked; this is a bug").with_source(error)),
    }
}
