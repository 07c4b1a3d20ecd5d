//! Results that arrive bit by bit: record batches and lines.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, ThreadId};
use std::time::{Duration, Instant};

use arrow::array::{RecordBatch, RecordBatchIterator, RecordBatchReader};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ffi_stream::FFI_ArrowArrayStream;
use mixpanel_data::Error;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyList};

use crate::error::raised;
use crate::rows::rows;
use crate::worker::{Stop, spawn};

/// Number of items that wait for the reader. With it, memory is bounded.
const ITEMS_WAITING: usize = 2;

const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// How long a reader that ends early waits for the work to end.
const END_GRACE: Duration = Duration::from_secs(1);

const END_POLL_INTERVAL: Duration = Duration::from_millis(1);

/// What the working thread sends.
pub(crate) enum Item<T> {
    Value(T),
    /// An event of a fetch, as JSON.
    Message(String),
    /// The end, with the result as JSON.
    End(Result<String, Error>),
}

/// The reading end of a stream. The work ends when this is dropped.
pub(crate) struct Source<T> {
    receiver: Receiver<Item<T>>,
    thread: JoinHandle<()>,
    stop: Arc<dyn Stop + Send + Sync>,
    listener: Option<Py<PyAny>>,
    is_over: bool,
    /// The result of the work, as JSON.
    result: Option<String>,
}

impl<T: Send + 'static> Source<T> {
    /// Starts the work on a thread of its own.
    pub(crate) fn start(
        stop: Arc<dyn Stop + Send + Sync>,
        listener: Option<Py<PyAny>>,
        work: impl FnOnce(&SyncSender<Item<T>>) -> Result<String, Error> + Send + 'static,
    ) -> PyResult<Self> {
        let (sender, receiver) = sync_channel(ITEMS_WAITING);
        let thread = spawn(move || {
            let end = work(&sender);
            let _nobody_reads = sender.send(Item::End(end));
        })?;
        Ok(Self { receiver, thread, stop, listener, is_over: false, result: None })
    }

    /// Waits for the next value without the GIL; `None` at the end. A signal's exception stops the work.
    fn next(&mut self, py: Python<'_>) -> PyResult<Option<T>> {
        while !self.is_over {
            if let Err(error) = py.check_signals() {
                self.end();
                return Err(error);
            }
            let receiver = &mut self.receiver;
            match py.detach(move || receiver.recv_timeout(POLL_INTERVAL)) {
                Ok(Item::Value(value)) => return Ok(Some(value)),
                Ok(Item::Message(text)) => {
                    if let Some(listener) = &self.listener {
                        listener.call1(py, (text,))?;
                    }
                }
                Ok(Item::End(end)) => {
                    self.is_over = true;
                    self.result = Some(end.map_err(|error| raised(&error))?);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    self.is_over = true;
                    return Err(PyRuntimeError::new_err("internal error of mixpanel_data: a thread panicked"));
                }
            }
        }
        Ok(None)
    }

    /// Waits for the next value in a thread that may have no interpreter. `is_interrupted` is asked repeatedly.
    fn next_blocking(&mut self, is_interrupted: impl Fn() -> bool) -> Option<Result<T, Error>> {
        while !self.is_over {
            match self.receiver.recv_timeout(POLL_INTERVAL) {
                Ok(Item::Value(value)) => return Some(Ok(value)),
                Err(RecvTimeoutError::Timeout) if is_interrupted() => {
                    self.end();
                    return Some(Err(Error::new(mixpanel_data::ErrorKind::Cancelled, "interrupted")));
                }
                Ok(Item::Message(_)) | Err(RecvTimeoutError::Timeout) => {}
                Ok(Item::End(end)) => {
                    self.is_over = true;
                    return end.err().map(Err);
                }
                Err(RecvTimeoutError::Disconnected) => {
                    self.is_over = true;
                    let message = "internal error of mixpanel_data: a thread panicked";
                    return Some(Err(Error::new(mixpanel_data::ErrorKind::Internal, message)));
                }
            }
        }
        None
    }

    fn end(&mut self) {
        self.is_over = true;
        self.stop.ask();
    }
}

impl<T> Drop for Source<T> {
    /// Ends the work and waits for its thread, so that the database is closed and the process can be forked afterwards.
    fn drop(&mut self) {
        // The thread may wait for the reader.
        self.receiver = sync_channel(0).1;
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

/// Record batches that can be read once: by Arrow's PyCapsule protocol, or as rows.
#[pyclass(frozen, module = "mixpanel_data._core")]
pub(crate) struct ArrowStream {
    schema: SchemaRef,
    source: Mutex<Option<Source<ArrowItem>>>,
}

impl ArrowStream {
    /// Waits for the schema, which comes first.
    pub(crate) fn new(py: Python<'_>, mut source: Source<ArrowItem>) -> PyResult<Self> {
        match source.next(py)? {
            Some(ArrowItem::Schema(schema)) => Ok(Self { schema, source: Mutex::new(Some(source)) }),
            _ => Err(PyRuntimeError::new_err("internal error of mixpanel_data: a result without columns")),
        }
    }

    fn take(&self) -> PyResult<Source<ArrowItem>> {
        self.lock().take().ok_or_else(|| PyRuntimeError::new_err("this stream is closed or has been read already"))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Source<ArrowItem>>> {
        self.source.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl ArrowStream {
    /// Returns a capsule with the stream. The reader takes all batches.
    #[pyo3(signature = (requested_schema = None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        // The protocol allows a producer to ignore the request.
        drop(requested_schema);
        let made_in = std::thread::current().id();
        let reader = Reader { schema: Arc::clone(&self.schema), source: self.take()?, made_in };
        capsule(py, Box::new(reader))
    }

    /// Reads all batches, without the GIL and interruptible by signals, and returns them as a stream in memory.
    fn collect(&self, py: Python<'_>) -> PyResult<Collected> {
        let mut source = self.take()?;
        let mut batches = Vec::new();
        while let Some(item) = source.next(py)? {
            if let ArrowItem::Batch(batch) = item {
                batches.push(batch);
            }
        }
        Ok(Collected { schema: Arc::clone(&self.schema), batches })
    }

    /// Returns the rows of the next batch as tuples; `None` at the end.
    fn rows<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyList>>> {
        // Taken out, because a signal handler may close the stream during the wait.
        let Some(mut source) = self.lock().take() else { return Ok(None) };
        let item = source.next(py)?;
        match item {
            Some(ArrowItem::Batch(batch)) => {
                *self.lock() = Some(source);
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
        let source = self.lock().take();
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
    source: Source<ArrowItem>,
    made_in: ThreadId,
}

impl Reader {
    /// Returns whether a signal handler raises an exception, which is then raised again when the reader returns to
    /// Python: it takes only errors of its own kind from here.
    ///
    /// Asks only in the thread that made the reader: in another one, the wait for the GIL could last forever, because a
    /// consumer may hold it while its threads read.
    fn is_interrupted(made_in: ThreadId) -> bool {
        std::thread::current().id() == made_in
            && Python::try_attach(|py| {
                let is_raised = py.check_signals().is_err();
                if is_raised {
                    let _ = py.import("_thread").and_then(|module| module.call_method0("interrupt_main"));
                }
                is_raised
            })
            .unwrap_or(false)
    }
}

impl Iterator for Reader {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.source.next_blocking(|| Self::is_interrupted(self.made_in))? {
                Ok(ArrowItem::Batch(batch)) => return Some(Ok(batch)),
                Ok(ArrowItem::Schema(_)) => {}
                Err(error) => return Some(Err(ArrowError::ExternalError(Box::new(error)))),
            }
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
pub(crate) struct LineStream(Mutex<LineSource>);

struct LineSource {
    source: Option<Source<Vec<String>>>,
    result: Option<String>,
}

impl LineStream {
    pub(crate) fn new(source: Source<Vec<String>>) -> Self {
        Self(Mutex::new(LineSource { source: Some(source), result: None }))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, LineSource> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl LineStream {
    fn __iter__(this: Py<Self>) -> Py<Self> {
        this
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Vec<String>>> {
        let Some(mut source) = self.lock().source.take() else { return Ok(None) };
        let lines = source.next(py)?;
        let mut state = self.lock();
        match lines {
            Some(_) => state.source = Some(source),
            None => state.result = source.result.take(),
        }
        Ok(lines)
    }

    /// Returns the result as JSON after the last record; `None` before.
    fn result(&self) -> Option<String> {
        self.lock().result.clone()
    }

    /// Ends the work.
    fn close(&self, py: Python<'_>) {
        let source = self.lock().source.take();
        py.detach(move || drop(source));
    }
}
