//! The events of the simulated project: years of them, of the same users as the profiles.
//!
//! Generated events are not stored: the events of a day are a pure function of the seed, the day and the revision, and
//! are written line by line, so a year of them takes no more memory than a minute.

mod activity;
mod calendar;
mod kind;
mod line;
mod odd;
mod odd_lines;
mod people;
mod reference;
mod rows;
mod session;
mod state;
mod verdict;
mod written_time;

pub(crate) use calendar::{date_of, day_of};
pub(crate) use kind::NAMES;
pub use odd::OddEvent;
pub use reference::Events;
pub(crate) use rows::{Rows, Selection};
pub(crate) use state::{DataState, Project};
pub use verdict::OddVerdict;
pub(crate) use written_time::WrittenTime;
