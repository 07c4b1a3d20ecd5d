//! Invokes the caller's callbacks.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::types::{BatchProgress, ProfileProgress};

use super::progress::{EVENT_TARGET, FetchEvent};

/// A callback, called from a single task and so never concurrently.
pub(super) type Callback<T> = Box<dyn FnMut(&T) + Send>;

/// The callbacks of a fetch.
#[derive(Default)]
pub(crate) struct Callbacks {
    pub(crate) page: Option<Callback<ProfileProgress>>,
    pub(crate) batch: Option<Callback<BatchProgress>>,
    pub(crate) event: Option<Callback<FetchEvent>>,
}

impl Callbacks {
    /// Passes an event to the callbacks. A callback that panics is not called again, and the fetch continues.
    pub(crate) fn tell(&mut self, event: &FetchEvent) {
        match event {
            // An event callback, if set, receives the warning below. `mp` displays events and filters this target out
            // of its log.
            FetchEvent::Warning(warning) if self.event.is_none() => {
                tracing::warn!(target: EVENT_TARGET, "{warning}");
            }
            FetchEvent::Retry { page_index, attempt, reason, .. } => {
                tracing::debug!(page_index, attempt, "{reason}; retrying");
            }
            FetchEvent::BatchRetry { from_date, to_date, attempt, reason, .. } => {
                tracing::debug!(from_date, to_date, attempt, "{reason}; retrying");
            }
            _ => {}
        }
        match event {
            FetchEvent::Page(progress) => call(&mut self.page, progress),
            FetchEvent::Batch(progress) => call(&mut self.batch, progress),
            _ => {}
        }
        call(&mut self.event, event);
    }
}

fn call<T>(callback: &mut Option<Callback<T>>, value: &T) {
    let Some(function) = callback else { return };
    if catch_unwind(AssertUnwindSafe(|| function(value))).is_err() {
        tracing::warn!("a progress callback panicked and is not called again");
        *callback = None;
    }
}
