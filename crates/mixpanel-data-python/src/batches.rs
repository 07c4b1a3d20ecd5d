//! Record batches for Python, by Arrow's PyCapsule protocol or as rows.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, ThreadId};
use std::time::Instant;

use arrow::array::{RecordBatch, RecordBatchIterator, RecordBatchReader};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ffi_stream::FFI_ArrowArrayStream;
use mixpanel_data::{Error, ErrorKind};
use pyo3::exceptions::{PyKeyboardInterrupt, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyList};

use crate::rows::rows;
use crate::stream::{POLL_INTERVAL, Source, Step};
use crate::worker::{call, spawn};

const READ: &str = "this stream is closed or has been read already";

/// What the messages contain that warn.
const WARNING: &str = r#""event":"warning""#;

/// Threads that pass on warnings of readers that may not wait for the GIL themselves, with the process that has them.
static WARNINGS: Mutex<Vec<(u32, JoinHandle<()>)>> = Mutex::new(Vec::new());

/// A part of a result in Arrow's format.
pub(crate) enum ArrowItem {
    Schema(SchemaRef),
    Batch(RecordBatch),
}

/// The source of a stream, until the first batch is requested. The capsules of a stream share it with the stream.
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

    /// Waits for the next batch.
    fn next(&self, py: Python<'_>) -> PyResult<Option<RecordBatch>> {
        // Taken out, because a signal handler may close the stream during the wait.
        let Some(source) = lock(&self.unread).take() else { return Ok(None) };
        match source.next(py)? {
            Some((ArrowItem::Batch(batch), source)) => {
                *lock(&self.unread) = Some(source);
                Ok(Some(batch))
            }
            _ => Ok(None),
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
        self.next(py)?.map(|batch| rows(py, &batch)).transpose()
    }

    /// Returns the next batch as a stream in memory; `None` at the end. After the end, or if another reader has taken the
    /// batches, it raises an error.
    fn batch(&self, py: Python<'_>) -> PyResult<Option<Collected>> {
        if lock(&self.unread).is_none() {
            return Err(PyRuntimeError::new_err(READ));
        }
        let batch = self.next(py)?;
        Ok(batch.map(|batch| Collected { schema: Arc::clone(&self.schema), batches: vec![batch] }))
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
    /// Returns whether this is the thread that made the reader. In another one, the wait for the GIL could last forever,
    /// because a consumer may hold it while its threads read.
    fn may_attach(&self) -> bool {
        std::thread::current().id() == self.made_in
    }

    /// Returns whether a signal handler raises an exception. Checks between batches too, because a fast consumer never
    /// waits.
    fn is_interrupted(&mut self) -> bool {
        if !self.may_attach() || self.checked.elapsed() < POLL_INTERVAL {
            return false;
        }
        self.checked = Instant::now();
        let is_raised = Python::try_attach(|py| {
            let Err(error) = py.check_signals() else { return false };
            raise_later(py, &error);
            true
        });
        is_raised.unwrap_or(false)
    }

    /// Passes a warning on to the listener.
    fn warn(&self, text: String) {
        let listener = self.source.as_ref().and_then(Source::listener).filter(|_| text.contains(WARNING));
        let Some(listener) = listener else { return };
        let pass_on = move || {
            let _ended = Python::try_attach(|py| {
                if let Some(error) = call(py, Some(listener.bind(py)), &text) {
                    raise_later(py, &error);
                }
            });
        };
        if self.may_attach() {
            return pass_on();
        }
        if let Ok(thread) = spawn(pass_on) {
            let mut threads = WARNINGS.lock().unwrap_or_else(PoisonError::into_inner);
            // An ended thread that is not joined keeps its stack.
            threads.retain(|(process, thread)| *process != std::process::id() || !thread.is_finished());
            threads.push((std::process::id(), thread));
        }
    }
}

/// Raises an exception when the reader returns to Python: the reader takes only errors of its own kind from here. Only
/// `KeyboardInterrupt` can be; others are reported as unraisable before it.
fn raise_later(py: Python<'_>, error: &PyErr) {
    if !error.is_instance_of::<PyKeyboardInterrupt>(py) {
        error.clone_ref(py).write_unraisable(py, None);
    }
    let _ = py.import("_thread").and_then(|module| module.call_method0("interrupt_main"));
}

/// Waits for the threads that pass on warnings, so that none is lost at the end of the interpreter.
#[pyfunction]
pub(crate) fn pass_on_warnings(py: Python<'_>) {
    let threads = std::mem::take(&mut *WARNINGS.lock().unwrap_or_else(PoisonError::into_inner));
    py.detach(|| {
        for (process, thread) in threads {
            // A forked process has no copy of the thread.
            if process == std::process::id() { drop(thread.join()) } else { std::mem::forget(thread) }
        }
    });
}

impl Drop for Reader {
    fn drop(&mut self) {
        let held = (self.source.take(), self.unread.take());
        if matches!(held, (Some(_), _) | (_, Some(_))) && self.may_attach() {
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
                        self.warn(text);
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
