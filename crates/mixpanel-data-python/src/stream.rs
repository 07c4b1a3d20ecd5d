//! Streams of record batches and of JSON lines.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, ThreadId};
use std::time::{Duration, Instant};

use arrow::array::{RecordBatch, RecordBatchIterator, RecordBatchReader};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ffi_stream::FFI_ArrowArrayStream;
use mixpanel_data::{Error, ErrorKind};
use pyo3::exceptions::{PyKeyboardInterrupt, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyList};

use crate::error::raised;
use crate::rows::rows;
use crate::worker::{Stop, call, spawn};

/// Number of items that wait for the reader. With it, memory is bounded.
const ITEMS_WAITING: usize = 2;

const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// How long a reader that ends early waits for the work to end.
const END_GRACE: Duration = Duration::from_secs(1);

const READ: &str = "this stream is closed or has been read already";

const FORKED: &str = "this process was forked while the result was being read; run the query or the stream again in it, or \
                      use multiprocessing with the start method `spawn`";

const END_POLL_INTERVAL: Duration = Duration::from_millis(1);

/// What the messages contain that warn.
const WARNING: &str = r#""event":"warning""#;

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
enum Step<T> {
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
    fn next(mut self, py: Python<'_>) -> PyResult<Option<(T, Self)>> {
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
    fn step(&mut self) -> Step<T> {
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
    /// Calls the listener with a warning in another thread, because a reader must not wait for the GIL.
    fn warn(&self, text: String) {
        let Some(listener) = self.listener.clone().filter(|_| text.contains(WARNING)) else { return };
        let _not_started = spawn(move || {
            let _ended = Python::try_attach(|py| call(py, Some(listener.bind(py)), &text));
        });
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

/// A part of a result in Arrow's format.
pub(crate) enum ArrowItem {
    Schema(SchemaRef),
    Batch(RecordBatch),
}

/// The source of a stream, until somebody reads it. The capsules of a stream share it with the stream.
type Unread = Arc<Mutex<Option<Source<ArrowItem>>>>;

fn lock(unread: &Unread) -> std::sync::MutexGuard<'_, Option<Source<ArrowItem>>> {
    unread.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Record batches that can be read once: by Arrow's PyCapsule protocol, or as rows.
#[pyclass(frozen, module = "mixpanel_data._core")]
pub(crate) struct ArrowStream {
    schema: SchemaRef,
    unread: Unread,
}

impl ArrowStream {
    /// Waits for the schema, which comes first.
    pub(crate) fn new(py: Python<'_>, source: Source<ArrowItem>) -> PyResult<Self> {
        match source.next(py)? {
            Some((ArrowItem::Schema(schema), source)) => {
                Ok(Self { schema, unread: Arc::new(Mutex::new(Some(source))) })
            }
            _ => Err(PyRuntimeError::new_err("internal error of mixpanel_data: a result without columns")),
        }
    }
}

impl Drop for ArrowStream {
    fn drop(&mut self) {
        let unread = std::mem::take(&mut self.unread);
        let _ended = Python::try_attach(|py| py.detach(move || drop(unread)));
    }
}

#[pymethods]
impl ArrowStream {
    /// Returns a capsule with the stream. Of several capsules, the first one that is asked for a batch gets all of them;
    /// before that, a reader may look at the schema and drop the capsule, as the `duckdb` module does.
    #[pyo3(signature = (requested_schema = None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        // The protocol allows a producer to ignore the request.
        drop(requested_schema);
        if lock(&self.unread).is_none() {
            return Err(PyRuntimeError::new_err(READ));
        }
        let (schema, unread) = (Arc::clone(&self.schema), Some(Arc::clone(&self.unread)));
        let made_in = std::thread::current().id();
        capsule(py, Box::new(Reader { schema, unread, source: None, made_in, checked: Instant::now() }))
    }

    /// Reads all batches, without the GIL and interruptible by signals, and returns them as a stream in memory.
    fn collect(&self, py: Python<'_>) -> PyResult<Collected> {
        let taken = lock(&self.unread).take();
        let mut source = taken.ok_or_else(|| PyRuntimeError::new_err(READ))?;
        let mut batches = Vec::new();
        while let Some((item, rest)) = source.next(py)? {
            source = rest;
            if let ArrowItem::Batch(batch) = item {
                batches.push(batch);
            }
        }
        Ok(Collected { schema: Arc::clone(&self.schema), batches })
    }

    /// Returns the rows of the next batch as tuples; `None` at the end.
    fn rows<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyList>>> {
        // Taken out, because a signal handler may close the stream during the wait.
        let Some(source) = lock(&self.unread).take() else { return Ok(None) };
        match source.next(py)? {
            Some((ArrowItem::Batch(batch), source)) => {
                *lock(&self.unread) = Some(source);
                rows(py, &batch).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Returns the names of the columns.
    fn columns(&self) -> Vec<String> {
        self.schema.fields().iter().map(|field| field.name().clone()).collect()
    }

    /// Ends the work and releases the database.
    fn close(&self, py: Python<'_>) {
        let source = lock(&self.unread).take();
        py.detach(move || drop(source));
    }
}

/// Record batches in memory, which can be read any number of times.
#[pyclass(frozen, module = "mixpanel_data._core")]
pub(crate) struct Collected {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
}

#[pymethods]
impl Collected {
    #[pyo3(signature = (requested_schema = None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        drop(requested_schema);
        let batches = self.batches.clone().into_iter().map(Ok);
        capsule(py, Box::new(RecordBatchIterator::new(batches, Arc::clone(&self.schema))))
    }
}

fn capsule(py: Python<'_>, reader: Box<dyn RecordBatchReader + Send>) -> PyResult<Bound<'_, PyCapsule>> {
    PyCapsule::new_with_value(py, FFI_ArrowArrayStream::new(reader), c"arrow_array_stream")
}

/// The batches of a stream for a reader that knows nothing of Python.
struct Reader {
    schema: SchemaRef,
    /// Where to take the source from at the first batch; afterwards `None`.
    unread: Option<Unread>,
    source: Option<Source<ArrowItem>>,
    made_in: ThreadId,
    /// When signals were last checked.
    checked: Instant,
}

impl Reader {
    /// Returns whether a signal handler raises an exception. The reader takes only errors of its own kind from here, so
    /// the signal is raised again, for the time when the reader returns to Python; exceptions other than
    /// `KeyboardInterrupt` cannot be, and are reported as unraisable before the `KeyboardInterrupt`.
    ///
    /// Checks only in the thread that made the reader: in another one, the wait for the GIL could last forever, because a
    /// consumer may hold it while its threads read. Checks between batches too, because a fast consumer never waits.
    fn is_interrupted(&mut self) -> bool {
        if std::thread::current().id() != self.made_in || self.checked.elapsed() < POLL_INTERVAL {
            return false;
        }
        self.checked = Instant::now();
        let is_raised = Python::try_attach(|py| {
            let Err(error) = py.check_signals() else { return false };
            if !error.is_instance_of::<PyKeyboardInterrupt>(py) {
                error.write_unraisable(py, None);
            }
            let _ = py.import("_thread").and_then(|module| module.call_method0("interrupt_main"));
            true
        });
        is_raised.unwrap_or(false)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let held = (self.source.take(), self.unread.take());
        // Only there, for the same reason as for signals.
        if matches!(held, (Some(_), _) | (_, Some(_))) && std::thread::current().id() == self.made_in {
            let _ended = Python::try_attach(|py| py.detach(move || drop(held)));
        }
    }
}

impl Iterator for Reader {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(unread) = self.unread.take() {
            self.source = lock(&unread).take();
            if self.source.is_none() {
                return Some(Err(ArrowError::CDataInterface(READ.to_owned())));
            }
        }
        loop {
            let end = match self.is_interrupted() {
                true => Err(Error::new(ErrorKind::Cancelled, "interrupted")),
                false => match self.source.as_mut()?.step() {
                    Step::Value(ArrowItem::Batch(batch)) => return Some(Ok(batch)),
                    Step::Message(text) => {
                        self.source.as_ref()?.warn(text);
                        continue;
                    }
                    Step::Value(ArrowItem::Schema(_)) | Step::Nothing => continue,
                    Step::End(end) => end,
                },
            };
            let _ended = self.source.take();
            return end.err().map(|error| Err(ArrowError::ExternalError(Box::new(error))));
        }
    }
}

impl RecordBatchReader for Reader {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
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
