//! Runs blocking work, such as file I/O, outside the async tasks.

use crate::error::{Error, Result};

/// Runs blocking work on Tokio's blocking threads.
///
/// # Cancellation
/// Dropping the future does not stop work that has begun.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    begin_blocking(work).await
}

/// Begins blocking work at once. The future returns its result.
///
/// # Cancellation
/// Dropping the future does not stop the work.
pub(crate) fn begin_blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> impl Future<Output = Result<T>> {
    let begun = tokio::task::spawn_blocking(work);
    async move {
        match begun.await {
            Ok(result) => result,
            Err(error) => Err(Error::internal("a storage task panicked; this is a bug").with_source(error)),
        }
    }
}
