//! How the records of a response are read.

use std::sync::Arc;

use super::rows::{RecordForm, RowsBuilder};
use crate::property_rules::ActiveRules;

/// How the records of a response are read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reading {
    pub(crate) form: RecordForm,
    /// Which properties to drop or hash; only in the form [`RecordForm::Row`].
    pub(crate) rules: Option<Arc<ActiveRules>>,
}

impl Reading {
    /// Creates a builder with space for a response body of `bytes` bytes.
    pub(super) fn rows(&self, bytes: usize) -> RowsBuilder {
        let rows = RowsBuilder::with_capacity(bytes);
        // The rules cannot be applied to a record that is not valid.
        if self.rules.is_some() { rows.withholding() } else { rows }
    }
}

impl From<RecordForm> for Reading {
    fn from(form: RecordForm) -> Self {
        Self { form, rules: None }
    }
}
