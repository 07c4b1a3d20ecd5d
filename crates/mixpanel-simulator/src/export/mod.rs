//! The raw export endpoint, `/api/2.0/export`: its parameters, its streamed body, and its faults.

mod body;
mod endpoint;
mod fault;
mod gzip;
mod params;
mod parse;
mod refusal;
mod script;

pub use body::{ExportBody, ExportChunks};
pub(crate) use endpoint::{Export, slice_name};
pub use fault::{ExportFault, ExportFaultKind, SliceSelector};
pub(crate) use params::{dates as requested_days, events as event_list};
pub(crate) use refusal::too_many_exports;
