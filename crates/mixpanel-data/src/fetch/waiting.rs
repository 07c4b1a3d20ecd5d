//! Waits for another process that has the database open.

use std::time::Duration;

use crate::blocking::blocking;
use crate::clock::Stopwatch;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::LOCK_POLL_INTERVAL;

use super::progress::FetchEvent;
use super::request::Control;

/// Calls `look`, retrying for up to `at_most` while another process has the database open. `state` is passed through
/// `look` and returned.
pub(super) async fn waiting<S: Send + 'static, T: Send + 'static>(
    control: &mut Control,
    at_most: Duration,
    mut state: S,
    look: impl Fn(S) -> (S, Result<T>) + Clone + Send + 'static,
) -> Result<(S, T)> {
    let watch = Stopwatch::start();
    let mut is_told = false;
    loop {
        let look = look.clone();
        let (back, seen) = blocking(move || Ok(look(state))).await?;
        state = back;
        let error = match seen {
            Ok(seen) => {
                if is_told {
                    control.waited_for_database += watch.elapsed();
                }
                return Ok((state, seen));
            }
            Err(error) => error,
        };
        if error.kind() != ErrorKind::DatabaseLocked || watch.elapsed() >= at_most {
            return Err(error);
        }
        if control.cancel.is_cancelled() {
            return Err(Error::new(ErrorKind::Cancelled, "the fetch was stopped").with_source(error));
        }
        if !std::mem::replace(&mut is_told, true) {
            let reason = error.message().to_owned();
            control.callbacks.tell(&FetchEvent::DatabaseBusy { reason, at_most });
        }
        tokio::time::sleep(LOCK_POLL_INTERVAL).await;
    }
}
