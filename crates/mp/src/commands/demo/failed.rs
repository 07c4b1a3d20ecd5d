//! Why a fetch of `mp demo` failed.

use mixpanel_data::{Error, ErrorKind};

use crate::failure::{Exit, Failure};

/// Returns the failure of a fetch of these records into a table.
pub(super) fn fetch_failed(records: &str, table: &str, error: &Error) -> Failure {
    match error.kind() {
        // No hint to resume: what is staged is removed with the temporary directory.
        ErrorKind::Cancelled => Failure::new("the demo was stopped").exit(Exit::Signal(2)),
        _ => Failure::library(format!("could not fetch {records} into `{table}`"), error),
    }
}
