//! Shows the progress of a fetch: a bar on a terminal, one line per page elsewhere, always on standard error.
//!
//! `words` has the words for pages of profiles and for batches of events. `state` tracks the events and describes them as text; `view` displays the text.

mod state;
#[cfg(test)]
mod state_tests;
mod view;
mod words;

pub(crate) use view::{Progress, Shown};
pub(crate) use words::Records;
