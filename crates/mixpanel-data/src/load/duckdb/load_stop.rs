//! Stops a load from another thread, until its commit begins.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use duckdb::{Connection, InterruptHandle};

use crate::error::{Error, ErrorKind, Result};

/// Handle that stops a load before its commit begins. Clones stop the same load.
#[derive(Clone, Default)]
pub(crate) struct LoadStop(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    is_asked: bool,
    is_committing: bool,
    handle: Option<Arc<InterruptHandle>>,
}

impl LoadStop {
    /// Requests that the load stop. A statement that has not started yet misses the interrupt, so call this repeatedly
    /// until the load has ended.
    pub(crate) fn ask(&self) {
        let mut state = self.lock();
        if state.is_committing {
            return;
        }
        state.is_asked = true;
        if let Some(handle) = &state.handle {
            handle.interrupt();
        }
    }

    /// Returns whether a stop was requested before the commit. If so, that is why the load failed.
    pub(crate) fn is_asked(&self) -> bool {
        self.lock().is_asked
    }

    /// Makes the statements of a connection interruptible from now on.
    pub(super) fn begin(&self, connection: &Connection) -> Result<()> {
        let mut state = self.lock();
        state.is_committing = false;
        state.handle = Some(connection.interrupt_handle());
        state.check()
    }

    /// Ignores stop requests from now on, because the outcome of an interrupted commit is unknown.
    pub(super) fn begin_commit(&self) -> Result<()> {
        let mut state = self.lock();
        state.check()?;
        state.is_committing = true;
        state.handle = None;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn check(&self) -> Result<()> {
        if self.is_asked { Err(Error::new(ErrorKind::Cancelled, "the load was stopped")) } else { Ok(()) }
    }
}

impl fmt::Debug for LoadStop {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("LoadStop").field("is_asked", &self.is_asked()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_in_progress_is_not_cancelled() {
        let connection = Connection::open_in_memory().unwrap();
        let stop = LoadStop::default();
        stop.begin(&connection).unwrap();
        stop.begin_commit().unwrap();
        stop.ask();
        assert!(!stop.is_asked());
    }

    #[test]
    fn earlier_stop_requests_are_honored_at_every_step() {
        let connection = Connection::open_in_memory().unwrap();
        let stop = LoadStop::default();
        stop.ask();
        assert_eq!(stop.begin(&connection).unwrap_err().kind(), ErrorKind::Cancelled);
        assert_eq!(stop.begin_commit().unwrap_err().kind(), ErrorKind::Cancelled);
    }

    #[test]
    fn a_running_statement_is_interrupted() {
        let connection = Connection::open_in_memory().unwrap();
        let stop = LoadStop::default();
        stop.begin(&connection).unwrap();
        let is_done = std::sync::atomic::AtomicBool::new(false);
        let error = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_done.load(std::sync::atomic::Ordering::SeqCst) {
                    stop.ask();
                    std::thread::sleep(std::time::Duration::from_millis(5));
                }
            });
            let sql = "SELECT count(*) FROM range(10_000_000) a, range(1_000_000) b WHERE a.range % 7 = b.range % 5";
            let error = connection.execute_batch(sql);
            is_done.store(true, std::sync::atomic::Ordering::SeqCst);
            error
        });
        assert!(error.unwrap_err().to_string().contains("nterrupt"));
    }
}
