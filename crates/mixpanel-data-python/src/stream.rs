//! Streams: work on a thread of its own, whose results are read one after another. Here, of JSON lines; of record batches
//! in `batches.rs`.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mixpanel_data::{Error, ErrorKind};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::error::raised;
use crate::worker::{Stop, call, spawn};

/// Number of items that wait for the reader. With it, memory is bounded.
const ITEMS_WAITING: usize = 2;

pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// How long a reader that ends early waits for the work to end.
const END_GRACE: Duration = Duration::from_secs(1);

const FORKED: &str = "this process was forked while the result was being read; run the query or the stream again in it, or \
                      use multiprocessing with the start method `spawn`";

const END_POLL_INTERVAL: Duration = Duration::from_millis(1);

/// What the working thread sends.
pub(crate) enum Item<T> {
    Value(T),
    /// An event of a fetch, as JSON.
    Message(String),
    End(Result<(), Error>),
}

/// The reading end of a stream. The work ends when this is dropped.
pub(crate) struct Source<T> {
    receiver: Receiver<Item<T>>,
    thread: JoinHandle<()>,
    stop: Arc<dyn Stop + Send + Sync>,
    listener: Option<Arc<Py<PyAny>>>,
    /// The process that started the thread. A forked one has no copy of the thread.
    process: u32,
}

/// What one wait for a stream brings.
pub(crate) enum Step<T> {
    Value(T),
    Message(String),
    Nothing,
    End(Result<(), Error>),
}

impl<T: Send + 'static> Source<T> {
    /// Starts the work on a thread of its own.
    pub(crate) fn start(
        stop: Arc<dyn Stop + Send + Sync>,
        listener: Option<Py<PyAny>>,
        work: impl FnOnce(&SyncSender<Item<T>>) -> Result<(), Error> + Send + 'static,
    ) -> PyResult<Self> {
        let (sender, receiver) = sync_channel(ITEMS_WAITING);
        let thread = spawn(move || {
            let end = work(&sender);
            let _reader_is_gone = sender.send(Item::End(end));
        })?;
        let listener = listener.map(Arc::new);
        Ok(Self { receiver, thread, stop, listener, process: std::process::id() })
    }

    /// Waits for the next value without the GIL, and returns it with the source; `None` at the end. A signal's exception
    /// stops the work.
    pub(crate) fn next(mut self, py: Python<'_>) -> PyResult<Option<(T, Self)>> {
        let end = loop {
            if let Err(error) = py.check_signals() {
                break Err(error);
            }
            let this = &mut self;
            match py.detach(move || this.step()) {
                Step::Value(value) => return Ok(Some((value, self))),
                Step::Message(text) => {
                    let listener = self.listener.as_ref().map(|listener| listener.bind(py));
                    if let Some(error) = call(py, listener, &text) {
                        break Err(error);
                    }
                }
                Step::Nothing => {}
                Step::End(_) if self.is_forked() => break Err(PyRuntimeError::new_err(FORKED)),
                Step::End(end) => break end.map(|()| None).map_err(|error| raised(&error)),
            }
        };
        // The work takes a moment to end, in which other threads of Python should run.
        py.detach(move || drop(self));
        end
    }

    /// Waits for a moment.
    pub(crate) fn step(&mut self) -> Step<T> {
        if self.is_forked() {
            return Step::End(Err(Error::new(ErrorKind::Internal, FORKED)));
        }
        match self.receiver.recv_timeout(POLL_INTERVAL) {
            Ok(Item::Value(value)) => Step::Value(value),
            Ok(Item::Message(text)) => Step::Message(text),
            Ok(Item::End(end)) => Step::End(end),
            Err(RecvTimeoutError::Timeout) => Step::Nothing,
            Err(RecvTimeoutError::Disconnected) => {
                let message = "internal error of mixpanel_data: a thread panicked";
                Step::End(Err(Error::new(ErrorKind::Internal, message)))
            }
        }
    }
}

impl<T> Source<T> {
    /// Returns what to call with the events of a fetch.
    pub(crate) fn listener(&self) -> Option<Arc<Py<PyAny>>> {
        self.listener.clone()
    }

    fn is_forked(&self) -> bool {
        self.process != std::process::id()
    }
}

impl<T> Drop for Source<T> {
    /// Ends the work and waits for its thread, so that the database is closed and the process can be forked afterwards.
    fn drop(&mut self) {
        let receiver = std::mem::replace(&mut self.receiver, sync_channel(0).1);
        if self.is_forked() {
            // The thread, which does not exist here, may have held its lock.
            return std::mem::forget(receiver);
        }
        // The thread may wait for the reader.
        drop(receiver);
        let begun = Instant::now();
        while !self.thread.is_finished() && begun.elapsed() < END_GRACE {
            self.stop.abandon();
            std::thread::sleep(END_POLL_INTERVAL);
        }
    }
}

/// Records as JSON texts, several at a time.
#[pyclass(frozen, module = "mixpanel_data._core")]
pub(crate) struct LineStream(Mutex<Option<Source<Vec<String>>>>);

impl LineStream {
    pub(crate) fn new(source: Source<Vec<String>>) -> Self {
        Self(Mutex::new(Some(source)))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Source<Vec<String>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl LineStream {
    fn __iter__(this: Py<Self>) -> Py<Self> {
        this
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Vec<String>>> {
        let Some(source) = self.lock().take() else { return Ok(None) };
        let next = source.next(py)?;
        Ok(next.map(|(lines, source)| {
            *self.lock() = Some(source);
            lines
        }))
    }

    /// Ends the work.
    fn close(&self, py: Python<'_>) {
        let source = self.lock().take();
        py.detach(move || drop(source));
    }
}
