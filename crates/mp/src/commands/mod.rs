//! One module per command. Each takes resolved settings and returns an exit code or a failure.

pub(crate) mod auth;
pub(crate) mod completions;
pub(crate) mod demo;
pub(crate) mod export;
pub(crate) mod fetch;
pub(crate) mod info;
pub(crate) mod inspect;
mod lists;
pub(crate) mod man;
pub(crate) mod models;
pub(crate) mod query;
pub(crate) mod simulate;
mod spill;
mod temporary;
pub(crate) mod verify;
mod verify_events;
