//! Standard output as the destination of a fetch.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::failure::Failure;
use crate::output::{Data, Escape, Output};

/// Standard output as the sink of a fetch, with the first write failure, if any.
pub(super) struct Sink {
    pub(super) data: Data,
    pub(super) failure: Option<Failure>,
    /// Number of records written.
    written: Arc<AtomicU64>,
    /// Whether each line is flushed immediately.
    is_terminal: bool,
}

impl Sink {
    /// Creates a sink that counts the written records in `written`.
    pub(super) fn new(output: &Output, written: &Arc<AtomicU64>) -> Self {
        Self {
            data: output.data(Escape::Json),
            failure: None,
            written: Arc::clone(written),
            is_terminal: output.stdout_is_terminal(),
        }
    }

    /// Writes a record.
    pub(super) fn take(&mut self, record: &str) -> ControlFlow<()> {
        let written = self.data.line(record).and_then(|()| if self.is_terminal { self.data.flush() } else { Ok(()) });
        match written {
            Ok(()) => {
                self.written.fetch_add(1, Ordering::Relaxed);
                ControlFlow::Continue(())
            }
            Err(failure) => {
                self.failure = Some(failure);
                ControlFlow::Break(())
            }
        }
    }
}

/// How often a fetch checks that its standard output has a reader.
const READER_CHECK: Duration = Duration::from_millis(500);

/// Returns when the reader of standard output has closed it. Without this, a fetch would notice only at its next write,
/// which may be an hour away.
pub(super) async fn reader_is_gone() {
    let mut checks = tokio::time::interval(READER_CHECK);
    loop {
        checks.tick().await;
        let mut streams = [PollFd::from_borrowed_fd(rustix::stdio::stdout(), PollFlags::empty())];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let polled = poll(&mut streams, Some(&now));
        if polled.is_ok() && streams[0].revents().intersects(PollFlags::ERR | PollFlags::HUP) {
            return;
        }
    }
}

/// Maximum time that a stopped fetch waits for the reader of its standard output.
const LAST_FLUSH_MAX: Duration = Duration::from_secs(1);

/// Flushes the sink, but gives up if the reader has stopped reading.
pub(super) fn flush_in_time(sink: &Arc<Mutex<Sink>>) {
    let (done, flushed) = mpsc::channel();
    let sink = Arc::clone(sink);
    let flush = move || {
        let result = sink.lock().unwrap_or_else(PoisonError::into_inner).data.flush();
        let _ = done.send(result);
    };
    if std::thread::Builder::new().spawn(flush).is_ok() {
        let _ = flushed.recv_timeout(LAST_FLUSH_MAX);
    }
}
