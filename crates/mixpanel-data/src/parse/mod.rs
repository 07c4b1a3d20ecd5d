//! Turns response bytes into rows. Pure: nothing here does I/O or reads a clock.

mod depth;
mod envelope;
mod fingerprint;
mod last_seen;
mod object;
mod page;
mod profile;
mod recover;
mod rows;
mod scan;
mod unstored;

pub(crate) use fingerprint::fingerprint;
pub(crate) use page::{PageBody, parse_page};
pub use rows::{ProfileRow, ProfileRows, RecordForm, Reject};
pub use unstored::Unstored;
