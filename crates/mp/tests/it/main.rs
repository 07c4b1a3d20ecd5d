//! The command as its users meet it: the real binary, with an environment and a home of its own.

mod again;
mod announced;
mod attacks;
mod auth;
mod closed_streams;
mod config_file;
mod conservation;
mod demo;
mod discard;
mod fetch;
mod formats;
mod hints;
mod identity;
mod limits;
mod odd_paths;
mod odd_records;
mod patience;
mod plan;
mod process;
mod query;
mod rejects;
mod replace;
mod replies;
mod resume;
mod servers;
mod signals;
mod simulate;
mod state_files;
mod status;
mod stream;
mod support;
#[cfg(target_os = "linux")]
mod terminal;
mod usage;
mod verify;
mod waits;
