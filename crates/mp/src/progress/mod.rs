//! Shows how a fetch goes on: one bar on a terminal, a line a page elsewhere, always on standard error.
//!
//! `state` knows what happened and says it in words; `view` puts it on the screen.

mod state;
mod view;

pub(crate) use view::{Progress, Shown};
