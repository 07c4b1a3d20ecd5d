//! Turns response bytes into rows. Pure: nothing here does I/O or reads a clock.

mod catalog;
mod collector;
mod depth;
mod envelope;
mod events;
mod fingerprint;
mod last_seen;
mod object;
mod page;
mod profile;
mod property_kind;
mod reading;
mod recover;
mod rewrite;
mod role;
mod rows;
mod scan;
mod surrogates;
mod unstored;

pub(crate) use catalog::{Bounds, CATALOG_KEY, Catalog, Property};
pub(crate) use collector::{Collector, decoded, for_each_member};
pub(crate) use events::{
    BodyFault, EVENT_CATALOGS_KEY, EVENT_COLUMNS, EventCatalogs, EventReader, EventReading, event_schema,
    event_table_schema, for_each_line,
};
pub(crate) use fingerprint::fingerprint;
pub(crate) use page::{PageBody, parse_page};
pub(crate) use property_kind::{Kind, column_type};
pub(crate) use reading::Reading;
pub use rows::{ProfileRow, ProfileRows, RecordForm, Reject};
pub use unstored::Unstored;

/// The member of a record that holds the id.
const DISTINCT_ID: &str = "$distinct_id";
/// The member of a record that holds the properties.
const PROPERTIES: &str = "$properties";
