//! End-to-end tests of the `mp` binary, each with its own environment and home directory.

mod again;
mod announced;
mod attacks;
mod auth;
mod closed_streams;
mod completion;
mod config_file;
mod conservation;
mod defaults;
mod demo;
mod discard;
mod exact;
mod examples;
mod export;
mod fetch;
mod formats;
mod help;
mod hints;
mod identity;
mod ids;
mod info;
mod jq;
mod limits;
mod meanwhile;
mod odd_paths;
mod odd_records;
mod outputs;
mod patience;
mod plan;
mod privacy;
mod process;
#[cfg(target_os = "linux")]
mod prompts;
mod properties;
mod query;
mod recording;
mod refresh;
mod refusals;
mod rejects;
mod replace;
mod replies;
mod results;
mod resume;
mod sample;
mod schedule;
mod servers;
mod signals;
mod simulate;
mod simulate_command;
mod since;
mod snapshot;
mod state_files;
mod status;
mod stream;
#[cfg(target_os = "linux")]
mod summary;
mod support;
#[cfg(target_os = "linux")]
mod tables;
#[cfg(target_os = "linux")]
mod terminal;
mod unannounced;
mod unmatched;
mod usage;
mod verify;
mod waits;
