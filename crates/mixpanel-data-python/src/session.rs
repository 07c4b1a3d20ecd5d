//! One project and one database, as Python sees them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mixpanel_data::{QueryStop, Result, Value};
use mp::session::{self, Choice};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use serde_json::json;

use crate::batches::{ArrowItem, ArrowStream};
use crate::call::{call, read};
use crate::error::{malformed, raised, refused};
use crate::request::Request;
use crate::stream::{LineStream, Source};
use crate::work::{Advised, FetchStop, fetch, sending, sent, stream_batches, stream_lines};
use crate::worker::{self, Ended, Sent, Stop};

/// A project and a database.
#[pyclass(frozen, module = "mixpanel_data._core")]
pub(crate) struct Session {
    session: Arc<session::Session>,
    running: Running,
    process: u32,
}

/// The work that is running, by number.
#[derive(Clone, Default)]
struct Running(Arc<RunningWork>);

#[derive(Default)]
struct RunningWork {
    next: AtomicU64,
    work: Mutex<HashMap<u64, Arc<dyn Stop + Send + Sync>>>,
}

/// Removes work from the list when it has ended.
struct Entry(Running, u64);

impl Running {
    fn begin(&self, stop: Arc<dyn Stop + Send + Sync>) -> Entry {
        let number = self.0.next.fetch_add(1, Ordering::Relaxed);
        self.lock().insert(number, stop);
        Entry(self.clone(), number)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<dyn Stop + Send + Sync>>> {
        self.0.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.0.lock().remove(&self.1);
    }
}

struct SqlStop(QueryStop);

impl Stop for SqlStop {
    fn request(&self) {
        self.0.stop();
    }
}

#[pymethods]
impl Session {
    /// Finds credentials and the database as `mp` does.
    #[staticmethod]
    fn open(py: Python<'_>, choice: &str) -> PyResult<Self> {
        let choice: Choice = serde_json::from_str(choice).map_err(|error| malformed(&error))?;
        let session = py.detach(|| session::open(choice)).map_err(|error| refused(&error))?;
        Ok(Self { session: Arc::new(session), running: Running::default(), process: std::process::id() })
    }

    /// Returns the project, the account and the database.
    fn info(&self) -> String {
        let session = &self.session;
        json!({
            "account": session.account(),
            "project_id": session.project_id(),
            "region": session.region(),
            "base_url": session.base_url(),
            "path": session.workspace().database(),
            "notes": session.notes(),
            "warnings": session.warnings(),
        })
        .to_string()
    }

    /// Calls an operation that returns one JSON value.
    fn call(&self, py: Python<'_>, name: &str, arguments: &str) -> PyResult<String> {
        match name {
            "test_credentials" | "events" | "audit_events" | "quota_usage" => self.check_online()?,
            _ => self.check_process()?,
        }
        let (session, name, arguments) = (Arc::clone(&self.session), name.to_owned(), arguments.to_owned());
        let stop = Arc::new(FetchStop::default());
        let entry = self.running.begin(stop.clone());
        let of_work = stop.clone();
        let work = move |_: Sender<Sent<Result<Value>>>| {
            let _entry = entry;
            let workspace = session.workspace();
            match name.as_str() {
                "test_credentials" => of_work.run(workspace.test_credentials()).map(Value::from),
                "events" => of_work.run(async { workspace.client()?.event_names().await }).map(Value::from),
                "audit_events" => {
                    let request: Request = read(&arguments)?;
                    of_work.run(workspace.audit_events(request.table())).map(|audit| json!(audit))
                }
                _ => call(workspace, &name, &arguments),
            }
        };
        match worker::run(py, &*stop, None, work)? {
            Ended::Done(result) => result.map(|value| value.to_string()).map_err(|error| raised(&error)),
            Ended::Interrupted(error, _) => Err(error),
        }
    }

    /// Runs a fetch and calls `listener` with its events. An interrupted fetch says how it can be resumed.
    fn fetch(&self, py: Python<'_>, name: &str, request: &str, listener: &Bound<'_, PyAny>) -> PyResult<String> {
        self.check_online()?;
        let request: Request = read(request).map_err(|error| raised(&error))?;
        let advised = Advised::new(name, &request);
        let (session, name) = (Arc::clone(&self.session), name.to_owned());
        let stop = Arc::new(FetchStop::default());
        let entry = self.running.begin(stop.clone());
        let of_work = stop.clone();
        let work = move |sender: Sender<Sent<Result<Value>>>| {
            let _entry = entry;
            let send = sending(move |text| drop(sender.send(Sent::Message(text))));
            fetch(&session, &name, request, &of_work, send)
        };
        match worker::run(py, &*stop, Some(listener), work)? {
            Ended::Done(result) => result.map(|value| value.to_string()).map_err(|error| raised(&error)),
            Ended::Interrupted(error, result) => {
                let workspace = self.session.workspace();
                if let Some(advice) = py.detach(|| advised.advice(workspace, result.as_ref())) {
                    error.value(py).call_method1("add_note", (advice,))?;
                }
                Err(error)
            }
        }
    }

    /// Streams records as JSON texts.
    fn stream(&self, name: &str, request: &str, listener: Py<PyAny>) -> PyResult<LineStream> {
        self.check_online()?;
        let request: Request = read(request).map_err(|error| raised(&error))?;
        let (session, name) = (Arc::clone(&self.session), name.to_owned());
        let stop = Arc::new(FetchStop::default());
        let entry = self.running.begin(stop.clone());
        let of_work = stop.clone();
        let source = Source::start(stop, Some(listener), move |sender| {
            let _entry = entry;
            stream_lines(&session, &name, request, &of_work, sender)
        })?;
        Ok(LineStream::new(source))
    }

    /// Streams records as record batches with the columns of a table.
    fn stream_arrow(&self, py: Python<'_>, name: &str, request: &str, listener: Py<PyAny>) -> PyResult<ArrowStream> {
        self.check_online()?;
        let request: Request = read(request).map_err(|error| raised(&error))?;
        let (session, name) = (Arc::clone(&self.session), name.to_owned());
        let stop = Arc::new(FetchStop::default());
        let entry = self.running.begin(stop.clone());
        let of_work = stop.clone();
        let source = Source::start(stop, Some(listener), move |sender| {
            let _entry = entry;
            stream_batches(&session, &name, request, &of_work, sender)
        })?;
        ArrowStream::new(py, source)
    }

    /// Runs a query.
    fn query(&self, py: Python<'_>, sql: &str) -> PyResult<ArrowStream> {
        self.check_process()?;
        let (session, sql) = (Arc::clone(&self.session), sql.to_owned());
        let query_stop = QueryStop::default();
        let stop = Arc::new(SqlStop(query_stop.clone()));
        let entry = self.running.begin(stop.clone());
        let source = Source::start(stop, None, move |sender| {
            let _entry = entry;
            let schema = |schema| sent(sender, ArrowItem::Schema(schema));
            let batch = |batch| sent(sender, ArrowItem::Batch(batch));
            session.workspace().sql_arrow(&sql, &query_stop, schema, batch)
        })?;
        ArrowStream::new(py, source)
    }

    /// Stops everything that other threads do with this session.
    fn cancel(&self) {
        let work: Vec<_> = self.running.lock().values().cloned().collect();
        work.iter().for_each(|stop| stop.request());
    }
}

impl Session {
    /// Checks that requests can be sent from this process.
    fn check_online(&self) -> PyResult<()> {
        self.check_process()?;
        self.session.check_credentials().map_err(|error| refused(&error))
    }

    /// Checks that no fetch was running when this process was forked: its threads and locks do not exist here.
    fn check_process(&self) -> PyResult<()> {
        let was_busy = || self.running.0.work.try_lock().map_or(true, |work| !work.is_empty());
        if self.process != std::process::id() && was_busy() {
            return Err(PyRuntimeError::new_err(
                "this process was forked while a fetch or a query was running; make a new Workspace in it, or use \
                 multiprocessing with the start method `spawn`",
            ));
        }
        Ok(())
    }
}
