//! Blocking work, such as reading and writing files, on threads where it blocks no other task.

use crate::error::{Error, Result};

/// Runs blocking disk work on a thread where it does not block other tasks.
///
/// # Cancellation
/// Dropping the future does not stop work that has begun.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Error::internal("a storage task panicked; this is a bug").with_source(error)),
    }
}
