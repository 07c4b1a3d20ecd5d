//! Shows how a fetch goes on: one bar on a terminal, a line a page elsewhere, always on standard error.
//!
//! `state` knows what happened and says it in words; `view` puts it on the screen.

mod state;
#[cfg(test)]
mod state_test;
mod view;

pub(crate) use view::{Progress, Shown};
