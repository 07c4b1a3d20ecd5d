//! Turns the body of an export into rows: one JSON object per line, as <https://developer.mixpanel.com/reference/raw-event-export>
//! describes it. Memory is bounded by the longest line and one row group.

mod catalogs;
mod columns;
mod event;
mod fault;
mod lines;
mod members;
mod moment;
mod reader;
mod time;

pub(crate) use catalogs::{EVENT_CATALOGS_KEY, EventCatalogs};
pub(crate) use columns::{EVENT_COLUMNS, schema as event_schema, table_schema as event_table_schema};
pub(crate) use fault::BodyFault;
pub(crate) use lines::for_each_line;
pub(crate) use reader::{EventReader, EventReading};
