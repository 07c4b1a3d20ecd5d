//! The command as its users meet it: the real binary, with an environment and a home of its own.

mod again;
mod attacks;
mod auth;
mod closed_streams;
mod config_file;
mod demo;
mod discard;
mod fetch;
mod formats;
mod hints;
mod identity;
mod odd_paths;
mod plan;
mod process;
mod query;
mod rejects;
mod resume;
mod signals;
mod simulate;
mod status;
mod stream;
mod support;
#[cfg(target_os = "linux")]
mod terminal;
mod usage;
mod verify;
mod waits;
