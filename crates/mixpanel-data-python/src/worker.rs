//! Runs work on a thread of its own while the calling thread waits for it without the GIL, passes on its messages and
//! handles signals.
//!
//! Callbacks run on the calling thread, one at a time. Python's signal handlers also run there, between two waits; in
//! other threads than the main one, `check_signals` does nothing.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use pyo3::exceptions::{PyException, PyRuntimeError};
use pyo3::prelude::*;

/// How often the calling thread checks for signals.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// How long an interrupted fetch may take to store what has arrived, before it is abandoned.
const STOP_GRACE: Duration = Duration::from_millis(700);

/// How long abandoned work may take to release its files.
const ABANDON_GRACE: Duration = Duration::from_millis(250);

/// Stops work that another thread does. The methods are called repeatedly until it has ended.
pub(crate) trait Stop {
    /// Requests that the work ends.
    fn request(&self);

    /// Makes the work end without finishing what it has begun.
    fn abandon(&self) {
        self.request();
    }
}

/// What the working thread sends.
pub(crate) enum Sent<T> {
    Message(String),
    Done(T),
}

/// How a wait ended.
pub(crate) enum Ended<T> {
    Done(T),
    /// By an exception: a signal handler's, or one of a callback that is not an `Exception`. The result is that of the
    /// stopped work, if it has one.
    Interrupted(PyErr, Option<T>),
}

/// Runs `work` on another thread and calls `listener` with its messages.
///
/// # Errors
/// `RuntimeError` if no thread can be started, or the work panics.
pub(crate) fn run<T: Send + 'static>(
    py: Python<'_>,
    stop: &dyn Stop,
    listener: Option<&Bound<'_, PyAny>>,
    work: impl FnOnce(Sender<Sent<T>>) -> T + Send + 'static,
) -> PyResult<Ended<T>> {
    let (sender, mut receiver) = channel();
    let thread = spawn(move || {
        let done = work(sender.clone());
        let _caller_is_gone = sender.send(Sent::Done(done));
    })?;
    loop {
        if let Err(error) = py.check_signals() {
            return Ok(Ended::Interrupted(error, stopped(py, stop, &mut receiver)));
        }
        match receive(py, &mut receiver, POLL_INTERVAL) {
            Ok(Sent::Done(done)) => return Ok(Ended::Done(done)),
            Ok(Sent::Message(text)) => {
                if let Some(error) = call(py, listener, &text) {
                    return Ok(Ended::Interrupted(error, stopped(py, stop, &mut receiver)));
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(panicked(thread)),
        }
    }
}

/// Starts a thread.
pub(crate) fn spawn(work: impl FnOnce() + Send + 'static) -> PyResult<JoinHandle<()>> {
    let named = std::thread::Builder::new().name("mixpanel_data".to_owned());
    named.spawn(work).map_err(|error| PyRuntimeError::new_err(format!("cannot start a thread: {error}")))
}

/// Waits for a message without the GIL.
fn receive<T: Send>(
    py: Python<'_>,
    receiver: &mut Receiver<Sent<T>>,
    at_most: Duration,
) -> Result<Sent<T>, RecvTimeoutError> {
    py.detach(move || receiver.recv_timeout(at_most))
}

/// Calls the listener. An ordinary exception is reported as unraisable and does not affect the work; others, such as
/// `KeyboardInterrupt`, are returned.
pub(crate) fn call(py: Python<'_>, listener: Option<&Bound<'_, PyAny>>, text: &str) -> Option<PyErr> {
    let listener = listener?;
    let error = listener.call1((text,)).err()?;
    if !error.is_instance_of::<PyException>(py) {
        return Some(error);
    }
    error.write_unraisable(py, Some(listener));
    None
}

/// Stops the work and returns its result, if it ends in time. A second signal ends the wait at once.
fn stopped<T: Send>(py: Python<'_>, stop: &dyn Stop, receiver: &mut Receiver<Sent<T>>) -> Option<T> {
    let begun = Instant::now();
    loop {
        let elapsed = begun.elapsed();
        if elapsed < STOP_GRACE {
            stop.request();
        } else if elapsed < STOP_GRACE + ABANDON_GRACE {
            stop.abandon();
        } else {
            return None;
        }
        match receive(py, receiver, POLL_INTERVAL) {
            Ok(Sent::Done(done)) => return Some(done),
            Err(RecvTimeoutError::Disconnected) => return None,
            Ok(Sent::Message(_)) | Err(RecvTimeoutError::Timeout) => {}
        }
        if py.check_signals().is_err() {
            stop.abandon();
            return None;
        }
    }
}

fn panicked(thread: JoinHandle<()>) -> PyErr {
    let payload = thread.join().err();
    let text = payload.as_deref().and_then(|payload| {
        payload.downcast_ref::<String>().map(String::as_str).or_else(|| payload.downcast_ref::<&str>().copied())
    });
    PyRuntimeError::new_err(format!(
        "internal error of mixpanel_data: {}; please report it",
        text.unwrap_or("a thread ended without a result")
    ))
}
