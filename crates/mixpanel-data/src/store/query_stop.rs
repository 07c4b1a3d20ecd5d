//! Stops a running query from another thread.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use duckdb::{Connection, InterruptHandle};

use crate::error::{Error, ErrorKind, Result};

/// Stops a query. Clones stop the same query.
#[derive(Clone, Default)]
pub struct QueryStop(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    is_asked: bool,
    handle: Option<Arc<InterruptHandle>>,
}

/// A query that can be stopped, until dropped.
pub(super) struct Running<'a>(&'a QueryStop);

impl QueryStop {
    /// Stops the query, which then fails with `Cancelled`, and every query that is started with this value later.
    ///
    /// DuckDB forgets an interrupt that arrives just before a statement begins, so call this repeatedly until the query
    /// has ended.
    pub fn stop(&self) {
        let mut state = self.lock();
        state.is_asked = true;
        if let Some(handle) = &state.handle {
            handle.interrupt();
        }
    }

    pub(super) fn is_asked(&self) -> bool {
        self.lock().is_asked
    }

    /// Makes the statements of a connection stoppable.
    pub(super) fn begin(&self, connection: &Connection) -> Result<Running<'_>> {
        let mut state = self.lock();
        if state.is_asked {
            return Err(Self::error());
        }
        state.handle = Some(connection.interrupt_handle());
        Ok(Running(self))
    }

    pub(super) fn error() -> Error {
        Error::new(ErrorKind::Cancelled, "the query was stopped")
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.lock().handle = None;
    }
}

impl std::fmt::Debug for QueryStop {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("QueryStop").field("is_asked", &self.is_asked()).finish_non_exhaustive()
    }
}
