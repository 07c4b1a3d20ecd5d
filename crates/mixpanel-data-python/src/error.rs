//! The exception that carries an error of the library to `mixpanel_data.exceptions`.

use std::error::Error as _;

use mixpanel_data::Error;
use mp::session::SessionError;
use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use serde_json::{Value, json};

create_exception!(_core, CoreError, PyException, "An error as JSON text; `mixpanel_data.exceptions` converts it.");

/// Converts an error of the library. The causes become part of the message, because Python shows only that.
pub(crate) fn raised(error: &Error) -> PyErr {
    let mut message = error.message().to_owned();
    let mut cause = error.source();
    while let Some(next) = cause {
        message.push_str(": ");
        message.push_str(&next.to_string());
        cause = next.source();
    }
    core_error(&json!({
        "code": error.kind().code(),
        "kind": format!("{:?}", error.kind()),
        "message": message,
        "details": error.details(),
        "run_id": error.run_id(),
    }))
}

/// Converts an error about credentials, accounts or settings.
pub(crate) fn refused(error: &SessionError) -> PyErr {
    core_error(&json!({
        "code": error.code,
        "kind": "Session",
        "message": error.message,
        "details": error.details,
        "hint": error.hint,
    }))
}

/// Returns the error for arguments that cannot be read.
pub(crate) fn malformed(error: &serde_json::Error) -> PyErr {
    invalid(&error.to_string())
}

pub(crate) fn invalid(message: &str) -> PyErr {
    core_error(&json!({ "code": "INVALID_INPUT", "kind": "InvalidInput", "message": message, "details": {} }))
}

fn core_error(error: &Value) -> PyErr {
    CoreError::new_err(error.to_string())
}
