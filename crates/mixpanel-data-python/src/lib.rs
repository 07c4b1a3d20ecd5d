//! The native module `mixpanel_data._core` of the Python package.
//!
//! It has no logic of its own. Arguments and results are JSON texts, so that everything public can be typed Python;
//! record batches pass through Arrow's C interface without copies. `session` starts the work, which is in `work`;
//! `worker` runs it on another thread while the calling one waits without the GIL, and `stream` and `batches` hand over
//! results as they arrive.

mod accounts;
mod batches;
mod call;
mod error;
mod message;
mod request;
mod rows;
mod session;
mod stream;
mod work;
mod worker;

/// The native part of `mixpanel_data`.
#[pyo3::pymodule]
mod _core {
    use std::ffi::OsString;

    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::batches::{ArrowStream, Collected, pass_on_warnings};
    #[pymodule_export]
    use crate::error::CoreError;
    #[pymodule_export]
    use crate::session::Session;
    #[pymodule_export]
    use crate::stream::LineStream;

    /// Returns the version.
    #[pyfunction]
    fn version() -> &'static str {
        env!("CARGO_PKG_VERSION")
    }

    /// Runs the command line `mp` and returns its exit code. The caller has replaced the `closed` standard streams.
    #[pyfunction]
    fn main(py: Python<'_>, words: Vec<OsString>, closed: Vec<u8>) -> u8 {
        mp::note_closed_streams(&closed);
        py.detach(|| mp::run(words))
    }

    /// Lists or changes the stored accounts.
    #[pyfunction]
    fn accounts(py: Python<'_>, name: &str, arguments: &str) -> PyResult<String> {
        // A change waits for the lock of the directory.
        py.detach(|| crate::accounts::accounts(name, arguments))
    }
}
